package failover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// PeerState is what a node says of itself. Neither ZFS nor the engine is asked
// for it, so that it is said within milliseconds whatever hangs.
type PeerState struct {
	Node string `json:"node"`
	// Role is what it is in this boot; unknown before it has joined.
	Role       state.Role `json:"role"`
	Term       uint64     `json:"term"`
	NewestTerm uint64     `json:"newest_term"`
	ActiveTerm uint64     `json:"active_term,omitempty"`
	Since      time.Time  `json:"since,omitzero"`
	Reason     string     `json:"reason,omitempty"`
	// Requested is what was asked of it last in this boot.
	Requested  state.RequestedRole `json:"wish,omitempty"`
	RequestSeq uint64              `json:"wish_seq,omitempty"`
	// HoldsAddress says that the floating address is on it.
	HoldsAddress bool               `json:"holds_address"`
	Eligible     bool               `json:"eligible"`
	Reasons      []state.Ineligible `json:"reasons,omitempty"`
	// Contends says that it takes the address when it may: keepalived runs and has
	// not found it in fault.
	Contends bool `json:"contends"`
	// Replica is how new the data is that it has received.
	Replica *Replica `json:"replica,omitempty"`
	// Writers says that its projects may run, or its datasets be written to.
	Writers bool      `json:"writers"`
	Alerts  []string  `json:"alerts,omitempty"`
	Boot    string    `json:"boot"`
	Time    time.Time `json:"time"`
	// ByLease says that it did not answer itself: etcd says that it is active.
	ByLease bool `json:"by_lease,omitempty"`
	// Transition is the last one.
	Transition *state.Transition `json:"transition,omitempty"`
}

// Describe returns what this node says of itself.
func (n *Node) Describe() (PeerState, error) {
	p := PeerState{Node: n.Self.Name, Boot: n.Boot, Time: n.Now()}
	role, err := n.State.Role()
	if err != nil {
		return p, err
	}
	p.Term, p.ActiveTerm = role.Term, role.ActiveTerm
	p.NewestTerm = max(role.NewestTerm, n.receivedTerm())
	if role.Boot == n.Boot {
		p.Role, p.Since, p.Reason, p.Transition = role.Role, role.Since, role.Reason, role.Transition
		p.Writers = writes(role)
	}
	if request, found, err := n.request(); err == nil && found {
		p.Requested, p.RequestSeq = request.Requested, request.Seq
	}
	// An address that can't be looked for is not held, as far as others know.
	p.HoldsAddress, _ = n.Address.Here()
	if eligibility, _, err := n.State.Eligibility(); err == nil {
		p.Reasons = eligibility.Reasons
	}
	p.Eligible = state.Shown(n.Config.RunDir)
	kept, err := n.Address.Kept()
	p.Contends = n.Address.Configured() && err == nil && kept && p.Requested != state.RequestStop && p.Requested != state.RequestFault
	p.Replica = n.replica()
	p.Alerts = n.alerts()
	return p, nil
}

// writes says whether a node with this role may have services or writable data.
func writes(role state.RoleFile) bool {
	switch role.Role {
	case state.RoleActive, state.RoleDemoting:
		return true
	case state.RolePromoting:
		// It touches neither before it has its term.
		return role.ActiveTerm == role.Term
	}
	return unfinished(role)
}

// unfinished says whether the last demotion has left something behind.
func unfinished(role state.RoleFile) bool {
	t := role.Transition
	return role.Role == state.RoleFault && t != nil && t.Outcome == state.OutcomeFailed && t.To != state.RoleActive
}

// receivedTerm is the newest term under which this node has received data.
func (n *Node) receivedTerm() uint64 {
	var received struct {
		Term uint64 `json:"term"`
	}
	if _, err := n.State.Read("received", &received); err != nil {
		return 0
	}
	return received.Term
}

// newestTerm is the newest term that this node has heard of; zero when it has heard
// of none, or that can't be read.
func (n *Node) newestTerm() uint64 {
	role, err := n.State.Role()
	if err != nil {
		return 0
	}
	return max(role.NewestTerm, role.Term, n.receivedTerm())
}

// heardName is the name of what a node leaves that has asked this one and knows of
// a newer term. It lies where nothing waits for a disk.
const heardName = "heard"

// Heard notes that another node says that it knows of a newer term than this one.
// Nothing but asking that node sooner comes of it: what it says of itself when it
// is asked counts, and not what anybody says who can log in here.
func (n *Node) Heard(newest uint64) error {
	if newest <= n.newestTerm() {
		return nil
	}
	dir, err := state.Open(n.Config.RunDir)
	if err != nil {
		return err
	}
	return dir.Write(heardName, struct {
		Term uint64    `json:"term"`
		Time time.Time `json:"time"`
	}{newest, n.Now().UTC()})
}

// UnreachableError is a node that does not answer at all.
type UnreachableError struct {
	Node, Address string
	Err           error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s (%s) can't be reached: %v", e.Node, e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// dialTimeout is how long a node may take to accept a connection before it
// counts as down.
const dialTimeout = time.Second

// tryPortAfter is how long ssh may take before its port is looked at: a machine that
// is off is found out that way, when ssh alone would take long. One that has
// answered within answersFor is given patience, since it is asked over and over:
// sshd takes connections that end before they say who they are for an attack, and
// more of them than one a second make it refuse this node altogether for a while
// (PerSourcePenalties, from OpenSSH 9.8 on).
const tryPortAfter, patience, answersFor = 500 * time.Millisecond, time.Second, 10 * time.Second

// sshPeers asks over ssh.
type sshPeers struct {
	cfg    *config.Config
	runner run.Programs
	// newest is the newest term that this node has heard of.
	newest func() uint64

	mu       sync.Mutex
	answered map[string]time.Time // when a node has answered last
}

func newSSHPeers(n *Node) *sshPeers {
	return &sshPeers{cfg: n.Config, runner: n.Runner, newest: n.newestTerm, answered: map[string]time.Time{}}
}

// lately says whether a node has answered a moment ago.
func (p *sshPeers) lately(node string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.answered[node]) < answersFor
}

func (p *sshPeers) note(node string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered[node] = at
}

// reach looks whether somebody listens at a node's port.
func (p *sshPeers) reach(ctx context.Context, peer config.Node) error {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(peer.Address, strconv.Itoa(p.cfg.SSH.Port)))
	if err != nil {
		return &UnreachableError{peer.Name, peer.Address, err}
	}
	return conn.Close()
}

// sshFailed is the exit code by which ssh says that it was ssh that failed.
const sshFailed = 255

// Ask asks failover-notify on the other node.
func (p *sshPeers) Ask(ctx context.Context, peer config.Node) (PeerState, error) {
	var answer PeerState
	plain := []string{"peer", "-o", "json"}
	if newest := p.newest(); newest > 0 {
		args := append(slices.Clone(plain), "--newest-term", strconv.FormatUint(newest, 10))
		err := p.ask(ctx, peer, p.cfg.Failover.PeerTimeout, &answer, args...)
		if !unknownThere(err) {
			return answer, err
		}
	}
	err := p.ask(ctx, peer, p.cfg.Failover.PeerTimeout, &answer, plain...)
	return answer, err
}

// unknownThere says whether an older release on the other node does not know what it
// was asked, or its gate does not: a node that is up and can't be asked is passed over
// at a takeover, while it may still write.
func unknownThere(err error) bool {
	said, ok := errors.AsType[*remote.Error](err)
	return ok && said.Unknown()
}

// Status asks for what failover-notify status shows there, for which that node
// asks ZFS and the engine first.
func (p *sshPeers) Status(ctx context.Context, peer config.Node) (Status, error) {
	var s Status
	err := p.ask(ctx, peer, p.cfg.Failover.PeerTimeout+statusTimeout, &s, "status", "--local", "-o", "json")
	return s, err
}

// AskFor runs failover-notify with args on another node, within timeout, and
// decodes what it prints there as JSON.
func (n *Node) AskFor(ctx context.Context, peer config.Node, timeout time.Duration, answer any, args ...string) error {
	return newSSHPeers(n).ask(ctx, peer, timeout, answer, args...)
}

// ask runs failover-notify on the other node and decodes what it prints.
func (p *sshPeers) ask(ctx context.Context, peer config.Node, timeout time.Duration, answer any, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	wait := tryPortAfter
	if p.lately(peer.Name) {
		wait = patience
	}
	late := time.AfterFunc(wait, func() {
		if err := p.reach(ctx, peer); err != nil {
			gone(err)
		}
	})
	defer late.Stop()
	how := remote.Over(p.cfg.SSH, peer)
	command := p.cfg.Failover.RemoteCommand
	output, err := p.runner.Output(ctx, timeout, how.Argv(append([]string{command}, args...)...)...)
	if err != nil {
		p.note(peer.Name, time.Time{})
		if down, ok := errors.AsType[*UnreachableError](context.Cause(ctx)); ok {
			return down
		}
		// Nobody may listen there, or it has gone off since it has answered: that is
		// another thing than a failure.
		if failed, ok := errors.AsType[*run.Error](err); ok && (failed.ExitCode == sshFailed || failed.TimedOut) {
			if down := p.reach(context.WithoutCancel(ctx), peer); down != nil {
				return down
			}
		}
		return fmt.Errorf("ask %s: %w", peer.Name, how.Explain(command, err))
	}
	p.note(peer.Name, time.Now())
	if err := json.NewDecoder(bytes.NewReader(output)).Decode(answer); err != nil {
		return fmt.Errorf("ask %s: read the answer of %s: %w", peer.Name, command, err)
	}
	return nil
}

// Answer is what one of the other nodes said, or why it said nothing.
type Answer struct {
	Node  config.Node
	State PeerState
	Err   error
}

// askAll asks all other nodes at the same time, and remembers the newest term
// among their answers.
func (n *Node) askAll(ctx context.Context) []Answer {
	others := n.others()
	answers := make([]Answer, len(others))
	var asked sync.WaitGroup
	for i, other := range others {
		asked.Go(func() {
			answer, err := n.Peers.Ask(ctx, other)
			answers[i] = Answer{other, answer, err}
		})
	}
	asked.Wait()
	n.byLease(ctx, answers)
	return answers
}

// answered splits answers into those that came and the names of those that
// did not.
func answered(answers []Answer) (peers []PeerState, silent []string) {
	for _, a := range answers {
		if a.Err != nil {
			silent = append(silent, a.Node.Name)
		} else {
			peers = append(peers, a.State)
		}
	}
	return peers, silent
}
