package keepalived_test

import (
	"net/netip"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/internal/testhost"
	"github.com/understudy-ha/understudy/pkg/keepalived"
	"github.com/understudy-ha/understudy/pkg/run"
)

// In a network namespace of its own, an address is found and removed whatever
// its prefix and interface, and removing it again does nothing.
func TestRemoveAddress(t *testing.T) {
	testhost.NeedRoot(t, "for a network namespace of its own")
	// Never unlocked: the thread, and with it the namespace, ends with the test.
	runtime.LockOSThread()
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v: %s", args, err, out)
		}
	}
	vip := netip.MustParsePrefix("10.99.0.1/24")
	ip("link", "set", "lo", "up")
	ip("link", "add", "x0", "type", "veth", "peer", "name", "x1")
	// The node's own address first: with the first of a network its others go.
	ip("address", "add", "10.99.0.2/24", "dev", "x0")
	ip("address", "add", "10.99.0.1/32", "dev", "x1")
	ip("address", "add", "10.99.0.1/24", "dev", "x0")
	runner := run.New(zerolog.Nop())
	for range 2 {
		if err := keepalived.RemoveAddress(t.Context(), runner, vip, "x0"); err != nil {
			t.Fatal(err)
		}
		if here, err := keepalived.Holds(vip, "x0"); here || err != nil {
			t.Fatalf("here %v, error %v", here, err)
		}
	}
	if here, err := keepalived.Holds(netip.MustParsePrefix("10.99.0.2/24"), "none"); !here || err != nil {
		t.Errorf("the other address: here %v, error %v", here, err)
	}
}
