//go:build drill && measure

package monitoring

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// atMost is what a check may cost, in terms of one bare listing on each side at
// the same time.
const atMost = 1.3

// copied brings a pool to another node with its disk: the guids are the same on
// both then, as after that many replications, which would take hours.
const copied = `cd /var/lib/understudy-disk
zpool export tank
ssh b zpool destroy tank
tar -cS tank.pool | ssh b tar -xS -C /var/lib/understudy-disk
zpool import -N -d /var/lib/understudy-disk/tank.pool tank
ssh b 'zpool import -N -d /var/lib/understudy-disk/tank.pool tank; zfs set readonly=on tank/data'`

// What it costs to compare 100 datasets with 10,000 snapshots, which both nodes
// have.
func TestCostOfManySnapshots(t *testing.T) {
	if kind() != lab.VM {
		t.Log("most of what a listing takes of the simulator is its start: LAB=vm measures it on OpenZFS")
		return
	}
	a, _ := newPair(t, patient)
	fill(t, a)
	must(t, a, copied)
	const list = "zfs list -H -p -o name,guid,createtxg -t snapshot -r tank/data"
	const bare = "{ " + list + " & ssh -n -i /etc/understudy/id_ed25519 -o UserKnownHostsFile=/etc/understudy/known_hosts root@10.77.0.12 " + list + "; wait; } | wc -l"
	var ratios []float64
	for range 3 {
		out, least := timed(t, a, bare)
		if strings.TrimSpace(out) != "20000" {
			t.Fatalf("%s snapshots on both", strings.TrimSpace(out))
		}
		out, ours := timed(t, a, "/usr/sbin/lag-check")
		if !strings.Contains(out, "LAG OK - b: 100 datasets in sync") {
			t.Fatal(out)
		}
		t.Logf("lag-check %.2f s, one bare listing a side %.2f s: %.2f", ours, least, ours/least)
		ratios = append(ratios, ours/least)
	}
	slices.Sort(ratios)
	// Which calls it takes, and how long each of them does.
	calls, _ := shell(t, a, "/usr/sbin/lag-check --log-level debug --log-format logfmt 2>&1 | sed -n 's/.*argv=//p'")
	t.Logf("the calls of node a:\n%s", calls)
	if ratios[1] > atMost {
		t.Errorf("the median is %.2f, more than %.1f", ratios[1], atMost)
	}
}

// timed is shell with the seconds that it took.
func timed(t *testing.T, n lab.Node, script string) (string, float64) {
	t.Helper()
	began := time.Now()
	out, _ := shell(t, n, script)
	return out, time.Since(began).Seconds()
}
