package command

import (
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/failover"
)

func TestLeaseInStatus(t *testing.T) {
	for _, c := range []struct {
		lease *failover.LeaseStatus
		want  string
	}{
		{nil, ""},
		{&failover.LeaseStatus{}, "free"},
		{&failover.LeaseStatus{Holder: "a", Left: 12}, "held here, 12s left"},
		{&failover.LeaseStatus{Holder: "b", Left: 12}, "held by b, 12s left"},
		{&failover.LeaseStatus{Holder: "b", Stopping: true, Left: 12}, "held by b, being released, 12s left"},
		{&failover.LeaseStatus{Error: "etcd (x) does not answer: no answer in time"}, "etcd (x) does not answer: no answer in time"},
		{&failover.LeaseStatus{Error: "etcd is down", Left: 7}, "7s left; etcd is down"},
	} {
		s := failover.Status{Lease: c.lease}
		s.Node = "a"
		if got := leaseText(&s); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
		text := statusText([]failover.NodeStatus{{Node: "a", Self: true, Status: &s}})
		if strings.Contains(text, "lease") != (c.want != "") {
			t.Errorf("%+v:\n%s", c.lease, text)
		}
	}
}
