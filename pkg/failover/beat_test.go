package failover

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/state"
)

// lastBeat plants when the watcher has looked around last.
func (f *fake) lastBeat(t *testing.T, boot string, ago time.Duration) {
	t.Helper()
	now, err := clock.System().SinceBoot()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := state.Open(f.Config.RunDir)
	if err != nil {
		t.Fatal(err)
	}
	if err := dir.Write(beatName, beat{boot, now - ago}); err != nil {
		t.Fatal(err)
	}
}

// A watcher that has its lock and does not move is told of, and not relied on.
func TestFrozenWatcher(t *testing.T) {
	f := newFake(t)
	f.address.none = true
	lock, err := f.State.Lock(WatchLock)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		boot    string
		ago     time.Duration
		watched bool
		alert   string
	}{
		{"moves", "boot", time.Second, true, ""},
		{"late", "boot", beatSilence - 2*time.Second, true, ""},
		{"silent", "boot", beatSilence + time.Second, false, "the watcher has not moved for 10s or more"},
		{"of another boot", "before", time.Hour, true, ""},
	} {
		f.lastBeat(t, c.boot, c.ago)
		alerts := strings.Join(f.alerts(), "\n")
		if !strings.HasPrefix(alerts, c.alert) || alerts != "" != (c.alert != "") {
			t.Errorf("%s: alerts %q", c.name, alerts)
		}
		if watched, held := watchedIn(f.Boot, f.Config, f.State); watched != c.watched || !held {
			t.Errorf("%s: watched %v, held %v", c.name, watched, held)
		}
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if alerts := f.alerts(); !slices.ContainsFunc(alerts, func(a string) bool { return strings.Contains(a, "does not run") }) {
		t.Errorf("no watcher: %q", alerts)
	}
	if watched, held := watchedIn(f.Boot, f.Config, f.State); watched || held {
		t.Errorf("no watcher: watched %v, held %v", watched, held)
	}
}

// The watcher tells systemd when it begins, and then that it moves.
func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	f := newFake(t)
	f.lastBeat(t, f.Boot, time.Hour)
	f.watches(t)
	if err := socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	ready, moves := false, 0
	for !ready || moves < 3 {
		text := make([]byte, 100)
		n, err := socket.Read(text)
		if err != nil {
			t.Fatalf("ready %v, moves %d: %v", ready, moves, err)
		}
		switch string(text[:n]) {
		case "READY=1":
			ready = true
		case "WATCHDOG=1":
			moves++
		default:
			t.Fatalf("%q", text[:n])
		}
	}
	if ago := silentFor(f.Config.RunDir, f.Boot); ago <= 0 || ago > time.Minute {
		t.Errorf("the last beat is of %s ago", ago)
	}
}
