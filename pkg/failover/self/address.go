package self

import (
	"context"
	"fmt"
	"net/netip"
	"sync"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/keepalived"
	"github.com/understudy-ha/understudy/pkg/run"
)

// Address is the virtual IP on this machine, and keepalived, which moves it.
type Address interface {
	// Configured is false for a pair without one.
	Configured() bool
	// Here reports whether this machine has the virtual IP.
	Here() (bool, error)
	// KeepalivedRuns reports whether keepalived runs.
	KeepalivedRuns() (bool, error)
	// Remove takes the virtual IP off this machine.
	Remove(ctx context.Context) error
}

// address is keepalived's address on this machine.
type address struct {
	prefix netip.Prefix
	iface  string
	runner run.Programs

	mu     sync.Mutex
	finder keepalived.Finder
}

func newAddress(cfg *config.Config, runner run.Programs) (*address, error) {
	a := &address{iface: cfg.Interface, runner: runner}
	if cfg.VirtualIP == "" {
		return a, nil
	}
	var err error
	if a.prefix, err = netip.ParsePrefix(cfg.VirtualIP); err != nil {
		return a, fmt.Errorf("read virtual_ip: %w", err)
	}
	return a, nil
}

func (a *address) Configured() bool { return a.prefix.IsValid() }

func (a *address) Here() (bool, error) {
	if !a.Configured() {
		return false, nil
	}
	return keepalived.Holds(a.prefix, a.iface)
}

func (a *address) KeepalivedRuns() (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.finder.Running()
}

func (a *address) Remove(ctx context.Context) error {
	if !a.Configured() {
		return nil
	}
	return keepalived.RemoveAddress(ctx, a.runner, a.prefix, a.iface)
}
