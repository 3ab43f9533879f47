package lag

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
)

// errNotAsked is why nothing is known of a node that nobody asked.
var errNotAsked = errors.New("not asked")

// source finds the node that the others are compared with: the active one or,
// where none is, the one that was active last; without roles the one that
// sends. It may be one that does not answer.
func (c *Checker) source(views []*view) (*view, []Problem) {
	var active []*view
	var silent *view
	roles := false
	for _, v := range views {
		switch {
		case v.inv == nil:
			silent = v
		case v.inv.Role == state.RoleActive || v.inv.Role == state.RoleDemoting:
			active = append(active, v)
		}
		roles = roles || v.inv != nil && v.inv.Role != state.RoleUnknown && !v.node.Local
	}
	newest := newestOf(active, func(v *view) uint64 { return v.inv.Term })
	if newest != nil {
		return newest, both(active)
	}
	var problems []Problem
	if roles && silent == nil {
		problems = append(problems, Problem{Level: Warning, Text: "no node is active",
			Hint: "failover-notify status shows what the nodes are, and why"})
	}
	return c.lastActive(views, silent), problems
}

// both says what is wrong when more than one node is active.
func both(active []*view) []Problem {
	var names []string
	for _, v := range active {
		if v.inv.Role == state.RoleActive {
			names = append(names, fmt.Sprintf("%s (term %d)", v.node.Name, v.inv.Term))
		}
	}
	if len(names) < 2 {
		return nil
	}
	return []Problem{{Level: Critical, Text: "more than one node is active: " + strings.Join(names, ", "),
		Hint: "both may have been written to: failover-notify status; nothing is replicated until one steps down"}}
}

// lastActive is the source where no node that answers is active. A node that
// does not answer is the source when the data received from it here is newer
// than the last term under which any that answers was active.
func (c *Checker) lastActive(views []*view, silent *view) *view {
	var answering []*view
	for _, v := range views {
		if v.inv != nil && !v.node.Local {
			answering = append(answering, v)
		}
	}
	newest := newestOf(answering, func(v *view) uint64 { return v.inv.ActiveTerm })
	if received := views[0].inv.Received; silent != nil && received != nil {
		if newest == nil || received.Term >= newest.inv.ActiveTerm {
			for _, v := range views {
				if v.inv == nil && v.node.Name == received.From {
					return v
				}
			}
		}
	}
	if newest != nil {
		return newest
	}
	newest = newestOf(answering, func(v *view) uint64 {
		var at time.Time
		for _, sent := range v.inv.Sent {
			if sent.After(at) {
				at = sent
			}
		}
		return uint64(max(at.Unix(), 0))
	})
	if newest == nil && c.holds(views[0]) {
		newest = views[0]
	}
	return newest
}

// newestOf is the view with the largest number, if any is above 0.
func newestOf(views []*view, number func(*view) uint64) *view {
	var best *view
	for _, v := range views {
		if n := number(v); n > 0 && (best == nil || n > number(best)) {
			best = v
		}
	}
	if best == nil && len(views) == 1 && views[0].inv.Role == state.RoleActive {
		return views[0] // under no term
	}
	return best
}

// holds reports whether a node has datasets of the configuration that are its own.
func (c *Checker) holds(v *view) bool {
	for _, d := range v.datasets() {
		for _, entry := range c.Config.Replication.Datasets {
			if entry.Covers(d.Name) && !d.Replica() {
				return true
			}
		}
	}
	return false
}

// missing are the datasets of the configuration that the source does not have.
func (c *Checker) missing(source *view) []Problem {
	var problems []Problem
	for _, name := range plan.MissingDatasets(c.Config.Replication.Datasets, c.local(), source.datasets()) {
		problems = append(problems, Problem{Level: Critical, Text: fmt.Sprintf("dataset %s is in the config, but not on %s", name, source.node.Name),
			Hint: "see 'zfs list' there and replication.datasets; a pool that is not imported comes back with 'zpool import'"})
	}
	return problems
}
