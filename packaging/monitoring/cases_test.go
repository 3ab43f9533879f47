//go:build drill

package monitoring

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// strict makes every lag a warning.
const strict = "UNDERSTUDY_LAG_WARNING=1ms"

// Two real nodes with real ssh between them.
func TestLagOfAPair(t *testing.T) {
	a, b := newPair(t, hasty)
	must(t, a, "zfs create -o mountpoint=none tank/data; zfs create tank/data/idle; zfs create -o mountpoint=/srv/busy tank/data/busy; zfs-replicate run -o text")
	says(t, a, 0, "LAG OK - b: 3 datasets in sync")
	says(t, b, 0, "LAG OK - b: 3 datasets in sync")
	for _, c := range []struct {
		name string
		run  func(t *testing.T, a, b lab.Node)
	}{
		{"an idle dataset is never behind", idle},
		{"its clock is an hour off", clockOff},
		{"it hangs", hanging},
		{"it is down", down},
		{"a dataset is missing", missingDataset},
		{"the same name with another guid", otherGUID},
		{"both are active", bothActive},
		{"the standby was promoted", promoted},
	} {
		if !t.Run(c.name, func(t *testing.T) { c.run(t, a, b) }) {
			break // the pair is not as the next one needs it
		}
	}
}

func idle(t *testing.T, a, b lab.Node) {
	saysWith(t, a, strict, 0, "3 datasets in sync")
	must(t, a, "echo more > /srv/busy/file; zpool sync tank")
	for _, n := range []lab.Node{a, b} {
		saysWith(t, n, strict, 1, "LAG WARNING - b: 1 of 3 datasets needs attention: tank/data/busy")
		if out, _ := shell(t, n, "/usr/sbin/lag-check -o text"); !lineWith(out, "tank/data/idle", "in sync") || !lineWith(out, "tank/data/busy", "behind") {
			t.Errorf("on %s:\n%s", n.Name(), out)
		}
	}
	must(t, a, "zfs-replicate run")
	saysWith(t, b, strict, 0, "3 datasets in sync")
}

// lineWith reports whether a line of text has both words.
func lineWith(text, one, other string) bool {
	for line := range strings.Lines(text) {
		if strings.Contains(line, one) && strings.Contains(line, other) {
			return true
		}
	}
	return false
}

func clockOff(t *testing.T, a, b lab.Node) {
	// It is set by a command that takes an emulated machine seconds.
	err := b.SetClock(t.Context(), time.Hour+20*time.Second)
	if unsupported, ok := errors.AsType[*lab.UnsupportedError](err); ok {
		t.Logf("NOT RUN HERE: %v", unsupported) // lag-pair.txtar has another clock too
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	out, code := shell(t, a, "/usr/sbin/lag-check -o text")
	if code != 0 || !strings.Contains(out, "its clock is 1h0m") {
		t.Errorf("exit code %d: %s", code, out)
	}
	says(t, b, 0, "LAG OK - b: 3 datasets in sync")
	// By the wrong clock what is written now would be at risk for an hour.
	must(t, a, "echo now > /srv/busy/file; zpool sync tank")
	for _, n := range []lab.Node{a, b} {
		says(t, n, 0, "LAG OK - b: 3 datasets, at most ", "behind (tank/data/busy)")
	}
	if err := b.SetClock(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	must(t, a, "zfs-replicate run")
}

func hanging(t *testing.T, a, b lab.Node) {
	if err := b.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	says(t, a, 1, "LAG WARNING - b not compared: ", "3 datasets in sync")
	if err := b.Thaw(t.Context()); err != nil {
		t.Fatal(err)
	}
	says(t, a, 0, "LAG OK")
}

func down(t *testing.T, a, b lab.Node) {
	if err := b.CutNetwork(t.Context(), lab.Both); err != nil {
		t.Fatal(err)
	}
	says(t, a, 1, "LAG WARNING - b not compared: b ("+b.Address()+") can't be reached", "3 datasets in sync")
	says(t, b, 1, "LAG WARNING - b not compared: a ("+a.Address()+") can't be reached")
	// What is written meanwhile is at risk, though nobody answers.
	must(t, a, "echo again > /srv/busy/file; zpool sync tank")
	saysWith(t, a, strict+" UNDERSTUDY_LAG_CRITICAL=2ms", 2, "b not compared", "tank/data/busy")
	if err := b.RestoreNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	must(t, a, "zfs-replicate run")
	says(t, a, 0, "LAG OK - b: 3 datasets in sync")
}

func missingDataset(t *testing.T, a, b lab.Node) {
	must(t, b, "zfs destroy -r tank/data/idle")
	for _, n := range []lab.Node{a, b} {
		saysWith(t, n, strict, 2, "LAG CRITICAL - b: 1 of 3 datasets needs attention: tank/data/idle missing")
	}
	must(t, a, "zfs-replicate run")
	says(t, b, 0, "3 datasets in sync")
}

func otherGUID(t *testing.T, a, b lab.Node) {
	must(t, b, "names=$(zfs list -H -o name -t snapshot tank/data/idle); zfs destroy -r tank/data/idle; zfs create tank/data/idle; for s in $names; do zfs snapshot $s; done")
	names := "zfs list -H -o name -t snapshot tank/data/idle | sort"
	here, _ := shell(t, a, names)
	if there, _ := shell(t, b, names); here != there || here == "" {
		t.Fatalf("the names are %q and %q", here, there)
	}
	for _, n := range []lab.Node{a, b} {
		says(t, n, 2, "tank/data/idle unknown history")
	}
	must(t, b, "zfs destroy -r tank/data/idle")
	must(t, a, "zfs-replicate run")
	says(t, a, 0, "3 datasets in sync")
}

// become writes a node's role as failover-notify would.
func become(t *testing.T, n lab.Node, role string) {
	t.Helper()
	must(t, n, fmt.Sprintf("echo '%s' > /var/lib/understudy/role.json", role))
}

func bothActive(t *testing.T, a, b lab.Node) {
	become(t, b, `{"role":"active","term":2,"newest_term":2,"active_term":2}`)
	for _, n := range []lab.Node{a, b} {
		says(t, n, 2, "more than one node is active: ", "(term 1)", "(term 2)")
	}
}

// The former active node is the standby now, and the one that is compared.
func promoted(t *testing.T, a, b lab.Node) {
	become(t, a, `{"role":"standby","newest_term":2,"active_term":1}`)
	must(t, b, "for d in $(zfs list -H -o name -r tank/data); do zfs set readonly=off $d; done")
	for _, n := range []lab.Node{a, b} {
		says(t, n, 0, "LAG OK - a: 3 datasets in sync")
	}
	must(t, b, "zfs set mountpoint=/srv/busy tank/data/busy; mountpoint -q /srv/busy || zfs mount tank/data/busy; echo new > /srv/busy/after; zpool sync tank")
	for _, n := range []lab.Node{a, b} {
		says(t, n, 0, "LAG OK - a: 3 datasets, at most ", "behind (tank/data/busy)")
	}
}

// fill makes 100 datasets with 100 snapshots each, on all nodes at the same
// time: a call makes 100, which takes an emulated machine seconds. ZFS makes one
// snapshot of a dataset in a transaction group, so that there is no faster way.
func fill(t *testing.T, nodes ...lab.Node) {
	t.Helper()
	var filling sync.WaitGroup
	for _, n := range nodes {
		filling.Go(func() {
			if out, code := shell(t, n, "set -e; "+fillScript); code != 0 {
				t.Errorf("fill %s: exit code %d: %s", n.Name(), code, out)
			}
		})
	}
	filling.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

const fillScript = `zfs create -o canmount=off -o mountpoint=none tank/data
for i in $(seq 2 100); do zfs create -o canmount=off tank/data/d$i; done
for i in $(seq 1 100); do zfs snapshot -r tank/data@s-$i; done`

// Names that are the same on both nodes a hundred times a hundred times, and
// not one that is the same data.
func TestLagOfManySnapshots(t *testing.T) {
	a, b := newPair(t, patient)
	fill(t, a, b)
	for _, n := range []lab.Node{a, b} {
		says(t, n, 2, "LAG CRITICAL - b: 100 of 100 datasets need attention", "unknown history")
		if out, _ := shell(t, n, "zfs list -H -o name -t snapshot -r tank/data | wc -l"); strings.TrimSpace(out) != "10000" {
			t.Errorf("%s snapshots on %s", strings.TrimSpace(out), n.Name())
		}
	}
}
