package probe_test

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/probe"
	"github.com/understudy-ha/understudy/pkg/state"
)

// An active node whose watcher no longer renews the lease must not keep the virtual IP.
// A standby needs no lease.
func TestLease(t *testing.T) {
	since, err := clock.System().SinceBoot()
	if err != nil {
		t.Fatal(err)
	}
	lease := func(left time.Duration) *state.Lease {
		return &state.Lease{ID: 1, Boot: "this", Asked: since + left - 15*time.Second, TTL: 15 * time.Second}
	}
	lost, other := lease(12*time.Second), lease(12*time.Second)
	lost.Lost, other.Boot = "the lease is lost", "another"
	for _, c := range []struct {
		name    string
		role    state.Role
		lease   *state.Lease
		verdict probe.Verdict // "" if the lease is not checked
	}{
		{"renewed", state.RoleActive, lease(12 * time.Second), probe.Passed},
		{"about to end", state.RoleActive, lease(4 * time.Second), probe.Failed},
		{"over", state.RoleActive, lease(-time.Minute), probe.Failed},
		{"lost", state.RoleActive, lost, probe.Failed},
		{"none yet", state.RoleActive, nil, probe.Warned},
		{"of another boot", state.RoleActive, other, probe.Warned},
		{"of a standby", state.RoleStandby, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, c.role)
			f.probe.Config.Witness.Etcd = config.Etcd{Endpoints: []string{"http://192.0.2.1:2379"}, TTL: 15 * time.Second, Margin: 5 * time.Second}
			if c.lease != nil {
				dir, err := state.Open(f.probe.Config.RunDir)
				if err == nil {
					err = dir.Write(state.LeaseName, c.lease)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			result := f.run(t)
			var got probe.Verdict
			for _, check := range result.Checks {
				if check.Name == "lease" {
					got = check.Verdict
				}
			}
			if got != c.verdict || result.Healthy != (c.verdict != probe.Failed) {
				t.Errorf("%q, healthy %v, want %q: %s", got, result.Healthy, c.verdict, strings.Join(result.Failures(), "; "))
			}
		})
	}
}
