package probe

import (
	"context"
	"net/netip"
	"net/url"

	"github.com/understudy-ha/understudy/pkg/docker"
)

// The engine brings what this machine asks of its own loopback address to a
// container by a proxy, a process that ends with the engine when that is killed.
// Packets from outside are forwarded by the kernel's rules, and so does what is
// asked of the container's own address.

// insideOf returns the address at which a container itself listens for target,
// which it publishes on this machine's loopback; empty where no proxy is in
// between.
func insideOf(c docker.Details, target string) string {
	u, err := url.Parse(target)
	if err != nil || !isLoopback(u.Hostname()) {
		return ""
	}
	for _, p := range c.Published {
		host, err := netip.ParseAddr(p.Host)
		if err == nil && p.Port == portOf(u) && (host.IsUnspecified() || host.IsLoopback()) {
			return p.Inside
		}
	}
	return ""
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// askInside asks the container itself when neither the engine nor, by its proxy,
// the service answers, and makes a warning of that silence when it does.
func (p *Probe) askInside(ctx context.Context, checks []Check, inside string) (answers bool) {
	down, ping := false, -1
	for i, c := range checks {
		down = down || c.Verdict == engineDown
		if c.Name == checkPing && (c.Verdict == Failed || c.Verdict == Warned) {
			ping = i
		}
	}
	if !down || ping < 0 || inside == "" || get(ctx, p.Config.Probe.Ping, inside) != nil {
		return false
	}
	checks[ping].Verdict = Warned
	checks[ping].Text += "; without the engine's proxy, at " + inside + ", it answers"
	return true
}
