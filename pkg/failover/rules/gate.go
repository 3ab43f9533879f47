package rules

import (
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/state"
)

// ConflictAfter is how long another node may still be active and hold the virtual
// IP before that is a conflict and no delay.
const ConflictAfter = 3 * time.Second

// Steps of a transition that others look for in its record.
const (
	// AskStep asks another node what it is. It is skipped where that node is up and
	// can't be asked.
	AskStep = "ask"
	// SendRestStep sends the unreplicated changes in a handover.
	SendRestStep = "send the rest"
)

// RefusedError is a promotion that must not continue.
type RefusedError struct {
	// Kind is the reason against this node that follows: one of state.Ineligible…
	Kind string
	Text string
	What string // what to do next
}

func (e *RefusedError) Error() string { return "refused to become active: " + e.Text }

// ExitCode is 76, EX_PROTOCOL of sysexits.h: a refusal.
func (e *RefusedError) ExitCode() int { return exit.Refused }

// Hint returns what to do next.
func (e *RefusedError) Hint() string { return e.What }

// Excludes reports whether a refused promotion makes the node ineligible; else it
// was ineligible before.
func (e *RefusedError) Excludes() bool {
	switch e.Kind {
	case state.IneligibleConflict, state.IneligibleRefused, state.IneligibleYield:
		return true
	}
	return false
}

// MayPromote refuses a promotion of a node that is not eligible. shown: keepalived
// is shown that it is.
func MayPromote(e state.Eligibility, found, shown bool) error {
	if !found || !shown && len(e.Reasons) == 0 {
		return &RefusedError{state.IneligibleBoot, "this node has not joined its pair in this boot", "run: failover-notify join"}
	}
	if len(e.Reasons) > 0 {
		return &RefusedError{e.Reasons[0].Kind, Words(e.Reasons), "see failover-notify status; failover-notify release lifts what an operator may lift"}
	}
	return nil
}

// Obstacle judges another node that may still write: nil means to ask it again.
func Obstacle(peer PeerState, waited, patience time.Duration) error {
	serves := peer.IsActive() && peer.Requested == state.RequestMaster && peer.HoldsAddress
	switch {
	case serves && waited > ConflictAfter:
		return &RefusedError{state.IneligibleConflict, fmt.Sprintf("%s is active under term %d and holds the virtual IP", peer.Node, peer.Term),
			"one of the two has to step down: see failover-notify status on both, then run failover-notify release here"}
	case waited > patience:
		return &RefusedError{state.IneligibleRefused, fmt.Sprintf("%s has been asked for %.0f s and is still %s: %s", peer.Node, waited.Seconds(), peer.Role, peer.Reason),
			"look at failover-notify status on " + peer.Node + ": it could not stop its services or release its data"}
	}
	return nil
}
