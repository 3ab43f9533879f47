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

// RequestedRole is what keepalived or an operator asks a node to be. The words are
// keepalived's.
type RequestedRole string

// The requests that keepalived's notify scripts are called with, but DELETED,
// which is one to stop.
const (
	RequestMaster RequestedRole = "MASTER"
	RequestBackup RequestedRole = "BACKUP"
	RequestFault  RequestedRole = "FAULT"
	RequestStop   RequestedRole = "STOP"
)

// Valid reports whether w is one of the requests above.
func (w RequestedRole) Valid() bool {
	switch w {
	case RequestMaster, RequestBackup, RequestFault, RequestStop:
		return true
	}
	return false
}

// The sources of requests.
const (
	SourceKeepalived = "keepalived" // a notify script
	SourceOperator   = "operator"   // a person, by hand
	SourceGuard      = "guard"      // the watcher, which saw what no hook told
	SourceJoin       = "join"       // the boot
)

// requestName is the state name that holds a Request, and RequestFile its file.
const (
	requestName = "intent"
	RequestFile = requestName + ".json"
)

// Request is what intent.json holds: the newest request.
type Request struct {
	// Seq grows by one with each request that is recorded.
	Seq       uint64        `json:"seq"`
	Requested RequestedRole `json:"wish"`
	Source    string        `json:"source"`
	Reason    string        `json:"reason,omitempty"`
	Time      time.Time     `json:"time"`
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

// Request returns the newest request; found is false before there was any, and
// when a power cut has torn it: it was one of an earlier boot then.
func (d *Dir) Request() (i Request, found bool, err error) {
	found, err = d.Read(requestName, &i)
	if _, torn := errors.AsType[*CorruptError](err); torn {
		return Request{}, false, nil
	}
	return i, found, err
}

// writeRequest replaces the newest request as a whole. Nothing is synced: an request
// counts in its own boot only, and keepalived's hooks must not wait for a disk.
func (d *Dir) writeRequest(i Request) error {
	path := filepath.Join(d.path, RequestFile)
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
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

// RecordRequest makes i the newest request, unless a newer one is recorded
// already: one of the same boot by a process that was started later. It returns
// the request that is the newest now. The same request again is no new request
// unless again is set, only a later one: keepalived runs several hooks for one
// change.
func (d *Dir) RecordRequest(ctx context.Context, i Request, again bool) (Request, error) {
	if !i.Requested.Valid() {
		return Request{}, fmt.Errorf("record request: unknown state %q", string(i.Requested))
	}
	lock, err := d.WaitLock(ctx, requestName)
	if err != nil {
		return Request{}, err
	}
	defer lock.Unlock()
	last, found, err := d.Request()
	if err != nil {
		return Request{}, err
	}
	if found {
		if i.Boot == last.Boot && i.before(last) {
			return last, nil
		}
		if i.Boot == last.Boot && i.Requested == last.Requested {
			// What keepalived requests remains so, also when a person repeats it.
			if last.Source == SourceKeepalived {
				i.Source = SourceKeepalived
			}
			if !again {
				if i.Source == SourceKeepalived {
					last.Source = i.Source
				}
				last.Started, last.PID = i.Started, i.PID
				return last, d.writeRequest(last)
			}
		}
	}
	i.Seq = last.Seq + 1
	return i, d.writeRequest(i)
}

// before says whether the process that asked for i was started before that of
// o, in the same boot.
func (i Request) before(o Request) bool {
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
