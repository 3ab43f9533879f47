package failover

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Check is one thing that was looked at before something is risked.
type Check struct {
	Name string `json:"name"`
	Node string `json:"node"`
	OK   bool   `json:"ok"`
	Text string `json:"text,omitempty"`
	Hint string `json:"hint,omitempty"`
}

func failures(checks []Check) []Check {
	var failed []Check
	for _, c := range checks {
		if !c.OK {
			failed = append(failed, c)
		}
	}
	return failed
}

// preflight looks on both nodes whether a switchover would go well.
func (n *Node) preflight(ctx context.Context, peer config.Node) ([]Check, error) {
	own, err := n.Status(ctx)
	if err != nil {
		return nil, err
	}
	theirs, err := n.Peers.Status(ctx, peer)
	if err != nil {
		return []Check{{Name: "answers", Node: peer.Name, Text: err.Error(), Hint: "a node that can't be asked can't be handed over to; see that ssh works: failover-notify status"}}, nil
	}
	return judgeSwitchover(own, theirs, n.Address.Configured()), nil
}

// judgeSwitchover judges what both nodes say of themselves.
func judgeSwitchover(own, peer Status, address bool) []Check {
	var checks []Check
	add := func(node, name string, ok bool, text, hint string) {
		c := Check{Name: name, Node: node, OK: ok}
		if !ok {
			c.Text, c.Hint = text, hint
		}
		checks = append(checks, c)
	}
	add(own.Node, "active", own.Role == state.RoleActive, fmt.Sprintf("it is %s, not active", own.Role), "run switchover on the active node")
	add(own.Node, "term", own.NewestTerm <= own.Term, fmt.Sprintf("term %d has been seen, it is active under %d", own.NewestTerm, own.Term), "failover-notify master takes a newer term")
	add(own.Node, "address", !address || own.HoldsAddress, "the floating address is not on it", "see that keepalived runs")
	alerted(add, own)

	add(peer.Node, "standby", peer.Role == state.RoleStandby, fmt.Sprintf("it is %s, not a standby", peer.Role), "failover-notify status tells why")
	add(peer.Node, "eligible", peer.Eligible, Words(peer.Reasons), "failover-notify status there names the way out")
	alerted(add, peer)
	ready(add, own, peer)
	return checks
}

func alerted(add func(node, name string, ok bool, text, hint string), s Status) {
	add(s.Node, "alerts", len(s.Alerts) == 0, strings.Join(s.Alerts, "; "), "mend that first")
}

// ready says whether the peer has what it needs to serve.
func ready(add func(node, name string, ok bool, text, hint string), own, peer Status) {
	if s := peer.Services; s != nil {
		add(peer.Node, "engine", s.Error == "", s.Error, "see that the Docker Engine runs, and what it says: docker version")
		add(peer.Node, "projects", len(s.Broken) == 0, strings.Join(s.Broken, "; "), "mend the projects' files")
		add(peer.Node, "images", len(s.MissingImages) == 0, "it lacks images: "+strings.Join(s.MissingImages, ", "), "pull them there: docker compose pull, or image-sync")
		if own.Services != nil {
			add(peer.Node, "same projects", s.Projects == own.Services.Projects, fmt.Sprintf("it has %d projects, %s has %d", s.Projects, own.Node, own.Services.Projects), "bring services.directory to the same state on both")
		}
	}
	if d := peer.Data; d != nil {
		add(peer.Node, "datasets", d.Error == "" && len(d.Missing) == 0, strings.TrimSpace(d.Error+" it lacks "+strings.Join(d.Missing, ", ")), "run zfs-replicate until all are there")
		if r := peer.Replication; r != nil && r.Received != nil && r.Received.From == own.Node {
			// As it knows: a rejoin there ends it, which the active node hears of later.
			names := slices.Sorted(maps.Keys(r.Received.Conflicts))
			add(peer.Node, "no conflict", len(names) == 0, "it has something of its own in "+strings.Join(names, ", "), "zfs-replicate rejoin there: it keeps that, and follows")
		}
		add(peer.Node, "keys", len(d.KeyTyped) == 0, "no key for "+strings.Join(d.KeyTyped, ", "), "zfs load-key there")
	}
}
