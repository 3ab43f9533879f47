package state

import "time"

// Wish is what keepalived, or a person, asks a node to be. The words are
// keepalived's.
type Wish string

// The wishes that keepalived's notify scripts are called with, but DELETED,
// which is one to stop.
const (
	WishMaster Wish = "MASTER"
	WishBackup Wish = "BACKUP"
	WishFault  Wish = "FAULT"
	WishStop   Wish = "STOP"
)

// Valid reports whether w is one of the wishes above.
func (w Wish) Valid() bool {
	switch w {
	case WishMaster, WishBackup, WishFault, WishStop:
		return true
	}
	return false
}

// The sources of intents.
const (
	SourceKeepalived = "keepalived" // a notify script
	SourceOperator   = "operator"   // a person, by hand
	SourceGuard      = "guard"      // the watcher, which saw what no hook told
	SourceJoin       = "join"       // the boot
)

// intentName is the state name that holds an Intent.
const intentName = "intent"

// Intent is what intent.json holds: the newest wish.
type Intent struct {
	// Seq grows by one with each intent that is recorded.
	Seq    uint64    `json:"seq"`
	Wish   Wish      `json:"wish"`
	Source string    `json:"source"`
	Reason string    `json:"reason,omitempty"`
	Time   time.Time `json:"time"`
	// Boot is the kernel's id of the boot, and Started when the process that
	// asks was started in it, in clock ticks since the boot. keepalived starts
	// its hooks in the right order but they run in any; PID decides between
	// two of one tick.
	Boot    string `json:"boot,omitempty"`
	Started uint64 `json:"started,omitempty"`
	PID     int    `json:"pid,omitempty"`
}

// eligibilityName is the state name that holds an Eligibility.
const eligibilityName = "eligibility"

// Eligibility is what eligibility.json holds: whether this node may hold the
// floating address, and if not, why. keepalived sees it as a file in RunDir.
type Eligibility struct {
	Eligible bool `json:"eligible"`
	// Reasons against it, none when it is eligible.
	Reasons []Ineligible `json:"reasons,omitempty"`
	Time    time.Time    `json:"time"`
}

// Ineligible is one reason for which a node may not hold the address.
type Ineligible struct {
	Kind  string    `json:"kind"` // one of the constants below
	Text  string    `json:"text"` // for a person
	Since time.Time `json:"since"`
}

// Kinds of reasons. A hold, a failed promotion and a conflict need a person
// (failover-notify release); the others go by themselves.
const (
	IneligibleHold      = "hold"      // a person said so
	IneligiblePromotion = "promotion" // the last promotion here failed
	IneligibleConflict  = "conflict"  // another node is active under a newer or equal term
	IneligibleBoot      = "boot"      // join has not run in this boot
	IneligibleWaiting   = "waiting"   // for the node that was active last
	IneligibleReplica   = "replica"   // was active, and has not received since
)
