package move

import (
	"context"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Moved is a completed switchover with its times.
type Moved struct {
	Switched
	Times Times `json:"times"`
}

// Times are the parts of a switchover during which nothing serves, in seconds.
type Times struct {
	// Stop is how long stopping the services and releasing the data took.
	Stop float64 `json:"stop_seconds"`
	// Send is how long the last increment took.
	Send float64 `json:"send_seconds"`
	// Address is how long the other node took to get the virtual IP and the request to
	// be active. Projects is how long from then until all projects ran there.
	Address  float64 `json:"address_seconds"`
	Projects float64 `json:"projects_seconds"`
}

// measured hands over and returns how long each part took.
func (m *Mover) measured(ctx context.Context, peer config.Node) (Moved, error) {
	switched, err := m.Switchover(ctx, peer.Name, false)
	if err != nil {
		return Moved{Switched: switched}, err
	}
	return Moved{switched, m.times(ctx, peer)}, nil
}

// times returns the times of a switchover that has just ended. An unknown part is 0:
// it is no reason to fail.
func (m *Mover) times(ctx context.Context, peer config.Node) Times {
	given, found := m.lastHandover(peer.Name)
	if !found {
		return Times{}
	}
	times := beforeAddress(given)
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

// lastHandover returns the last transition by which this node handed over to another.
// keepalived may have made one more request since.
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

// beforeAddress returns the first two parts, from the record of the node that handed over.
func beforeAddress(t state.Transition) Times {
	for _, step := range t.Steps {
		if step.Name == rules.SendRestStep {
			return Times{Stop: step.Started.Sub(t.Started).Seconds(), Send: step.Seconds}
		}
	}
	return Times{Stop: t.Ended.Sub(t.Started).Seconds()}
}

// ahead returns how far the clock of another node is ahead of the clock of this node,
// by an answer that came between two moments. Clocks that may be equal count as equal.
func ahead(asked, answered, theirs time.Time) time.Duration {
	switch {
	case theirs.Before(asked):
		return theirs.Sub(asked)
	case theirs.After(answered):
		return theirs.Sub(answered)
	}
	return 0
}
