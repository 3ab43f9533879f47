package failover

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/state"
)

// Joined is the result of joining.
type Joined struct {
	Role state.Role `json:"role"`
	// Already: this node was active in this boot, and nothing was changed.
	Already  bool               `json:"already,omitempty"`
	Eligible bool               `json:"eligible"`
	Reasons  []state.Ineligible `json:"reasons,omitempty"`
	Peers    []rules.PeerState  `json:"peers,omitempty"`
	Silent   []string           `json:"silent,omitempty"`
}

// Join is the boot. This node stops the containers that the boot has started, releases
// its data, and asks the other nodes. It becomes eligible once it comes first, or can
// take over from an active node. A node that is active in this boot is left alone.
func (n *Node) Join(ctx context.Context) (Joined, error) {
	lock, err := n.LockRole(ctx)
	if err != nil {
		return Joined{}, err
	}
	defer lock.Unlock()
	role, err := n.State.Role()
	if err != nil {
		return Joined{}, err
	}
	if role.Serving(n.Boot) {
		return Joined{Role: role.Role, Already: true, Eligible: n.ShownEligible()}, nil
	}
	if err := n.ForgetJoined(ctx); err != nil {
		return Joined{}, err
	}
	answers := make(chan []Answer, 1)
	go func() { answers <- n.AskAll(ctx) }()

	n.replay(ctx, role)
	demoted := n.change(ctx, role, state.RoleStandby, state.Request{Requested: state.RequestBackup, Source: state.SourceJoin})
	if _, left := errors.AsType[*LeftoverError](demoted); demoted != nil && !left {
		return Joined{}, demoted
	}
	got := <-answers
	peers, silent := Answered(got)
	if err := n.Learn(got); err != nil {
		return Joined{}, err
	}
	if err := n.MarkJoined(); err != nil {
		return Joined{}, err
	}
	if err := n.Weigh(ctx, got); err != nil {
		return Joined{}, err
	}
	eligibility, _, err := n.State.Eligibility()
	if err != nil {
		return Joined{}, err
	}
	if role, err = n.State.Role(); err != nil {
		return Joined{}, err
	}
	return Joined{Role: role.Role, Eligible: eligibility.Eligible, Reasons: eligibility.Reasons, Peers: peers, Silent: silent}, demoted
}

// replay brings the last synced writes into the datasets, on a node that went down
// without having released them.
func (n *Node) replay(ctx context.Context, role state.RoleFile) {
	if !n.Data.Configured() || !rules.Crashed(role, n.Boot) {
		return
	}
	result, err := n.Data.Replay(ctx)
	for _, w := range result.Warnings {
		n.Log.Warn().Msg(w)
	}
	if err != nil {
		n.Log.Warn().Err(err).Msg("intent logs of the last boot are not replayed")
	}
}

// Fence makes the datasets read-only at boot on a node that went down active, or while
// its role changed. It returns the fenced datasets.
func (n *Node) Fence(ctx context.Context) (data.Result, error) {
	role, err := n.State.Role()
	if err != nil {
		return data.Result{}, err
	}
	if !n.Data.Configured() || !rules.Crashed(role, n.Boot) {
		return data.Result{}, nil
	}
	result, err := n.Data.Fence(ctx)
	if err != nil {
		return result, fmt.Errorf("fence the datasets for the boot: %w", err)
	}
	return result, nil
}
