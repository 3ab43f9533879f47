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

// drillLock keeps two drills apart.
const drillLock = "drill"

// Drill is a switchover to another node and a failback.
type Drill struct {
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	// There is the completed switchover, and Back the completed failback.
	There *Moved `json:"there,omitempty"`
	Back  *Moved `json:"back,omitempty"`
	// Serving is the node that serves now; empty when none is known to.
	Serving string `json:"serving,omitempty"`
	// Error is why it stopped; empty when it was completed.
	Error string `json:"error,omitempty"`
}

// DrillError is a drill that stopped before its end.
type DrillError struct {
	// Serving is the node that serves; empty when none is known to.
	Serving string
	Back    string // the node that served before
	Err     error
}

func (e *DrillError) Error() string {
	where := e.Serving + " serves"
	if e.Serving == "" {
		where = "no node is known to serve"
	}
	return fmt.Sprintf("drill: %s: %v", where, e.Err)
}

func (e *DrillError) Unwrap() error { return e.Err }

// Hint returns the next step.
func (e *DrillError) Hint() string {
	switch e.Serving {
	case "":
		return "run on both nodes now: failover-notify status"
	case e.Back:
		return ""
	}
	return "fix that, then fail back on " + e.Serving + ": failover-notify switchover"
}

// PlanDrill checks whether a drill would succeed, failback included. It changes
// nothing.
func (m *Mover) PlanDrill(ctx context.Context, to string) (Switched, error) {
	plan, err := m.Switchover(ctx, to, true)
	if err != nil {
		return plan, err
	}
	peer, err := m.successor(to)
	if err != nil {
		return plan, err
	}
	// Without the failback it would be no drill.
	check := rules.Check{Name: "way back", Node: peer.Name, OK: true}
	back, err := m.HandBack(ctx, peer, true)
	if err != nil {
		check.OK, check.Text = false, err.Error()
		check.Hint = "install the same version on both nodes, and its gate in authorized_keys there: failover-notify doctor"
	}
	for _, c := range back.Checks {
		if c.Name == "answers" && !c.OK {
			check.OK, check.Text, check.Hint = false, "it can't ask "+m.Self.Name+": "+c.Text, c.Hint
		}
	}
	plan.Checks = append(plan.Checks, check)
	if !check.OK {
		return plan, &rules.NotReadyError{Failed: []rules.Check{check}}
	}
	return plan, nil
}

// Drill hands the active role over to another node, waits until that node serves, and
// has it hand back. If a step fails, the drill stops where the services run. Each step
// is told as it begins. The drill is recorded, however it ends.
func (m *Mover) Drill(ctx context.Context, to string, tell func(string)) (Drill, error) {
	d := Drill{Started: m.Now(), From: m.Self.Name, To: to}
	peer, err := m.successor(to)
	if err != nil {
		return d, err
	}
	d.To = peer.Name
	lock, err := m.State.Lock(drillLock)
	if err != nil {
		return d, err
	}
	defer lock.Unlock()
	if err = m.thereAndBack(ctx, peer, &d, tell); err != nil {
		// Also when the operator has ended the drill, it reports where the services
		// run.
		d.Serving = m.serving(context.WithoutCancel(ctx), peer)
		d.Error = err.Error()
		err = &DrillError{Serving: d.Serving, Back: m.Self.Name, Err: err}
	}
	d.Ended = m.Now()
	return d, errors.Join(err, m.rememberDrill(d))
}

func (m *Mover) thereAndBack(ctx context.Context, peer config.Node, d *Drill, tell func(string)) error {
	before, err := m.Status(ctx)
	if err != nil {
		return err
	}
	tell("handing over to " + peer.Name)
	there, err := m.measured(ctx, peer)
	if err != nil {
		return err
	}
	d.There = &there
	look := func(ctx context.Context) (failover.Status, error) { return m.Peers.Status(ctx, peer) }
	if err := m.awaitServices(ctx, peer.Name, before, look); err != nil {
		return err
	}
	tell(fmt.Sprintf("%s serves after %.1f s; it replicates to %s and hands back", peer.Name, there.Gap, m.Self.Name))
	back, err := m.HandBack(ctx, peer, false)
	if err != nil {
		return fmt.Errorf("failback: %w", err)
	}
	d.Back = &back
	if err := m.awaitServices(ctx, m.Self.Name, before, m.Status); err != nil {
		return err
	}
	d.Serving = m.Self.Name
	if !m.Data.Configured() {
		return nil
	}
	tell(fmt.Sprintf("%s serves again after %.1f s; it replicates to %s", m.Self.Name, back.Gap, peer.Name))
	if err := m.Send(ctx, peer.Name, sendTimeout); err != nil {
		return fmt.Errorf("replicate to %s once more, so that it could take over: %w", peer.Name, err)
	}
	return nil
}

// handBack asks another node over ssh to hand over to this node.
func (m *Mover) handBack(ctx context.Context, peer config.Node, dryRun bool) (moved Moved, err error) {
	args := []string{"switchover", "--return", m.Self.Name, "-o", "json"}
	timeout := sendTimeout + failover.LastSendTimeout + 2*m.Config.Failover.PeerStop + m.Config.Services.StartTimeout
	if dryRun {
		// That node checks itself and asks this node, with the same timeouts.
		args = append(args, "--dry-run")
		timeout = 2 * (m.Config.Failover.PeerTimeout + failover.StatusTimeout)
	}
	err = m.AskFor(ctx, peer, timeout, &moved, args...)
	return moved, err
}

// Return hands over to the node whose drill it is. Its changes are sent first: the
// asking node is eligible only once it has them.
func (m *Mover) Return(ctx context.Context, to string, dryRun bool) (Moved, error) {
	peer, err := m.successor(to)
	if err != nil {
		return Moved{}, err
	}
	if dryRun {
		checks, err := m.preflight(ctx, peer)
		return Moved{Switched: Switched{From: m.Self.Name, To: peer.Name, Checks: checks}}, err
	}
	if err := m.sendAhead(ctx, peer); err != nil {
		return Moved{}, fmt.Errorf("replicate to %s: %w", peer.Name, err)
	}
	if err := m.awaitEligible(ctx, peer); err != nil {
		return Moved{}, err
	}
	return m.measured(ctx, peer)
}
