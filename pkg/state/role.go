package state

import (
	"fmt"
	"time"
)

// Role is what a node is in its pair. The zero value means that nobody has
// said yet.
type Role string

// The roles. A node on its way from one to another is promoting or demoting;
// a node that can be neither active nor standby is in fault.
const (
	RoleUnknown   Role = ""
	RoleActive    Role = "active"
	RoleStandby   Role = "standby"
	RolePromoting Role = "promoting"
	RoleDemoting  Role = "demoting"
	RoleFault     Role = "fault"
)

// Valid reports whether r is one of the roles above.
func (r Role) Valid() bool {
	switch r {
	case RoleUnknown, RoleActive, RoleStandby, RolePromoting, RoleDemoting, RoleFault:
		return true
	}
	return false
}

func (r Role) String() string {
	if r == RoleUnknown {
		return "unknown"
	}
	return string(r)
}

// roleName is the state name that holds a RoleFile.
const roleName = "role"

// RoleFile is what role.json holds.
type RoleFile struct {
	Role Role `json:"role"`
	// Term is the term under which this node took its role. It grows with
	// each promotion anywhere in the pair.
	Term uint64 `json:"term"`
	// NewestTerm is the newest term this node has seen on any node. It is
	// never older than Term.
	NewestTerm uint64 `json:"newest_term"`
	// ActiveTerm is the term under which this node was last active, or began
	// to be; 0: never.
	ActiveTerm uint64 `json:"active_term,omitempty"`
	// Since is when the node took its role.
	Since time.Time `json:"since,omitzero"`
	// Reason is why, in words for a person.
	Reason string `json:"reason,omitempty"`
	// RequestSeq is the sequence number of the request that the role answers.
	RequestSeq uint64 `json:"intent,omitempty"`
	// Boot is the kernel's id of the boot in which the role was taken: a role
	// of an earlier boot says what the node was, not what runs now.
	Boot string `json:"boot,omitempty"`
	// Transition is the last transition, in progress or ended.
	Transition *Transition `json:"transition,omitempty"`
}

// Transition is the way from one role to another, step by step.
type Transition struct {
	From   Role   `json:"from"`
	To     Role   `json:"to"`
	Reason string `json:"reason,omitempty"`
	// Handover is the node that is to be active next, where this is a planned
	// switchover.
	Handover   string    `json:"handover,omitempty"`
	RequestSeq uint64    `json:"intent"`
	Started    time.Time `json:"started"`
	// Updated is when its last step began or ended.
	Updated time.Time `json:"updated"`
	// Ended is zero while it is in progress.
	Ended time.Time `json:"ended,omitzero"`
	// Outcome is how it ended; empty while it is in progress.
	Outcome Outcome `json:"outcome,omitempty"`
	Error   string  `json:"error,omitempty"`
	Steps   []Step  `json:"steps"`
}

// Step is one thing done in a transition.
type Step struct {
	Name string `json:"name"` // such as "mount" or "start"
	// Object is what it is done to: a dataset, a project; may be empty.
	Object  string    `json:"object,omitempty"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	// Outcome is empty while the step is in progress.
	Outcome Outcome `json:"outcome,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// In returns the role in a boot: unknown when it was taken in another one, which
// says what the node was and not what runs now.
func (f RoleFile) In(boot string) Role {
	if f.Boot != boot {
		return RoleUnknown
	}
	return f.Role
}

// Serving reports whether the node is active in a boot, or becoming so.
func (f RoleFile) Serving(boot string) bool {
	role := f.In(boot)
	return role == RoleActive || role == RolePromoting
}

// HandsOver reports whether this node is handing over in good order: it has stopped
// writing, and what it has is still the pair's newest.
func (f RoleFile) HandsOver() bool {
	return f.Role == RoleDemoting && f.Transition != nil && f.Transition.Handover != "" && f.Transition.Ended.IsZero()
}

// Outcome is how a step or a transition ended.
type Outcome string

// The outcomes. Partial is for transitions of which some steps failed without
// keeping it from its end; Interrupted is for what a newer request ended.
const (
	OutcomeDone        Outcome = "done"
	OutcomePartial     Outcome = "partial"
	OutcomeFailed      Outcome = "failed"
	OutcomeSkipped     Outcome = "skipped"
	OutcomeInterrupted Outcome = "interrupted"
)

// Role returns this node's role. Before anything has been recorded it is the
// zero RoleFile. A file that makes no sense is a *CorruptError, never a guess.
func (d *Dir) Role() (RoleFile, error) {
	var f RoleFile
	if _, err := d.Read(roleName, &f); err != nil {
		return RoleFile{}, err
	}
	if !f.Role.Valid() {
		return RoleFile{}, &CorruptError{Path: d.path(roleName + ".json"), Err: fmt.Errorf("unknown role %q", string(f.Role))}
	}
	f.NewestTerm = max(f.NewestTerm, f.Term)
	return f, nil
}

// CurrentRole returns this node's role in a boot, and what is recorded of it: the
// terms of an earlier boot still count, its role does not.
func (d *Dir) CurrentRole(boot string) (Role, RoleFile, error) {
	f, err := d.Role()
	return f.In(boot), f, err
}

// SetRole records this node's role. NewestTerm is raised to Term when it is
// older, since a node has seen its own term. The caller holds the lock that
// guards transitions.
func (d *Dir) SetRole(f RoleFile) error {
	if !f.Role.Valid() {
		return fmt.Errorf("set role: unknown role %q", string(f.Role))
	}
	f.NewestTerm = max(f.NewestTerm, f.Term)
	return d.Write(roleName, f)
}
