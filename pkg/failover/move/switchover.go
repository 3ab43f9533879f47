package move

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
)

const (
	// sendTimeout bounds one run of zfs-replicate while services run.
	sendTimeout = time.Hour
	// quickSend is how short a run has to be for the last one to be short too, and
	// sends how many runs are tried.
	quickSend, sends = 15 * time.Second, 4
)

// Switched is the result of a planned switchover.
type Switched struct {
	From   string        `json:"from"`
	To     string        `json:"to"`
	Checks []rules.Check `json:"checks"`
	// Moved: the other node is active.
	Moved bool `json:"moved"`
	// Gap is how long nothing served, in seconds: from the first service that was
	// stopped until the other node was active.
	Gap float64 `json:"gap_seconds,omitempty"`
}

// Switchover hands the active role over to another node, without loss. Changes are
// sent while the services run; then the services stop, the rest is sent, and the
// virtual IP moves. If a step before that fails, everything starts here again. With
// dryRun it only checks whether it would succeed.
func (m *Mover) Switchover(ctx context.Context, to string, dryRun bool) (Switched, error) {
	peer, result, err := m.ready(ctx, to)
	if err != nil || dryRun {
		return result, err
	}
	if err := m.sendAhead(ctx, peer); err != nil {
		return result, fmt.Errorf("switchover: nothing has been stopped: %w", err)
	}
	return m.cross(ctx, peer, result, m.HandOver)
}

// ready chooses a node to hand over to, and checks whether it would succeed.
func (m *Mover) ready(ctx context.Context, to string) (config.Node, Switched, error) {
	peer, err := m.successor(m.choose(ctx, to))
	if err != nil {
		return peer, Switched{From: m.Self.Name, To: to}, err
	}
	result := Switched{From: m.Self.Name, To: peer.Name}
	if result.Checks, err = m.preflight(ctx, peer); err != nil {
		return peer, result, err
	}
	if m.Checked != nil {
		m.Checked(result.Checks)
	}
	if failed := rules.Failures(result.Checks); len(failed) > 0 {
		return peer, result, &rules.NotReadyError{Failed: failed}
	}
	return peer, result, nil
}

// cross hands over, by handOver, and waits until the other node is active.
func (m *Mover) cross(ctx context.Context, peer config.Node, result Switched, handOver func(context.Context, config.Node, failover.Send) error) (Switched, error) {
	began := m.Now()
	err := handOver(ctx, peer, func(ctx context.Context) error { return m.Send(ctx, peer.Name, failover.LastSendTimeout) })
	if err != nil {
		return result, err
	}
	if err := m.awaitSuccessor(ctx, peer); err != nil {
		return result, err
	}
	result.Moved, result.Gap = true, m.Now().Sub(began).Seconds()
	return result, nil
}

// choose returns the node to hand over to where none is named: of the standbys that
// could serve, the one with the highest priority.
func (m *Mover) choose(ctx context.Context, to string) string {
	if to != "" || len(m.Others()) < 2 {
		return to
	}
	best := config.Node{}
	for _, a := range m.AskAll(ctx) {
		if a.Err == nil && a.State.CouldServe() && a.Node.Priority > best.Priority {
			best = a.Node
		}
	}
	return best.Name
}

// successor returns the node of that name or, without one, the only other node.
func (m *Mover) successor(to string) (config.Node, error) {
	others := m.Others()
	for _, other := range others {
		if other.Name == to || to == "" && len(others) == 1 {
			return other, nil
		}
	}
	if to == "" {
		return config.Node{}, rules.NotReady(m.Self.Name, fmt.Sprintf("there are %d other nodes, and none is an eligible standby", len(others)),
			"see failover-notify status, or name a node: --to NODE")
	}
	return config.Node{}, rules.NotReady(to, "it is not one of the other nodes", "failover-notify status lists them")
}

// sendAhead sends changes while the services run, until a run is short enough for the
// last one to be short too.
func (m *Mover) sendAhead(ctx context.Context, peer config.Node) error {
	if !m.Data.Configured() {
		return nil
	}
	for range sends {
		began := m.Now()
		if err := m.Send(ctx, peer.Name, sendTimeout); err != nil {
			return err
		}
		if m.Now().Sub(began) < quickSend {
			break
		}
	}
	return nil
}

// reclaimAddress lets this node have the virtual IP again; keepalived and the
// watcher do the rest.
func (m *Mover) reclaimAddress(cause error) error {
	return errors.Join(cause, m.ReclaimAddress(context.Background()))
}
