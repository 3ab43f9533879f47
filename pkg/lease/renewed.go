package lease

import "time"

// left is etcd's answer about the remaining time of a lease.
type left struct {
	// whole is the remaining time in whole seconds, granted that of a lease that has
	// just been renewed.
	whole, granted time.Duration
	// election counts etcd's leaders: a new leader restarts every lease, even that of a
	// node that is off.
	election uint64
	// The answer was true at some time between asked and told.
	asked, told time.Time
}

// tells reports whether the answer is usable: etcd gave one, and no new leader has just
// extended the lease beyond what its holder can.
func (l left) tells() bool { return l.whole > 0 && l.whole <= l.granted }

// Renewals detects that a lease was renewed between two calls.
type Renewals struct{ first Holder }

// Seen reports whether the lease has certainly been renewed since the first call for
// it: its holder was alive then. False proves nothing.
func (r *Renewals) Seen(h Holder) bool {
	now, then := h.left, r.first.left
	if h.Revision != r.first.Revision || now.election != then.election || !then.tells() {
		r.first = h
		return false
	}
	// At the first call less than one second more was left, and at least this much
	// time has passed.
	return now.tells() && now.whole >= then.whole+time.Second-now.asked.Sub(then.told)
}
