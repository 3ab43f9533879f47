package setup

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/setup/machine"
)

// resolveTimeout bounds looking up the other machine's name.
const resolveTimeout = 5 * time.Second

// resolve returns the address of the other machine.
func resolve(ctx context.Context, peer string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(peer); err == nil {
		return ip.Unmap(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", peer)
	if err != nil || len(found) == 0 {
		return netip.Addr{}, &AnswerError{"--peer", fmt.Sprintf("%q has no address: %v", peer, err), "give its address instead, such as 192.168.86.48"}
	}
	best := found[0].Unmap()
	for _, ip := range found {
		if ip.Unmap().Is4() && !best.Is4() {
			best = ip.Unmap()
		}
	}
	return best, nil
}

// ownAddress is the address from which this machine reaches another one, by the
// kernel's routes. Nothing is sent.
func ownAddress(peer netip.Addr) (netip.Addr, error) {
	conn, err := net.Dial("udp", netip.AddrPortFrom(peer, 9).String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("look for a route to %s: %w", peer, err)
	}
	defer conn.Close()
	own, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("look for a route to %s: %w", peer, err)
	}
	return own.Addr().Unmap(), nil
}

// machines fills in what looking at the two machines tells.
func (a *Answers) machines(here, there machine.Facts, peer netip.Addr) error {
	own, err := netip.ParseAddr(a.Address)
	if err != nil {
		return bad("--address", "%q is not an address", a.Address)
	}
	if own == peer {
		return bad("--peer", "%s is this machine itself", peer)
	}
	mine, ok := here.At(own)
	if !ok {
		return bad("--address", "this machine does not have the address %s", own)
	}
	if _, ok := there.At(peer); !ok {
		return bad("--peer", "that machine does not have the address %s itself; behind address translation a pair can't work", peer)
	}
	if a.Interface == "" {
		a.Interface = mine.Interface
	}
	if a.Name == "" {
		a.Name = here.Host
	}
	if a.PeerName == "" {
		a.PeerName = there.Host
	}
	if a.Name == a.PeerName {
		return &AnswerError{"--name", fmt.Sprintf("both machines are called %q", a.Name), "give them names: --name primary --peer-name secondary"}
	}
	if len(a.Witnesses) == 0 && here.Gateway != "" && here.Gateway == there.Gateway {
		a.Witnesses = []string{"ping://" + here.Gateway}
	}
	if len(a.Datasets) == 0 {
		for _, p := range here.Pools {
			if !p.System {
				a.Datasets = append(a.Datasets, p.Name)
			}
		}
	}
	return nil
}

// address checks the virtual address against what the machines have.
func (a *Answers) address(here machine.Facts, peer netip.Addr) error {
	own := netip.MustParseAddr(a.Address)
	mine, _ := here.At(own)
	vip, err := floating(a.VirtualIP, mine.Prefix.Bits())
	if err != nil {
		return err
	}
	switch {
	case vip.Addr() == own || vip.Addr() == peer:
		return &AnswerError{"--virtual-ip", fmt.Sprintf("%s is the own address of one of the machines", vip.Addr()), "it has to be a third one that nobody has, outside of what the router gives away"}
	case !mine.Prefix.Contains(vip.Addr()):
		return &AnswerError{"--virtual-ip", fmt.Sprintf("%s is not in the network of %s, %s", vip.Addr(), mine.Interface, mine.Prefix.Masked()), "take a free address of that network"}
	case !mine.Prefix.Contains(peer):
		return bad("--peer", "%s is not in the network of %s, %s: a virtual address can't move there", peer, mine.Interface, mine.Prefix.Masked())
	}
	a.VirtualIP = vip.String()
	return nil
}

// lacks names the programs that a machine has not got.
func lacks(f machine.Facts, a Answers) []string {
	needed := []string{"failover-notify", "track-traefik", "keepalived", "ssh", "ssh-keygen"}
	if len(a.Datasets) > 0 {
		needed = append(needed, "zfs-replicate", "lag-check", "zfs", "zpool")
	}
	if len(a.Projects) > 0 {
		needed = append(needed, "image-sync", "docker")
	}
	if f.Systemd {
		needed = append(needed, "systemctl")
	}
	var missing []string
	for _, name := range needed {
		if f.Programs[name] == "" {
			missing = append(missing, name)
		}
	}
	return missing
}

// LackError is a machine that is not ready for a set-up.
type LackError struct {
	Node, Text, Advice string
}

func (e *LackError) Error() string { return e.Node + ": " + e.Text }

// Hint says what to do next.
func (e *LackError) Hint() string { return e.Advice }

// ready reports whether both machines have what it takes.
func ready(here, there machine.Facts, a Answers) error {
	for _, one := range []struct {
		node string
		f    machine.Facts
	}{{a.Name, here}, {a.PeerName, there}} {
		if one.f.UID != 0 {
			return &LackError{one.node, "this needs root", "run it with sudo, or as root"}
		}
		if missing := lacks(one.f, a); len(missing) > 0 {
			return &LackError{one.node, "not installed: " + strings.Join(missing, ", "), "apt install zfsutils-linux keepalived docker.io openssh-client, what of it is missing; Understudy itself: its package, or make install"}
		}
	}
	if release(here) != release(there) {
		return &LackError{a.PeerName, fmt.Sprintf("understudy is %s here and %s there", release(here), release(there)), "install the same release on both"}
	}
	if here.Folder != there.Folder {
		return &LackError{a.PeerName, fmt.Sprintf("the programs lie in %s here and in %s there", here.Folder, there.Folder), "install them the same way on both"}
	}
	return nil
}

// release is the version without the platform, which may differ.
func release(f machine.Facts) string {
	version, _, _ := strings.Cut(f.Version, " ")
	return version
}
