package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Check is one condition of a switchover, and whether it holds.
type Check struct {
	Name string `json:"name"`
	Node string `json:"node"`
	OK   bool   `json:"ok"`
	Text string `json:"text,omitempty"`
	Hint string `json:"hint,omitempty"`
}

// Failures returns the checks that failed.
func Failures(checks []Check) []Check {
	var failed []Check
	for _, c := range checks {
		if !c.OK {
			failed = append(failed, c)
		}
	}
	return failed
}

// NotReadyError is a switchover that would fail, or lose something.
type NotReadyError struct{ Failed []Check }

func (e *NotReadyError) Error() string {
	text := "switchover refused:"
	for _, c := range e.Failed {
		text += fmt.Sprintf(" %s: %s;", c.Node, c.Text)
	}
	return text[:len(text)-1]
}

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (e *NotReadyError) ExitCode() int { return exit.Refused }

// Hint returns what to do next: the last check is nearest to the cause.
func (e *NotReadyError) Hint() string { return e.Failed[len(e.Failed)-1].Hint }

// NotReady returns the error for one thing that is not ready.
func NotReady(node, text, hint string) error {
	return &NotReadyError{[]Check{{Node: node, Text: text, Hint: hint}}}
}

// Readiness is what a switchover depends on, of one node.
type Readiness struct {
	PeerState
	Services    *ServicesStatus
	Data        *DataStatus
	Replication *ReplicationStatus
}

// JudgeSwitchover judges what both nodes say of themselves.
func JudgeSwitchover(own, peer Readiness, address bool) []Check {
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
	add(own.Node, "address", !address || own.HoldsAddress, "the virtual IP is not on it", "see that keepalived runs")
	alerted(add, own)

	add(peer.Node, "standby", peer.Role == state.RoleStandby, fmt.Sprintf("it is %s, not a standby", peer.Role), "failover-notify status tells why")
	add(peer.Node, "eligible", peer.Eligible, Words(peer.Reasons), "failover-notify status there shows how to end it")
	alerted(add, peer)
	ready(add, own, peer)
	return checks
}

func alerted(add func(node, name string, ok bool, text, hint string), s Readiness) {
	add(s.Node, "alerts", len(s.Alerts) == 0, strings.Join(s.Alerts, "; "), "fix that first")
}

// ready checks whether the peer could serve.
func ready(add func(node, name string, ok bool, text, hint string), own, peer Readiness) {
	if s := peer.Services; s != nil {
		add(peer.Node, "engine", s.Error == "", s.Error, "see that the Docker Engine runs, and what it says: docker version")
		add(peer.Node, "projects", len(s.Broken) == 0, strings.Join(s.Broken, "; "), "fix the projects' files")
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
			add(peer.Node, "no conflict", len(names) == 0, "it has unreplicated changes in "+strings.Join(names, ", "), "zfs-replicate rejoin there preserves them, and the node follows again")
		}
		add(peer.Node, "keys", len(d.KeyTyped) == 0, "no key for "+strings.Join(d.KeyTyped, ", "), "zfs load-key there")
	}
}
