package move

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// awaitSuccessor waits until the other node is active. If that fails, this node
// becomes eligible again, and then active by itself.
func (m *Mover) awaitSuccessor(ctx context.Context, peer config.Node) error {
	ctx, cancel := context.WithTimeout(ctx, m.Config.Failover.PeerStop+m.Config.Services.StartTimeout)
	defer cancel()
	began := m.Now()
	for {
		answer, err := m.Peers.Ask(ctx, peer)
		idle := m.Now().Sub(began) > m.Config.Failover.PeerStop
		switch {
		case err == nil && answer.Role == state.RoleActive:
			return m.Weigh(context.WithoutCancel(ctx), m.AskAll(ctx))
		case err == nil && !answer.Eligible:
			return m.reclaimAddress(fmt.Errorf("switchover: %s did not become active: %s", peer.Name, rules.Words(answer.Reasons)))
		case ctx.Err() != nil, idle && (err != nil || answer.Role != state.RolePromoting):
			return m.reclaimAddress(fmt.Errorf("switchover: %s did not become active in %.0f s", peer.Name, m.Now().Sub(began).Seconds()))
		}
		if err := clock.Pause(ctx, failover.PollPeer); err != nil {
			return m.reclaimAddress(fmt.Errorf("switchover: %s is not known to be active: %w", peer.Name, err))
		}
	}
}

// awaitActive waits until the other node is active.
func (m *Mover) awaitActive(ctx context.Context, peer config.Node) error {
	ctx, cancel := context.WithTimeout(ctx, m.Config.Failover.PeerStop+m.Config.Services.StartTimeout)
	defer cancel()
	for {
		answer, err := m.Peers.Ask(ctx, peer)
		if err == nil && answer.Role == state.RoleActive {
			return nil
		}
		if clock.Pause(ctx, failover.PollPeer) != nil {
			return &UnresolvedError{fmt.Sprintf("%s has not become active; this node has stepped down, and nothing was rolled back", peer.Name),
				"make it active (check keepalived there, or run failover-notify master), then run this again"}
		}
	}
}

// awaitEligible waits until another node has found itself eligible. If it does not, or
// needs its operator, the switchover reports it.
func (m *Mover) awaitEligible(ctx context.Context, peer config.Node) error {
	patience, cancel := context.WithTimeout(ctx, m.Config.Failover.PeerStop)
	defer cancel()
	for {
		answer, err := m.Peers.Ask(patience, peer)
		ready := err == nil && answer.Role == state.RoleStandby && answer.Eligible
		stays := slices.ContainsFunc(answer.Reasons, rules.Lasting)
		if ready || stays || clock.Pause(patience, failover.PollPeer) != nil {
			return context.Cause(ctx)
		}
	}
}

// awaitServices waits until a node is active and runs all projects that ran
// before.
func (m *Mover) awaitServices(ctx context.Context, name string, before failover.Status, look func(context.Context) (failover.Status, error)) error {
	patience, cancel := context.WithTimeout(ctx, m.Config.Services.StartTimeout)
	defer cancel()
	for {
		status, err := look(patience)
		missing := ""
		switch {
		case err != nil:
			missing = err.Error()
		case status.Role != state.RoleActive:
			missing = fmt.Sprintf("it is %s", status.Role)
		case before.Services != nil && status.Services == nil:
			missing = "its services are unknown"
		case before.Services != nil:
			missing = lacking(*before.Services, *status.Services)
		}
		if missing == "" {
			return nil
		}
		if clock.Pause(patience, failover.PollPeer) != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s does not run everything that ran before: %s", name, missing)
		}
	}
}

// lacking returns the projects and services that ran before and do not run now.
func lacking(before, now rules.ServicesStatus) string {
	if now.Error != "" {
		return now.Error
	}
	var missing []string
	for _, project := range before.Running {
		if !slices.Contains(now.Running, project) {
			missing = append(missing, project)
		}
	}
	for _, service := range now.Lame {
		if !slices.Contains(before.Lame, service) {
			missing = append(missing, service)
		}
	}
	if len(missing) == 0 {
		return ""
	}
	return "not running: " + strings.Join(missing, ", ")
}

// serving returns the name of the active node, or "". After a failed handover it takes
// a moment until one of the two is active again.
func (m *Mover) serving(ctx context.Context, peer config.Node) string {
	ctx, cancel := context.WithTimeout(ctx, 2*m.Config.Failover.PeerStop)
	defer cancel()
	for {
		if own, err := m.Describe(); err == nil && own.Role == state.RoleActive {
			return m.Self.Name
		}
		if answer, err := m.Peers.Ask(ctx, peer); err == nil && answer.Role == state.RoleActive {
			return peer.Name
		}
		if clock.Pause(ctx, failover.PollPeer) != nil {
			return ""
		}
	}
}
