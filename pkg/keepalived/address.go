package keepalived

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
)

// addressTimeout bounds the call that removes an address.
const addressTimeout = 5 * time.Second

// Holds reports whether the address is on this machine, whatever the length of its
// prefix there. It checks the interface iface first, then all others: with
// virtual MACs keepalived puts the address on an interface of its own.
func Holds(vip netip.Prefix, iface string) (bool, error) {
	at, err := find(vip, iface)
	return at.iface != "", err
}

// place is where an address is: the interface, empty for nowhere, and the
// address with the prefix length that it has there.
type place struct {
	iface   string
	address netip.Prefix
}

func find(vip netip.Prefix, iface string) (place, error) {
	if expected, err := net.InterfaceByName(iface); err == nil {
		if at, err := findOn(vip, *expected); err != nil || at.iface != "" {
			return at, err
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return place{}, fmt.Errorf("look for %s: list the interfaces: %w", vip.Addr(), err)
	}
	for _, one := range interfaces {
		if at, err := findOn(vip, one); err != nil || at.iface != "" {
			return at, err
		}
	}
	return place{}, nil
}

func findOn(vip netip.Prefix, iface net.Interface) (place, error) {
	addresses, err := iface.Addrs()
	if err != nil {
		if isGone(err) {
			return place{}, nil // the interface has just been removed
		}
		return place{}, fmt.Errorf("look for %s on %s: %w", vip.Addr(), iface.Name, err)
	}
	for _, address := range addresses {
		found, err := netip.ParsePrefix(address.String())
		if err == nil && found.Addr().Unmap().WithZone("") == vip.Addr().Unmap() {
			return place{iface.Name, found}, nil
		}
	}
	return place{}, nil
}

// RemoveAddress takes the address off this machine, from every interface that
// has it, and does nothing when it is not here. It is for an address that a
// killed keepalived has left behind.
func RemoveAddress(ctx context.Context, runner run.Programs, vip netip.Prefix, iface string) error {
	for {
		at, err := find(vip, iface)
		if err != nil || at.iface == "" {
			return err
		}
		_, err = runner.Output(ctx, addressTimeout, "ip", "address", "del", at.address.String(), "dev", at.iface)
		if err == nil {
			continue // it may be on another interface too
		}
		// Whoever else took it away in the meantime has done the same.
		if still, lookErr := find(vip, iface); lookErr == nil && still != at {
			continue
		}
		return &AddressError{Address: at.address, Interface: at.iface, Err: err}
	}
}

// AddressError is an address that could not be removed.
type AddressError struct {
	Address   netip.Prefix
	Interface string
	Err       error
}

func (e *AddressError) Error() string {
	return fmt.Sprintf("remove the virtual IP %s from %s: %s", e.Address, e.Interface, strings.TrimSpace(e.Err.Error()))
}

func (e *AddressError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *AddressError) Hint() string {
	return fmt.Sprintf("remove it by hand, as root: ip address del %s dev %s", e.Address, e.Interface)
}

// isGone reports whether the process has ended meanwhile.
func isGone(err error) bool {
	return errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO)
}
