package config

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// lookupTimeout bounds the resolution of one node's host name.
const lookupTimeout = 5 * time.Second

// SelfError says that this machine could not be told apart among the nodes.
type SelfError struct {
	Text string
	Err  error
}

func (e *SelfError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("find this node in the config: %s: %v", e.Text, e.Err)
	}
	return "find this node in the config: " + e.Text
}

func (e *SelfError) Unwrap() error { return e.Err }

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *SelfError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *SelfError) Hint() string {
	return "correct the addresses of the nodes, or set UNDERSTUDY_NODE to this node's name"
}

// LocalAddresses returns the addresses of this machine's interfaces.
func LocalAddresses() ([]netip.Addr, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list this machine's addresses: %w", err)
	}
	var addresses []netip.Addr
	for _, a := range found {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			addresses = append(addresses, p.Addr().Unmap().WithZone(""))
		}
	}
	return addresses, nil
}

// Self returns the node that this machine is: the one that the key node names
// or, without it, the only one with an address from local. Pass
// LocalAddresses, or nil for it. Host names are resolved when they must be,
// each for at most five seconds. None or several are a *SelfError.
func (c *Config) Self(ctx context.Context, local func() ([]netip.Addr, error)) (Node, error) {
	if c.Node != "" {
		for _, n := range c.Nodes {
			if n.Name == c.Node {
				return n, nil
			}
		}
		return Node{}, &SelfError{Text: fmt.Sprintf("%q is none of the nodes", c.Node)}
	}
	if local == nil {
		local = LocalAddresses
	}
	own, err := local()
	if err != nil {
		return Node{}, &SelfError{Text: "its addresses are not known", Err: err}
	}
	var matches []Node
	var lookupErr error
	for _, n := range c.Nodes {
		if n.Local {
			continue // another pool, never the machine itself
		}
		addresses, err := resolve(ctx, n.Address)
		if err != nil {
			// Another node's name may well be unknown here; it matters only
			// when no other node turns out to be this machine.
			lookupErr = err
		}
		if isOwn(addresses, own) {
			matches = append(matches, n)
		}
	}
	switch {
	case len(matches) == 1:
		return matches[0], nil
	case len(matches) > 1:
		names := make([]string, len(matches))
		for i, n := range matches {
			names[i] = n.Name + " (" + n.Address + ")"
		}
		return Node{}, &SelfError{Text: "this machine has the addresses of several nodes: " + strings.Join(names, ", ")}
	}
	return Node{}, &SelfError{
		Text: fmt.Sprintf("none of this machine's addresses (%s) is that of a node (%s)", addressList(own), c.nodeAddresses()),
		Err:  lookupErr,
	}
}

// Standbys returns the other nodes, in the order of the file: what the active
// node self replicates to.
func (c *Config) Standbys(self Node) []Node {
	var others []Node
	for _, n := range c.Nodes {
		if n.Name != self.Name {
			others = append(others, n)
		}
	}
	return others
}

func (c *Config) nodeNames() []string {
	names := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		names[i] = n.Name
	}
	return names
}

func (c *Config) nodeAddresses() string {
	var list []string
	for _, n := range c.Nodes {
		if !n.Local {
			list = append(list, n.Name+" "+n.Address)
		}
	}
	return strings.Join(list, ", ")
}

// addressList joins addresses for a message, without those that are on every
// machine.
func addressList(addresses []netip.Addr) string {
	var list []string
	for _, a := range addresses {
		if !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			list = append(list, a.String())
		}
	}
	if len(list) == 0 {
		return "only loopback"
	}
	return strings.Join(list, ", ")
}

func resolve(ctx context.Context, address string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(address); err == nil {
		return []netip.Addr{ip.Unmap().WithZone("")}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", address)
	for i := range found {
		found[i] = found[i].Unmap().WithZone("")
	}
	return found, err
}

// isOwn reports whether one of addresses is one of own. All of 127.0.0.0/8 is
// this machine: Debian gives the host's own name the address 127.0.1.1.
func isOwn(addresses, own []netip.Addr) bool {
	for _, a := range addresses {
		if a.IsLoopback() {
			return true
		}
		for _, o := range own {
			if a == o {
				return true
			}
		}
	}
	return false
}
