package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

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

// intentName is the state name that holds an Intent, and IntentFile its file.
const (
	intentName = "intent"
	IntentFile = intentName + ".json"
)

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
	// Node is the other one that it is about, where the text alone does not do.
	Node string `json:"node,omitempty"`
}

// Kinds of reasons. A hold, a failed promotion and a conflict need a person
// (failover-notify release); the others go by themselves.
const (
	IneligibleHold      = "hold"      // a person said so
	IneligiblePromotion = "promotion" // the last promotion here failed
	IneligibleConflict  = "conflict"  // another node is active under a newer or equal term
	IneligibleBoot      = "boot"      // join has not run in this boot
	IneligibleWaiting   = "waiting"   // for the node that was active last
	IneligibleReplica   = "replica"   // another was active since, and nothing has been received
	IneligibleHandover  = "handover"  // a planned switchover moves the address
	IneligibleRefused   = "refused"   // a promotion was refused for what may pass
	IneligibleYield     = "yield"     // another standby comes first
)

// Intent returns the newest intent; found is false before there was any, and
// when a power cut has torn it: it was one of an earlier boot then.
func (d *Dir) Intent() (i Intent, found bool, err error) {
	found, err = d.Read(intentName, &i)
	if _, torn := errors.AsType[*CorruptError](err); torn {
		return Intent{}, false, nil
	}
	return i, found, err
}

// writeIntent replaces the newest intent as a whole. Nothing is synced: an intent
// counts in its own boot only, and keepalived's hooks must not wait for a disk.
func (d *Dir) writeIntent(i Intent) error {
	path := filepath.Join(d.path, IntentFile)
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the intent: %w", err)
	}
	// Nobody else writes it now: the caller has the lock.
	beside := path + ".new"
	if err := os.WriteFile(beside, append(data, '\n'), 0o644); err != nil {
		return &AccessError{Op: "write state", Path: path, Err: err}
	}
	if err := os.Rename(beside, path); err != nil {
		return &AccessError{Op: "write state", Path: path, Err: err}
	}
	return nil
}

// RecordIntent makes i the newest intent, unless a newer one is recorded
// already: one of the same boot by a process that was started later. It returns
// the intent that is the newest now. The same wish again is no new intent
// unless again is set, only a later one: keepalived runs several hooks for one
// change.
func (d *Dir) RecordIntent(ctx context.Context, i Intent, again bool) (Intent, error) {
	if !i.Wish.Valid() {
		return Intent{}, fmt.Errorf("record intent: unknown state %q", string(i.Wish))
	}
	lock, err := d.WaitLock(ctx, intentName)
	if err != nil {
		return Intent{}, err
	}
	defer lock.Unlock()
	last, found, err := d.Intent()
	if err != nil {
		return Intent{}, err
	}
	if found {
		if i.Boot == last.Boot && i.before(last) {
			return last, nil
		}
		if i.Boot == last.Boot && i.Wish == last.Wish {
			// What keepalived wishes remains so, also when a person repeats it.
			if last.Source == SourceKeepalived {
				i.Source = SourceKeepalived
			}
			if !again {
				if i.Source == SourceKeepalived {
					last.Source = i.Source
				}
				last.Started, last.PID = i.Started, i.PID
				return last, d.writeIntent(last)
			}
		}
	}
	i.Seq = last.Seq + 1
	return i, d.writeIntent(i)
}

// before says whether the process that asked for i was started before that of
// o, in the same boot.
func (i Intent) before(o Intent) bool {
	if i.Started != o.Started {
		return i.Started < o.Started
	}
	return i.PID < o.PID
}

// EligibilityFile is what keepalived watches, in the folder for what must not
// survive a reboot.
const EligibilityFile = "eligible"

// Eligibility returns what was decided last; found is false before that.
func (d *Dir) Eligibility() (e Eligibility, found bool, err error) {
	found, err = d.Read(eligibilityName, &e)
	return e, found, err
}

// SetEligibility records e and shows it to keepalived: runDir/eligible holds
// "1", or is not there. The file goes first when it is taken away and comes
// last when it is made, so that it never says more than the record.
func (d *Dir) SetEligibility(runDir string, e Eligibility) error {
	path := filepath.Join(runDir, EligibilityFile)
	if !e.Eligible {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return &AccessError{Op: "remove", Path: path, Err: err}
		}
		return d.Write(eligibilityName, e)
	}
	if err := d.Write(eligibilityName, e); err != nil {
		return err
	}
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return &AccessError{Op: "make", Path: runDir, Err: err}
	}
	// keepalived's inotify follows the name; a rename is one change, not two.
	if err := renameio.WriteFile(path, []byte("1\n"), 0o644, renameio.WithTempDir(runDir)); err != nil {
		return &AccessError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// Shown says whether keepalived is shown that the node may hold the address.
func Shown(runDir string) bool {
	data, err := os.ReadFile(filepath.Join(runDir, EligibilityFile))
	return err == nil && strings.TrimSpace(string(data)) == "1"
}
