package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// drillLock keeps two drills apart, and drillsName is the state name of the
	// past ones, of which drillsLength are kept.
	drillLock, drillsName = "drill", "drills"
	drillsLength          = 50
)

// Drill is a switchover there and back.
type Drill struct {
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	From    string    `json:"from"`
	To      string    `json:"to"`
	// There and Back are the moves that came to their end.
	There *Moved `json:"there,omitempty"`
	Back  *Moved `json:"back,omitempty"`
	// Serving is the node that serves now; empty when none is known to.
	Serving string `json:"serving,omitempty"`
	// Error is why it stopped on the way; empty: all went well.
	Error string `json:"error,omitempty"`
}

// DrillError is a drill that stopped on the way.
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

// Hint says what to do next.
func (e *DrillError) Hint() string {
	switch e.Serving {
	case "":
		return "look at failover-notify status on both nodes now"
	case e.Back:
		return ""
	}
	return "once that is mended, failover-notify switchover on " + e.Serving + " brings everything back"
}

// PlanDrill looks whether a drill would go well, there and on the way back, and
// changes nothing.
func (n *Node) PlanDrill(ctx context.Context, to string) (Switched, error) {
	plan, err := n.Switchover(ctx, to, true)
	if err != nil {
		return plan, err
	}
	peer, err := n.successor(to)
	if err != nil {
		return plan, err
	}
	// A way there without one back would be no drill.
	check := Check{Name: "way back", Node: peer.Name, OK: true}
	back, err := n.HandBack(ctx, peer, true)
	if err != nil {
		check.OK, check.Text = false, err.Error()
		check.Hint = "the same version has to be installed on both, and its gate in authorized_keys there: failover-notify doctor"
	}
	for _, c := range back.Checks {
		if c.Name == "answers" && !c.OK {
			check.OK, check.Text, check.Hint = false, "it can't ask "+n.Self.Name+": "+c.Text, c.Hint
		}
	}
	plan.Checks = append(plan.Checks, check)
	if !check.OK {
		return plan, &NotReadyError{[]Check{check}}
	}
	return plan, nil
}

// Drill hands the active role over to another node, waits until that one serves,
// and has it hand back. Whatever fails, it stops where the services run. Steps
// are told one by one. It is remembered whatever comes of it.
func (n *Node) Drill(ctx context.Context, to string, tell func(string)) (Drill, error) {
	d := Drill{Started: n.Now(), From: n.Self.Name, To: to}
	peer, err := n.successor(to)
	if err != nil {
		return d, err
	}
	d.To = peer.Name
	lock, err := n.State.Lock(drillLock)
	if err != nil {
		return d, err
	}
	defer lock.Unlock()
	if err = n.thereAndBack(ctx, peer, &d, tell); err != nil {
		// Where the services run is to be known also when a person has ended it.
		d.Serving = n.serving(context.WithoutCancel(ctx), peer)
		d.Error = err.Error()
		err = &DrillError{Serving: d.Serving, Back: n.Self.Name, Err: err}
	}
	d.Ended = n.Now()
	return d, errors.Join(err, n.rememberDrill(d))
}

func (n *Node) thereAndBack(ctx context.Context, peer config.Node, d *Drill, tell func(string)) error {
	before, err := n.Status(ctx)
	if err != nil {
		return err
	}
	tell("handing over to " + peer.Name)
	there, err := n.move(ctx, peer)
	if err != nil {
		return err
	}
	d.There = &there
	look := func(ctx context.Context) (Status, error) { return n.Peers.Status(ctx, peer) }
	if err := n.awaitServices(ctx, peer.Name, before, look); err != nil {
		return err
	}
	tell(fmt.Sprintf("%s serves after %.1f s; it replicates to %s and hands back", peer.Name, there.Gap, n.Self.Name))
	back, err := n.HandBack(ctx, peer, false)
	if err != nil {
		return fmt.Errorf("the way back: %w", err)
	}
	d.Back = &back
	if err := n.awaitServices(ctx, n.Self.Name, before, n.Status); err != nil {
		return err
	}
	d.Serving = n.Self.Name
	if !n.Data.Configured() {
		return nil
	}
	tell(fmt.Sprintf("%s serves again after %.1f s; it replicates to %s", n.Self.Name, back.Gap, peer.Name))
	if err := n.Send(ctx, peer.Name, sendTimeout); err != nil {
		return fmt.Errorf("replicate to %s once more, so that it could take over: %w", peer.Name, err)
	}
	return nil
}

// handBack asks another node over ssh to hand over to this one.
func (n *Node) handBack(ctx context.Context, peer config.Node, dryRun bool) (moved Moved, err error) {
	args := []string{"switchover", "--return", n.Self.Name, "-o", "json"}
	timeout := sendTimeout + lastSendTimeout + 2*n.Config.Failover.PeerStop + n.Config.Services.StartTimeout
	if dryRun {
		// It looks at itself and asks this node, for which it has as long as this one.
		args = append(args, "--dry-run")
		timeout = 2 * (n.Config.Failover.PeerTimeout + statusTimeout)
	}
	err = n.AskFor(ctx, peer, timeout, &moved, args...)
	return moved, err
}

// Return hands over to the node that asks for it, at the end of its drill: what
// this node has is sent first, since that one can't take over before.
func (n *Node) Return(ctx context.Context, to string, dryRun bool) (Moved, error) {
	peer, err := n.successor(to)
	if err != nil {
		return Moved{}, err
	}
	if dryRun {
		checks, err := n.preflight(ctx, peer)
		return Moved{Switched: Switched{From: n.Self.Name, To: peer.Name, Checks: checks}}, err
	}
	if err := n.sendAhead(ctx, peer); err != nil {
		return Moved{}, fmt.Errorf("replicate to %s: %w", peer.Name, err)
	}
	if err := n.awaitEligible(ctx, peer); err != nil {
		return Moved{}, err
	}
	return n.move(ctx, peer)
}

// awaitEligible waits until another node has noticed that it may be active. One
// that does not, or waits for a person, is told about by the switchover itself.
func (n *Node) awaitEligible(ctx context.Context, peer config.Node) error {
	patience, cancel := context.WithTimeout(ctx, n.Config.Failover.PeerStop)
	defer cancel()
	for {
		answer, err := n.Peers.Ask(patience, peer)
		ready := err == nil && answer.Role == state.RoleStandby && answer.Eligible
		stays := slices.ContainsFunc(answer.Reasons, func(r state.Ineligible) bool { return slices.Contains(lasting, r.Kind) })
		if ready || stays || pause(patience, pollPeer) != nil {
			return context.Cause(ctx)
		}
	}
}

// awaitServices waits until a node is active and runs all projects that ran
// before.
func (n *Node) awaitServices(ctx context.Context, name string, before Status, look func(context.Context) (Status, error)) error {
	patience, cancel := context.WithTimeout(ctx, n.Config.Services.StartTimeout)
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
			missing = "its services are not known"
		case before.Services != nil:
			missing = lacking(*before.Services, *status.Services)
		}
		if missing == "" {
			return nil
		}
		if pause(patience, pollPeer) != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s does not serve all that was served before: %s", name, missing)
		}
	}
}

// lacking says what ran before and does not run now.
func lacking(before, now ServicesStatus) string {
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

// serving is the name of the node that is active: after a handover that failed
// it takes a moment until one of the two is again.
func (n *Node) serving(ctx context.Context, peer config.Node) string {
	ctx, cancel := context.WithTimeout(ctx, 2*n.Config.Failover.PeerStop)
	defer cancel()
	for {
		if own, err := n.Describe(); err == nil && own.Role == state.RoleActive {
			return n.Self.Name
		}
		if answer, err := n.Peers.Ask(ctx, peer); err == nil && answer.Role == state.RoleActive {
			return peer.Name
		}
		if pause(ctx, pollPeer) != nil {
			return ""
		}
	}
}

// Drills returns the past drills, oldest first.
func (n *Node) Drills() ([]Drill, error) {
	var drills []Drill
	_, err := n.State.Read(drillsName, &drills)
	return drills, err
}

// rememberDrill adds a drill to the history. One that can't be read is begun
// anew: nothing depends on it.
func (n *Node) rememberDrill(d Drill) error {
	drills, err := n.Drills()
	if err != nil {
		n.Log.Warn().Err(err).Msg("the history of drills is begun anew")
		drills = nil
	}
	drills = append(drills, d)
	return n.State.Write(drillsName, drills[max(0, len(drills)-drillsLength):])
}
