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

// resolveTimeout bounds the lookup of the other machine's name.
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
		return netip.Addr{}, &AnswerError{"--peer", fmt.Sprintf("cannot resolve %q: %v", peer, err), "give its address instead, such as 192.168.86.48"}
	}
	best := found[0].Unmap()
	for _, ip := range found {
		if ip.Unmap().Is4() && !best.Is4() {
			best = ip.Unmap()
		}
	}
	return best, nil
}

// ownAddress returns the address from which this machine reaches another one, by the
// kernel's routes. It sends nothing.
func ownAddress(peer netip.Addr) (netip.Addr, error) {
	conn, err := net.Dial("udp", netip.AddrPortFrom(peer, 9).String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find a route to %s: %w", peer, err)
	}
	defer conn.Close()
	own, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find a route to %s: %w", peer, err)
	}
	return own.Addr().Unmap(), nil
}

// detect fills in settings from the facts of the two machines.
func (a *Answers) detect(here, there machine.Facts, peer netip.Addr) error {
	own, err := netip.ParseAddr(a.Address)
	if err != nil {
		return bad("--address", "%q is not an address", a.Address)
	}
	if own == peer {
		return bad("--peer", "%s is this machine", peer)
	}
	mine, ok := here.At(own)
	if !ok {
		return bad("--address", "this machine lacks the address %s", own)
	}
	if _, ok := there.At(peer); !ok {
		return bad("--peer", "that machine lacks the address %s; a pair can't work behind address translation", peer)
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
		return &AnswerError{"--name", fmt.Sprintf("both machines have the name %q", a.Name), "name the nodes: --name primary --peer-name secondary"}
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

// checkVirtualIP checks the virtual IP against the addresses of the machines.
func (a *Answers) checkVirtualIP(here machine.Facts, peer netip.Addr) error {
	own := netip.MustParseAddr(a.Address)
	mine, _ := here.At(own)
	vip, err := parseVirtualIP(a.VirtualIP, mine.Prefix.Bits())
	if err != nil {
		return err
	}
	switch {
	case vip.Addr() == own || vip.Addr() == peer:
		return &AnswerError{"--virtual-ip", fmt.Sprintf("%s is the own address of one of the machines", vip.Addr()), "take a third, free address, outside the router's DHCP range"}
	case !mine.Prefix.Contains(vip.Addr()):
		return &AnswerError{"--virtual-ip", fmt.Sprintf("%s is not in the network of %s, %s", vip.Addr(), mine.Interface, mine.Prefix.Masked()), "take a free address of that network"}
	case !mine.Prefix.Contains(peer):
		return bad("--peer", "%s is not in the network of %s, %s: a virtual IP can't move there", peer, mine.Interface, mine.Prefix.Masked())
	}
	a.VirtualIP = vip.String()
	return nil
}

// missingPrograms returns the programs that a machine lacks.
func missingPrograms(f machine.Facts, a Answers) []string {
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

// NotReadyError is a machine that is not ready for a setup.
type NotReadyError struct {
	Node, Text, Advice string
}

func (e *NotReadyError) Error() string { return e.Node + ": " + e.Text }

// Hint says what to do next.
func (e *NotReadyError) Hint() string { return e.Advice }

// ready checks that both machines have the programs and the same release.
func ready(here, there machine.Facts, a Answers) error {
	for _, one := range []struct {
		node string
		f    machine.Facts
	}{{a.Name, here}, {a.PeerName, there}} {
		if one.f.UID != 0 {
			return &NotReadyError{one.node, "setup needs root", "run it with sudo, or as root"}
		}
		if missing := missingPrograms(one.f, a); len(missing) > 0 {
			return &NotReadyError{one.node, "not installed: " + strings.Join(missing, ", "), "apt install the missing ones of zfsutils-linux keepalived docker.io openssh-client; Understudy itself: its package, or make install"}
		}
	}
	if release(here) != release(there) {
		return &NotReadyError{a.PeerName, fmt.Sprintf("Understudy is %s here and %s there", release(here), release(there)), "install the same release on both"}
	}
	if here.Folder != there.Folder {
		return &NotReadyError{a.PeerName, fmt.Sprintf("the programs are in %s here and in %s there", here.Folder, there.Folder), "install them the same way on both"}
	}
	return nil
}

// release returns the version without the platform, which may differ.
func release(f machine.Facts) string {
	version, _, _ := strings.Cut(f.Version, " ")
	return version
}
