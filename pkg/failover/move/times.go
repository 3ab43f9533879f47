package move

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Moved is a switchover that was made, with what its parts took.
type Moved struct {
	Switched
	Times Times `json:"times"`
}

// Times are the parts of a switchover in which nothing serves, in seconds.
type Times struct {
	// Stop is how long the services took to stop and the data to be given up.
	Stop float64 `json:"stop_seconds"`
	// Send is how long the last increment took.
	Send float64 `json:"send_seconds"`
	// Address is how long the other node took to have the virtual IP and be
	// asked to be active, and Projects how long from then until all ran there.
	Address  float64 `json:"address_seconds"`
	Projects float64 `json:"projects_seconds"`
}

// measured hands over and looks what each part took.
func (m *Mover) measured(ctx context.Context, peer config.Node) (Moved, error) {
	switched, err := m.Switchover(ctx, peer.Name, false)
	if err != nil {
		return Moved{Switched: switched}, err
	}
	return Moved{switched, m.times(ctx, peer)}, nil
}

// times are those of a switchover that has just come to its end. A part that is
// not known is 0: what it took is nothing to fail for.
func (m *Mover) times(ctx context.Context, peer config.Node) Times {
	given, found := m.lastHandover(peer.Name)
	if !found {
		return Times{}
	}
	times := givenAway(given)
	asked := m.Now()
	answer, err := m.Peers.Ask(ctx, peer)
	if err != nil || answer.Transition == nil || answer.Transition.To != state.RoleActive {
		return times
	}
	taken := *answer.Transition
	times.Projects = max(0, taken.Ended.Sub(taken.Started).Seconds())
	ahead := ahead(asked, m.Now(), answer.Time)
	times.Address = max(0, taken.Started.Add(-ahead).Sub(given.Ended).Seconds())
	return times
}

// lastHandover is the last transition by which this node handed over to another.
// Meanwhile keepalived may have asked for one more.
func (m *Mover) lastHandover(to string) (t state.Transition, found bool) {
	history, err := m.State.History()
	if err != nil {
		return t, false
	}
	for _, past := range history {
		if past.Handover == to && past.Outcome == state.OutcomeDone {
			t, found = past.Transition, true
		}
	}
	return t, found
}

// givenAway reads the first two parts from the node that handed over.
func givenAway(t state.Transition) Times {
	for _, step := range t.Steps {
		if step.Name == rules.SendRestStep {
			return Times{Stop: step.Started.Sub(t.Started).Seconds(), Send: step.Seconds}
		}
	}
	return Times{Stop: t.Ended.Sub(t.Started).Seconds()}
}

// ahead is how far another node's clock is ahead of this one's, by an answer that
// came between two moments. Clocks that may be equal are taken for equal.
func ahead(asked, answered, theirs time.Time) time.Duration {
	switch {
	case theirs.Before(asked):
		return theirs.Sub(asked)
	case theirs.After(answered):
		return theirs.Sub(answered)
	}
	return 0
}
