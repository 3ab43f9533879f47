package doctor

import (
	"context"
	"fmt"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/lease"
)

// Lease is the state of etcd as seen from a node.
type Lease struct {
	Members []lease.Member `json:"members"`
	// Holder is the node that holds the lease, or "".
	Holder string `json:"holder,omitempty"`
	// Problem is the reason why the holder is unknown.
	Problem string `json:"problem,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// lease asks all members of etcd, and for the holder of the lease.
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

// lease judges the state of etcd as seen from a node.
func (j *judge) lease(f *Facts, add add) {
	l := f.Lease
	if l == nil {
		return
	}
	for _, m := range l.Members {
		if m.Error != "" {
			add("etcd-member", Warning, "etcd member "+m.Endpoint+": "+m.Error, "without a majority of its members etcd grants no lease", "check that etcd runs there and that this node reaches it: etcdctl --endpoints "+m.Endpoint+" endpoint health")
		}
	}
	switch {
	case l.Problem != "":
		add("etcd", Error, l.Problem, "without the lease this node can't become or stay active", l.Fix)
	case j.active != nil && l.Holder != j.active.Node:
		holder := "no node"
		if l.Holder != "" {
			holder = l.Holder
		}
		add("lease", Error, fmt.Sprintf("%s is active, but %s holds the lease", j.active.Node, holder), "another node can become active at any time", "check that the watcher on "+j.active.Node+" runs with this configuration: systemctl restart understudy; failover-notify status")
	}
}
