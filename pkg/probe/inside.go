package probe

import (
	"context"
	"net/netip"
	"net/url"

	"github.com/understudy-ha/understudy/pkg/docker"
)

// Connections to this machine's loopback address reach a container through the engine's
// proxy, a process that ends with a killed engine. The kernel forwards packets from
// outside, and connections to the container's own address.

// insideOf returns the address at which a container listens for target, a port that it
// publishes on this machine's loopback. It returns "" if no proxy is in between.
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

// askInside asks the container itself if neither the engine nor, through its proxy, the
// service answers. If the container answers, the failed ping becomes a warning.
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
	checks[ping].Text += "; it answers without the engine's proxy, at " + inside
	return true
}
