package failover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// sendTimeout bounds one run of zfs-replicate while services run, and
	// lastSendTimeout the one while nothing serves.
	sendTimeout, lastSendTimeout = time.Hour, 2 * time.Minute
	// quickSend is how short a run has to be for the last one to be short too,
	// and sends how often that is tried.
	quickSend, sends = 15 * time.Second, 4
)

// Switched is how a planned switchover went.
type Switched struct {
	From   string  `json:"from"`
	To     string  `json:"to"`
	Checks []Check `json:"checks"`
	// Moved says that the other node is active.
	Moved bool `json:"moved"`
	// Gap is how long nothing served, in seconds: from the first service that was
	// stopped until the other node was active.
	Gap float64 `json:"gap_seconds,omitempty"`
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

// Hint says what to do next: what is looked at last is nearest to the cause.
func (e *NotReadyError) Hint() string { return e.Failed[len(e.Failed)-1].Hint }

// UndoneError is a switchover that failed on the way: everything runs here again.
type UndoneError struct{ Err error }

func (e *UndoneError) Error() string {
	return "switchover: everything runs here again: " + e.Err.Error()
}

func (e *UndoneError) Unwrap() error { return e.Err }

// ExitCode is 1, whatever the part that failed ends with.
func (e *UndoneError) ExitCode() int { return 1 }

// Hint is that of what failed or, without one, where to look.
func (e *UndoneError) Hint() string {
	var inner exit.Hinter
	if errors.As(e.Err, &inner) && inner.Hint() != "" {
		return inner.Hint()
	}
	return "failover-notify doctor looks at both nodes; then try again"
}

// Switchover hands the active role over to another node, without loss: what was
// written is sent while the services run, they are stopped, the rest is sent, and
// only then the address moves. Whatever fails before that starts everything here
// again. With dryRun it only looks whether it would go well.
func (n *Node) Switchover(ctx context.Context, to string, dryRun bool) (Switched, error) {
	peer, result, err := n.ready(ctx, to)
	if err != nil || dryRun {
		return result, err
	}
	if err := n.sendAhead(ctx, peer); err != nil {
		return result, fmt.Errorf("switchover: nothing has been stopped: %w", err)
	}
	return n.cross(ctx, peer, result, n.takeBack)
}

// ready chooses a node to hand over to, and looks whether it would go well.
func (n *Node) ready(ctx context.Context, to string) (config.Node, Switched, error) {
	peer, err := n.successor(n.choose(ctx, to))
	if err != nil {
		return peer, Switched{From: n.Self.Name, To: to}, err
	}
	result := Switched{From: n.Self.Name, To: peer.Name}
	if result.Checks, err = n.preflight(ctx, peer); err != nil {
		return peer, result, err
	}
	if n.Checked != nil {
		n.Checked(result.Checks)
	}
	if failed := failures(result.Checks); len(failed) > 0 {
		return peer, result, &NotReadyError{failed}
	}
	return peer, result, nil
}

// instead is what is done instead of a handover that has failed on the way.
type instead func(ctx context.Context, t *transition, request state.Request, cause error) error

// cross hands over and waits until the other node is active.
func (n *Node) cross(ctx context.Context, peer config.Node, result Switched, failed instead) (Switched, error) {
	began := n.Now()
	if err := n.handOver(ctx, peer, failed); err != nil {
		return result, err
	}
	if err := n.awaitSuccessor(ctx, peer); err != nil {
		return result, err
	}
	result.Moved, result.Gap = true, n.Now().Sub(began).Seconds()
	return result, nil
}

// choose names the node to hand over to where nobody has: of several standbys
// that would take over, the one that comes first in an election.
func (n *Node) choose(ctx context.Context, to string) string {
	if to != "" || len(n.others()) < 2 {
		return to
	}
	best := config.Node{}
	for _, a := range n.askAll(ctx) {
		if a.Err == nil && a.State.couldServe() && a.Node.Priority > best.Priority {
			best = a.Node
		}
	}
	return best.Name
}

// successor is the node of that name or, without one, the only other node.
func (n *Node) successor(to string) (config.Node, error) {
	others := n.others()
	for _, other := range others {
		if other.Name == to || to == "" && len(others) == 1 {
			return other, nil
		}
	}
	if to == "" {
		return config.Node{}, &NotReadyError{[]Check{{Node: n.Self.Name, Text: fmt.Sprintf("there are %d other nodes, and none is a standby that may hold the address", len(others)), Hint: "look at failover-notify status, or name the one that is to be active: --to NODE"}}}
	}
	return config.Node{}, &NotReadyError{[]Check{{Node: to, Text: "it is none of the other nodes", Hint: "failover-notify status names them"}}}
}

// sendAhead sends what was written while the services go on, until a run is
// short enough for the last one to be short as well.
func (n *Node) sendAhead(ctx context.Context, peer config.Node) error {
	if !n.Data.Configured() {
		return nil
	}
	for range sends {
		began := n.Now()
		if err := n.Send(ctx, peer.Name, sendTimeout); err != nil {
			return err
		}
		if n.Now().Sub(began) < quickSend {
			break
		}
	}
	return nil
}

// handOver stops the services, gives the data up, sends the rest, and gives the
// address away. Where that fails, the other thing is done instead.
func (n *Node) handOver(ctx context.Context, peer config.Node, failed instead) error {
	lock, err := n.State.WaitLock(ctx, reconcileLock)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	role, err := n.State.Role()
	if err != nil {
		return err
	}
	request, found, err := n.request()
	if err != nil {
		return err
	}
	if role.Role != state.RoleActive || role.Boot != n.Boot || !found || request.Requested != state.RequestMaster {
		return &NotReadyError{[]Check{{Node: n.Self.Name, Text: "it is not active any more", Hint: "look at failover-notify status"}}}
	}
	t, err := n.begin(role, state.RoleDemoting, state.RoleStandby, state.Request{
		Seq: request.Seq, Requested: state.RequestBackup, Source: state.SourceOperator, Reason: "switchover to " + peer.Name})
	if err != nil {
		return err
	}
	if err := n.handOverSteps(ctx, t, peer); err != nil {
		return failed(ctx, t, request, err)
	}
	if err := t.end(state.RoleStandby, state.OutcomeDone, nil); err != nil {
		return err
	}
	// Also when a person ends the switchover right now: a standby that has the address
	// and keeps it would serve nothing.
	err = n.letGo(context.WithoutCancel(ctx), peer)
	n.giveLeaseBack()
	return err
}

// letGo lets the other node have the address.
func (n *Node) letGo(ctx context.Context, peer config.Node) error {
	return n.changeEligibility(ctx, func(reasons []state.Ineligible) []state.Ineligible {
		return with(reasons, state.Ineligible{Kind: state.IneligibleHandover, Text: "handing over to " + peer.Name, Since: n.Now(), Node: peer.Name})
	})
}

func (n *Node) handOverSteps(ctx context.Context, t *transition, peer config.Node) error {
	if err := t.set(func(r *state.RoleFile) { r.Transition.Handover = peer.Name }); err != nil {
		return err
	}
	if left := n.giveAway(ctx, t); len(left) > 0 {
		return &LeftoverError{left}
	}
	if !n.Data.Configured() {
		return ctx.Err()
	}
	return t.step(ctx, "send the rest", peer.Name, lastSendTimeout, func(ctx context.Context) error {
		return n.Send(ctx, peer.Name, lastSendTimeout)
	})
}

// takeBack starts everything here again: the address has not moved.
func (n *Node) takeBack(ctx context.Context, t *transition, request state.Request, cause error) error {
	// Also when a person has ended the switchover.
	ctx = context.WithoutCancel(ctx)
	n.Log.Warn().Err(cause).Msg("the switchover failed: everything is started here again")
	if err := t.end(state.RoleDemoting, state.OutcomeFailed, cause); err != nil {
		return errors.Join(cause, err)
	}
	request.Reason = "the switchover failed"
	if err := n.promote(ctx, t.current(), request); err != nil {
		return fmt.Errorf("%w; and starting everything here again: %w", cause, err)
	}
	return &UndoneError{cause}
}

// awaitSuccessor waits until the other node is active. If it can't be, this one
// may have the address again, and takes everything back by itself.
func (n *Node) awaitSuccessor(ctx context.Context, peer config.Node) error {
	ctx, cancel := context.WithTimeout(ctx, n.Config.Failover.PeerStop+n.Config.Services.StartTimeout)
	defer cancel()
	began := n.Now()
	for {
		answer, err := n.Peers.Ask(ctx, peer)
		idle := n.Now().Sub(began) > n.Config.Failover.PeerStop
		switch {
		case err == nil && answer.Role == state.RoleActive:
			return n.weigh(context.WithoutCancel(ctx), n.askAll(ctx))
		case err == nil && !answer.Eligible:
			return n.takeAddressBack(fmt.Errorf("switchover: %s did not become active: %s", peer.Name, Words(answer.Reasons)))
		case ctx.Err() != nil, idle && (err != nil || answer.Role != state.RolePromoting):
			return n.takeAddressBack(fmt.Errorf("switchover: %s did not become active in %.0f s", peer.Name, n.Now().Sub(began).Seconds()))
		}
		if err := pause(ctx, pollPeer); err != nil {
			return n.takeAddressBack(fmt.Errorf("switchover: %s is not known to be active: %w", peer.Name, err))
		}
	}
}

// takeAddressBack lets this node have the address again; keepalived and the
// watcher do the rest.
func (n *Node) takeAddressBack(cause error) error {
	err := n.changeEligibility(context.Background(), func(last []state.Ineligible) []state.Ineligible {
		return without(last, state.IneligibleHandover)
	})
	return errors.Join(cause, err)
}

// send runs zfs-replicate to one node.
func (n *Node) send(ctx context.Context, to string, timeout time.Duration) error {
	argv := []string{"zfs-replicate", "run", "--to", to}
	if file := n.Config.File(); file != "" {
		argv = append(argv, "--config", file)
	}
	return n.patiently(ctx, timeout, argv)
}

// patiently runs zfs-replicate. A run of cron's that is under way is waited for.
func (n *Node) patiently(ctx context.Context, timeout time.Duration, argv []string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		_, err := n.Runner.Output(ctx, timeout, argv...)
		failed, ok := errors.AsType[*run.Error](err)
		if !ok || failed.ExitCode != exit.Locked {
			return said(err)
		}
		if pause(ctx, pollPeer) != nil {
			return said(err)
		}
	}
}

// said returns a failure of one of our own programs in its own words. Its exit
// code counts where it has refused; any other is a failure of this program too.
func said(err error) error {
	said, ok := errors.AsType[*remote.Error](remote.SaidIn(err))
	if !ok {
		return err
	}
	if said.Code != exit.Refused {
		said.Code = exit.Failed
	}
	return said
}
