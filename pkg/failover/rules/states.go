package rules

import (
	"slices"

	"github.com/understudy-ha/understudy/pkg/state"
)

// The states of a node.
const (
	unknown   = state.RoleUnknown
	active    = state.RoleActive
	standby   = state.RoleStandby
	promoting = state.RolePromoting
	demoting  = state.RoleDemoting
	fault     = state.RoleFault
)

// Work is what a node does on its way from one state to another.
type Work string

// The works.
const (
	Promote  Work = "promote"   // pass the gate, take a term, the data, start the services
	LookOver Work = "look over" // start projects that failed before or have stopped since
	Demote   Work = "demote"    // stop the services, release the data
	HandOver Work = "hand over" // demote, then send the unreplicated changes to the successor
	Verify   Work = "verify"    // see that nothing runs
)

// Guard is what has to hold for a row of the table.
type Guard string

// The guards.
const (
	Always      Guard = "-"
	Stopped     Guard = "stopped"      // the last demotion left nothing running or writable
	HandingOver Guard = "handing over" // a planned switchover
)

// Transition is a row of the transition table.
type Transition struct {
	From  []state.Role // in this boot
	To    state.Role
	Guard Guard
	Work  Work
	Via   state.Role // while the work is in progress
}

// table returns the transition table. The first row that fits counts.
func table() []Transition {
	any := []state.Role{unknown, active, standby, promoting, demoting, fault}
	return []Transition{
		{From: []state.Role{active}, To: active, Guard: Always, Work: LookOver, Via: active},
		{From: any, To: active, Guard: Always, Work: Promote, Via: promoting},
		{From: []state.Role{active}, To: standby, Guard: HandingOver, Work: HandOver, Via: demoting},
		{From: []state.Role{standby}, To: standby, Guard: Stopped, Work: Verify, Via: standby},
		{From: []state.Role{standby}, To: fault, Guard: Stopped, Work: Verify, Via: fault},
		{From: []state.Role{fault}, To: standby, Guard: Stopped, Work: Verify, Via: standby},
		{From: []state.Role{fault}, To: fault, Guard: Stopped, Work: Verify, Via: fault},
		{From: any, To: standby, Guard: Always, Work: Demote, Via: demoting},
		{From: any, To: fault, Guard: Always, Work: Demote, Via: demoting},
	}
}

// Target returns the role that a request asks for.
func Target(requested state.RequestedRole) state.Role {
	switch requested {
	case state.RequestMaster:
		return active
	case state.RequestFault:
		return fault
	}
	return standby
}

// Next returns the transition that leads from a role in this boot to another one.
func Next(from, to state.Role, guard Guard) Transition {
	for _, t := range table() {
		if slices.Contains(t.From, from) && t.To == to && (t.Guard == Always || t.Guard == guard) {
			return t
		}
	}
	// There is a row for each role to which a request can lead.
	return Transition{From: []state.Role{from}, To: fault, Guard: Always, Work: Demote, Via: demoting}
}

// GuardOf returns the guard that a recorded role satisfies.
func GuardOf(f state.RoleFile, boot string) Guard {
	if Unfinished(f, boot) {
		return Always
	}
	return Stopped
}

// Result is how the work of a transition ended.
type Result string

// The results.
const (
	Done        Result = "done"
	Refused     Result = "refused" // before anything was touched
	Failed      Result = "failed"
	Interrupted Result = "interrupted" // by a newer request, or the end of the process
)

// Ends returns the role in which a result leaves the node. A promotion or handover
// that failed has to be undone: the node is demoting until the transition that
// follows has ended.
func (t Transition) Ends(r Result) state.Role {
	switch {
	case r == Done:
		return t.To
	case r == Interrupted:
		return t.Via
	case r == Failed && t.Work != Demote && t.Work != Verify:
		return demoting
	}
	return fault
}

// Settled reports whether a node with this role is not on its way to another one.
func Settled(role state.Role) bool { return role != promoting && role != demoting }

// Answered reports whether the recorded role is the answer to a request, in this
// boot.
func Answered(f state.RoleFile, boot string, request state.Request) bool {
	return f.Boot == boot && f.RequestSeq == request.Seq && Settled(f.Role)
}

// Turns reports whether a newer request asks for the opposite of an older one.
func Turns(old, newest state.Request) bool {
	return newest.Seq != old.Seq && (newest.Requested == state.RequestMaster) != (old.Requested == state.RequestMaster)
}

// Writes reports whether a node may have running services or writable data, by the
// role of this boot.
func Writes(f state.RoleFile, boot string) bool {
	switch f.In(boot) {
	case active, demoting:
		return true
	case promoting:
		// It touches neither before it has its term.
		return f.ActiveTerm == f.Term
	}
	return Unfinished(f, boot)
}

// Unfinished reports whether the last demotion of this boot left something running or
// writable.
func Unfinished(f state.RoleFile, boot string) bool {
	t := f.Transition
	return f.In(boot) == fault && t != nil && t.Outcome == state.OutcomeFailed && t.To != active
}

// PromotionAborted reports whether a node that is to be demoted had not yet become
// active.
func PromotionAborted(f state.RoleFile, boot string) bool {
	t := f.Transition
	return f.Boot == boot && t != nil && t.To == active && (t.From == standby || t.From == fault) && !Settled(f.Role)
}

// PromotionFailed reports whether the last transition was a promotion that was
// refused, or failed.
func PromotionFailed(f state.RoleFile) bool {
	t := f.Transition
	return t != nil && t.To == active && t.Outcome == state.OutcomeFailed
}

// Crashed reports whether an earlier boot ended while this node was active, or on
// its way to or from it.
func Crashed(f state.RoleFile, boot string) bool {
	return f.Boot != boot && f.Role != unknown && f.Role != standby
}
