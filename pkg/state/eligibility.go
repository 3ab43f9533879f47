package state

import (
	"strings"
	"time"
)

// eligibilityName is the state name that holds an Eligibility.
const eligibilityName = "eligibility"

// Eligibility is what eligibility.json holds: whether this node may hold the
// virtual IP, and if not, why. keepalived sees it as a file in RunDir.
type Eligibility struct {
	Eligible bool `json:"eligible"`
	// Reasons against it, none when it is eligible.
	Reasons []Ineligible `json:"reasons,omitempty"`
	Time    time.Time    `json:"time"`
}

// Ineligible is one reason for which a node may not hold the virtual IP.
type Ineligible struct {
	Kind  string    `json:"kind"` // one of the constants below
	Text  string    `json:"text"` // for the operator
	Since time.Time `json:"since"`
	// Node is the other node that it is about, where the text alone is not enough.
	Node string `json:"node,omitempty"`
}

// Kinds of reasons. A hold, a failed promotion and a conflict need the operator
// (failover-notify release); the others end by themselves.
const (
	IneligibleHold      = "hold"      // the operator said so
	IneligiblePromotion = "promotion" // the last promotion here failed
	IneligibleConflict  = "conflict"  // another node is active under a newer or equal term
	IneligibleBoot      = "boot"      // join has not run in this boot
	IneligibleWaiting   = "waiting"   // for the node that was active last
	IneligibleReplica   = "replica"   // another was active since, and nothing has been received
	IneligibleHandover  = "handover"  // a planned switchover moves the address
	IneligibleRefused   = "refused"   // a promotion was refused for what may pass
	IneligibleYield     = "yield"     // another standby comes first
)

// EligibilityFile is what keepalived watches, in the folder for what must not
// survive a reboot.
const EligibilityFile = "eligible"

// Eligibility returns what was decided last; found is false before that.
func (d *Dir) Eligibility() (e Eligibility, found bool, err error) {
	found, err = d.Read(eligibilityName, &e)
	return e, found, err
}

// SetEligibility records e and shows it to keepalived: the file EligibilityFile in
// the run folder holds "1", or does not exist. The file goes first when it is
// removed and comes last when it is made, so that it never says more than the record.
func (d *Dir) SetEligibility(run *Dir, e Eligibility) error {
	if !e.Eligible {
		if err := run.store.Remove(EligibilityFile); err != nil {
			return &AccessError{Op: "remove", Path: run.path(EligibilityFile), Err: err}
		}
		return d.Write(eligibilityName, e)
	}
	if err := d.Write(eligibilityName, e); err != nil {
		return err
	}
	// keepalived's inotify follows the name; a rename is one change, not two.
	if err := run.store.Save(EligibilityFile, []byte("1\n"), true); err != nil {
		return &AccessError{Op: "write", Path: run.path(EligibilityFile), Err: err}
	}
	return nil
}

// ShowsEligible reports whether keepalived is shown that the node may hold the
// virtual IP: d is the run folder.
func (d *Dir) ShowsEligible() bool {
	data, err := d.store.Load(EligibilityFile)
	return err == nil && strings.TrimSpace(string(data)) == "1"
}
