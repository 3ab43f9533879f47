package state

import (
	"context"
	"errors"
	"fmt"
	"time"
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

// Request returns the newest request; found is false before there was any, and
// when a power cut has torn it: it was one of an earlier boot then.
func (d *Dir) Request() (i Request, found bool, err error) {
	found, err = d.Read(requestName, &i)
	if _, torn := errors.AsType[*CorruptError](err); torn {
		return Request{}, false, nil
	}
	return i, found, err
}

// writeRequest replaces the newest request. Nothing is synced: a request counts
// in its own boot only, and keepalived's hooks must not wait for a disk.
func (d *Dir) writeRequest(i Request) error { return d.WritePassing(requestName, i) }

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

// before reports whether the process that asked for i was started before that of
// o, in the same boot.
func (i Request) before(o Request) bool {
	if i.Started != o.Started {
		return i.Started < o.Started
	}
	return i.PID < o.PID
}
