package store_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab/zfssim/memory"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
)

func TestFaults(t *testing.T) {
	m := memory.New(time.Now, rand.Reader)
	if err := m.WriteFile("/store/faults", []byte("# a comment\nsend die-after=1M\nsnapshot busy=tank/a\nreceive nospace-after=2K dataset=tank/b count=2\n")); err != nil {
		t.Fatal(err)
	}
	load := func() *store.Faults {
		return store.LoadFaults(m.Machine().Files, "/store", "mount fail=tank/c; list hang")
	}
	f := load()
	for _, c := range []struct {
		command, action, object string
		want                    bool
	}{
		{"snapshot", "busy", "tank/a", true},
		{"snapshot", "busy", "tank/a@1", true},
		{"snapshot", "busy", "tank/ab", false},
		{"destroy", "busy", "tank/a", false},
		{"mount", "fail", "tank/c", true},
		{"list", "hang", "anything", true},
	} {
		if got := f.Match(c.command, c.action, c.object) != nil; got != c.want {
			t.Errorf("%s %s on %s: %v", c.command, c.action, c.object, got)
		}
	}
	if n := f.Bytes("send", "die-after", "tank/x@1"); n != 1<<20 {
		t.Errorf("the sender dies after %d bytes", n)
	}
	// The count is that of all processes.
	for i, want := range []int64{2048, 2048, -1} {
		if n := load().Bytes("receive", "nospace-after", "tank/b"); n != want {
			t.Errorf("time %d: %d, want %d", i+1, n, want)
		}
	}
	m.Machine().Files.Remove("/store/faults.used")
	if n := load().Bytes("receive", "nospace-after", "tank/b"); n != 2048 {
		t.Errorf("begun anew: %d", n)
	}
}
