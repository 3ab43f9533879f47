package doctor

import (
	"context"
	"fmt"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/lease"
)

// Lease is what etcd says from a node.
type Lease struct {
	Members []lease.Member `json:"members"`
	// Holder is the node that has the lease; "" when none has.
	Holder string `json:"holder,omitempty"`
	// Problem is why that is not known.
	Problem string `json:"problem,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// lease asks all of etcd's members, and who has the lease.
func (d *Doctor) lease(ctx context.Context) (Lease, error) {
	etcd := lease.New(d.config().Witness.Etcd)
	defer etcd.Close()
	var l Lease
	holder, _, err := etcd.Holder(ctx)
	if err != nil {
		l.Problem, l.Fix = err.Error(), exit.Hint(err)
	}
	l.Holder = holder.Node
	l.Members = etcd.Members(ctx)
	return l, nil
}

// lease judges what a node hears from etcd.
func (j *judging) lease(f *Facts, add add) {
	l := f.Lease
	if l == nil {
		return
	}
	for _, m := range l.Members {
		if m.Error != "" {
			add("etcd-member", Warning, "etcd's member "+m.Endpoint+": "+m.Error, "without more than half of its members etcd grants no lease", "see that etcd runs there and is reached from here: etcdctl --endpoints "+m.Endpoint+" endpoint health")
		}
	}
	switch {
	case l.Problem != "":
		add("etcd", Error, l.Problem, "without the lease this node can't become active, nor stay so", l.Fix)
	case j.active != nil && l.Holder != j.active.Node:
		who := "nobody"
		if l.Holder != "" {
			who = l.Holder
		}
		add("lease", Error, fmt.Sprintf("%s is active, and the lease is held by %s", j.active.Node, who), "another node may become active at any time", "see that the watcher runs on "+j.active.Node+", with this configuration: systemctl restart understudy; failover-notify status")
	}
}
