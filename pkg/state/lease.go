package state

import "time"

// LeaseName is the name under which a node keeps its lease, in the folder for
// what must not survive a reboot.
const LeaseName = "lease"

// Lease is what lease.json holds: the lease under which this node may be active,
// as far as this node can know.
type Lease struct {
	ID int64 `json:"id,string"`
	// Revision is etcd's when the lease was taken; it grows with each change
	// there.
	Revision uint64 `json:"revision"`
	// Boot is the kernel's id of the boot in which it was taken.
	Boot string `json:"boot"`
	// Asked is when what confirmed it last was sent, in nanoseconds since the
	// boot: etcd counts TTL from later than that.
	Asked time.Duration `json:"asked"`
	TTL   time.Duration `json:"ttl"`
	// Lost says why it is over before its time; empty while it is not.
	Lost string `json:"lost,omitempty"`
}

// Left is how long the lease lasts from now on, a time since the boot; not above
// 0 when it is over.
func (l Lease) Left(now time.Duration) time.Duration {
	if l.Lost != "" {
		return 0
	}
	return l.Asked + l.TTL - now
}

// Lease returns the lease that was kept in this folder in a boot; found is false
// when there is none.
func (d *Dir) Lease(boot string) (l Lease, found bool, err error) {
	found, err = d.Read(LeaseName, &l)
	return l, found && l.Boot == boot, err
}
