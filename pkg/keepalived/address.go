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

// Holds reports whether this machine has the address, with any prefix length. It checks
// the interface iface first, then all others: with virtual MACs, keepalived adds the
// address to an interface of its own.
func Holds(vip netip.Prefix, iface string) (bool, error) {
	at, err := find(vip, iface)
	return at.iface != "", err
}

// location is the interface that has an address, or "", and the address with its prefix
// length there.
type location struct {
	iface   string
	address netip.Prefix
}

func find(vip netip.Prefix, iface string) (location, error) {
	if expected, err := net.InterfaceByName(iface); err == nil {
		if at, err := findOn(vip, *expected); err != nil || at.iface != "" {
			return at, err
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return location{}, fmt.Errorf("find %s: list the interfaces: %w", vip.Addr(), err)
	}
	for _, one := range interfaces {
		if at, err := findOn(vip, one); err != nil || at.iface != "" {
			return at, err
		}
	}
	return location{}, nil
}

func findOn(vip netip.Prefix, iface net.Interface) (location, error) {
	addresses, err := iface.Addrs()
	if err != nil {
		if isGone(err) {
			return location{}, nil // the interface has just been removed
		}
		return location{}, fmt.Errorf("find %s on %s: %w", vip.Addr(), iface.Name, err)
	}
	for _, address := range addresses {
		found, err := netip.ParsePrefix(address.String())
		if err == nil && found.Addr().Unmap().WithZone("") == vip.Addr().Unmap() {
			return location{iface.Name, found}, nil
		}
	}
	return location{}, nil
}

// RemoveAddress removes the address from every interface of this machine that has it.
// It is for an address that a killed keepalived has left behind.
func RemoveAddress(ctx context.Context, runner run.Programs, vip netip.Prefix, iface string) error {
	for {
		at, err := find(vip, iface)
		if err != nil || at.iface == "" {
			return err
		}
		_, err = runner.Output(ctx, addressTimeout, "ip", "address", "del", at.address.String(), "dev", at.iface)
		if err == nil {
			continue // another interface may also have it
		}
		// Another process may have removed it meanwhile.
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

// isGone reports whether a process or an interface has gone meanwhile.
func isGone(err error) bool {
	return errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ENXIO)
}
