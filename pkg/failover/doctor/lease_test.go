package doctor

import (
	"slices"
	"testing"

	"github.com/understudy-ha/understudy/pkg/lease"
)

func TestLeaseFindings(t *testing.T) {
	up := lease.Member{Endpoint: "http://e:2379", Version: "3.5"}
	down := lease.Member{Endpoint: "http://f:2379", Error: "no answer in time"}
	for _, c := range []struct {
		name string
		l    Lease
		want []string
	}{
		{"all is well", Lease{Members: []lease.Member{up}, Holder: "a"}, nil},
		{"one member is down", Lease{Members: []lease.Member{up, down}, Holder: "a"}, []string{"etcd-member"}},
		{"none answers", Lease{Members: []lease.Member{down}, Problem: "etcd does not answer"}, []string{"etcd-member", "etcd"}},
		{"active without the lease", Lease{Members: []lease.Member{up}}, []string{"lease"}},
		{"another one has it", Lease{Members: []lease.Member{up}, Holder: "b"}, []string{"lease"}},
	} {
		j := judge{active: &Facts{Node: "a"}}
		var got []string
		j.lease(&Facts{Node: "b", Lease: &c.l}, func(check string, _ Severity, problem, why, fix string) {
			got = append(got, check)
			if problem == "" || why == "" {
				t.Errorf("%s: %s says nothing", c.name, check)
			}
		})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
