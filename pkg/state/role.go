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
	// Since is when the node took its role.
	Since time.Time `json:"since,omitzero"`
}

// Role returns this node's role. Before anything has been recorded it is the
// zero RoleFile. A file that makes no sense is a *CorruptError, never a guess.
func (d *Dir) Role() (RoleFile, error) {
	var f RoleFile
	if _, err := d.Read(roleName, &f); err != nil {
		return RoleFile{}, err
	}
	if !f.Role.Valid() {
		path, _ := d.file(roleName, ".json") // a constant, valid name
		return RoleFile{}, &CorruptError{Path: path, Err: fmt.Errorf("unknown role %q", string(f.Role))}
	}
	f.NewestTerm = max(f.NewestTerm, f.Term)
	return f, nil
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
