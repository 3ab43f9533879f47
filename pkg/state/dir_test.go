package state_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/understudy-ha/understudy/pkg/state"
)

func open(t *testing.T) *state.Dir {
	t.Helper()
	d, err := state.Open(filepath.Join(t.TempDir(), "a", "state"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpenMakesTheFolder(t *testing.T) {
	d := open(t)
	info, err := os.Stat(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o755 {
		t.Errorf("mode %o, want 755", got)
	}
	if _, err := state.Open("relative"); err == nil {
		t.Error("a relative path was accepted")
	}
}

func TestOpenNamesThePathItFailsOn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := state.Open(filepath.Join(file, "state"))
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v does not name %s", err, file)
	}
}

func TestWriteThenRead(t *testing.T) {
	d := open(t)
	type value struct{ A, B int }
	if err := d.Write("some.name-1", value{1, 2}); err != nil {
		t.Fatal(err)
	}
	var got value
	found, err := d.Read("some.name-1", &got)
	if err != nil || !found || got != (value{1, 2}) {
		t.Errorf("found %v, %v, error %v", found, got, err)
	}
	entries, err := os.ReadDir(d.Path())
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestReadOfNothing(t *testing.T) {
	got := 7
	found, err := open(t).Read("missing", &got)
	if found || err != nil || got != 7 {
		t.Errorf("found %v, error %v, value %v", found, err, got)
	}
}

func TestReadOfGarbage(t *testing.T) {
	d := open(t)
	for _, content := range []string{"", "{", `{"a":"text"}`, "\x00\x00\x00\x00"} {
		path := filepath.Join(d.Path(), "x.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var v struct{ A int }
		_, err := d.Read("x", &v)
		corrupt, ok := errors.AsType[*state.CorruptError](err)
		if !ok || corrupt.Path != path || !strings.Contains(corrupt.Hint(), path) {
			t.Errorf("content %q: error %v", content, err)
		}
	}
}

func TestNamesStayInTheFolder(t *testing.T) {
	d := open(t)
	for _, name := range []string{"", ".", "..", "../x", "a/b", ".hidden", "a b", "ä", "a\x00", strings.Repeat("a", 129)} {
		if err := d.Write(name, 1); err == nil {
			t.Errorf("Write accepted %q", name)
		}
		if _, err := d.Lock(name); err == nil {
			t.Errorf("Lock accepted %q", name)
		}
	}
}

// A reader sees whole values only, whatever the writers do.
func TestReadersSeeWholeFiles(t *testing.T) {
	d := open(t)
	long := strings.Repeat("x", 100_000)
	var writers sync.WaitGroup
	for range 2 {
		writers.Go(func() {
			for i := range 20 {
				if err := d.Write("value", long[:1+i*5000]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		var s string
		if _, err := d.Read("value", &s); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
