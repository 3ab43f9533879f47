package lease

import "time"

// left is what etcd has said of how long a lease lasts.
type left struct {
	// whole are the whole seconds that were left, and granted those of one that has
	// just been renewed.
	whole, granted time.Duration
	// election counts etcd's leaders: a new one restarts every lease, also
	// that of a node that is off.
	election uint64
	// It was so at some time between the two.
	asked, told time.Time
}

// tells is false where nothing follows from it: etcd has not said it, or a new
// leader has just made the lease longer than its holder can.
func (l left) tells() bool { return l.whole > 0 && l.whole <= l.granted }

// Renewals notices that a lease is renewed between two calls.
type Renewals struct{ first Holder }

// Seen reports whether the lease that is seen now was renewed since the first look at
// it, for certain: its holder was alive then. False says nothing.
func (r *Renewals) Seen(h Holder) bool {
	now, then := h.left, r.first.left
	if h.Revision != r.first.Revision || now.election != then.election || !then.tells() {
		r.first = h
		return false
	}
	// At the first look less than a whole second more was left, and at least this
	// much has gone by.
	return now.tells() && now.whole >= then.whole+time.Second-now.asked.Sub(then.told)
}
