package self_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/alert"
	"github.com/understudy-ha/understudy/pkg/failover/failovertest"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/failover/watch"
	"github.com/understudy-ha/understudy/pkg/state"
)

// lastHeartbeat plants the watcher's last heartbeat.
func lastHeartbeat(t *testing.T, f *failovertest.Fake, boot string, ago time.Duration) {
	t.Helper()
	now, err := f.Clock.SinceBoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.RunDir.Write(state.HeartbeatName, state.Heartbeat{Boot: boot, At: now - ago}); err != nil {
		t.Fatal(err)
	}
}

// A watcher that holds its lock and hangs is reported, and not relied on.
func TestFrozenWatcher(t *testing.T) {
	f := failovertest.New(t)
	f.VIP.None = true
	lock, err := f.State.Lock(self.WatchLock)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		boot    string
		ago     time.Duration
		watched bool
		alert   alert.Kind
	}{
		{"moves", "boot", time.Second, true, ""},
		{"late", "boot", 8 * time.Second, true, ""},
		{"silent", "boot", 11 * time.Second, false, alert.WatcherHanging},
		{"of another boot", "before", time.Hour, true, ""},
	} {
		lastHeartbeat(t, f, c.boot, c.ago)
		if got := strings.Join(kinds(f.Alerts()), ","); got != string(c.alert) {
			t.Errorf("%s: alerts %q", c.name, got)
		}
		if watched, held := f.Watched(); watched != c.watched || !held {
			t.Errorf("%s: watched %v, held %v", c.name, watched, held)
		}
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(kinds(f.Alerts()), ","); got != string(alert.WatcherStopped) {
		t.Errorf("no watcher: %q", got)
	}
	if watched, held := f.Watched(); watched || held {
		t.Errorf("no watcher: watched %v, held %v", watched, held)
	}
}

func kinds(alerts []alert.Alert) []string {
	var kinds []string
	for _, a := range alerts {
		kinds = append(kinds, string(a.Kind))
	}
	return kinds
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
	f := failovertest.New(t)
	lastHeartbeat(t, f, f.Boot, time.Hour)
	f.Runs(t, watch.New(f.Node).Watch)
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
	if watched, held := f.Watched(); !watched || !held {
		t.Errorf("watched %v, held %v", watched, held)
	}
}
