package data_test

import (
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/failover/data"
)

// A promotion killed after any number of programs and repeated ends as one that was
// never killed; and an interrupted one can be reversed.
func TestKilledAnywhere(t *testing.T) {
	_, b := pair(t)
	promoted := func() {
		t.Helper()
		b.calls = -1
		b.promote()
		b.has("tank/srv readonly off default", "tank/srv/db canmount on default", "tank/srv/db readonly off default",
			"tank/srv/db mounted yes -", "tank/srv/db understudy:demoted - -", "tank/srv/group canmount off received",
			"tank/srv/archive readonly on received", "tank/srv/group/mail mounted yes -", "tank/srv/disk readonly off default")
		b.reads("one", "tank/srv/db/f")
	}
	demoted := func() {
		t.Helper()
		b.calls = -1
		b.demote()
		for _, name := range []string{"srv", "srv/db", "srv/group", "srv/group/mail", "srv/archive"} {
			b.has("tank/"+name+" readonly on local", "tank/"+name+" canmount noauto local", "tank/"+name+" mounted no -")
		}
		b.has("tank/srv/disk readonly on local")
	}
	interrupted := 0
	for calls := 1; ; calls++ {
		b.calls = calls
		_, _ = b.data().Promote(t.Context(), data.Unrecorded) // what it says is the next test's matter
		reached := b.spent()
		if calls%2 == 0 {
			demoted()
		}
		promoted()

		b.calls = calls
		_, _ = b.data().Demote(t.Context(), data.Unrecorded)
		reached = b.spent() || reached
		if calls%3 == 0 {
			promoted()
		}
		demoted()
		if t.Failed() {
			t.Fatalf("after being killed with program %d", calls)
		}
		if !reached {
			break
		}
		interrupted++
		b.forgetSnapshots()
	}
	if interrupted < 10 {
		t.Errorf("only %d programs: that can't be all", interrupted)
	}
}

// forgetSnapshots destroys the snapshots of promotions and demotions: this test makes
// more than one a second.
func (n *node) forgetSnapshots() {
	n.t.Helper()
	for _, name := range strings.Fields(n.zfs("list", "-H", "-o", "name", "-t", "snapshot")) {
		if strings.Contains(name, "@understudy-") {
			n.zfs("destroy", name)
		}
	}
}

// A failed call is never reported as done.
func TestCallsThatFailAreFailures(t *testing.T) {
	_, b := pair(t)
	for calls := 1; ; calls++ {
		b.calls = calls
		result, err := b.data().Promote(t.Context(), data.Unrecorded)
		if !b.spent() {
			break
		}
		b.calls = -1
		failed := map[string]bool{}
		for _, f := range result.Failed {
			failed[f.Dataset] = true
		}
		for _, name := range []string{"tank/srv", "tank/srv/db", "tank/srv/group/mail"} {
			writable := b.get("readonly", name)[:3] == "off" && b.get("mounted", name) == "yes -"
			if err == nil && !writable && !failed[name] {
				t.Errorf("%d calls: %s is not writable and mounted, and nobody says so: %+v", calls, name, result)
			}
		}
		b.demote()
	}
}
