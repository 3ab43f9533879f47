//go:build drill && measure

package monitoring

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// What it costs to compare 100 datasets with 10,000 snapshots, in terms of one
// bare listing on each side at the same time.
func TestCostOfManySnapshots(t *testing.T) {
	a, b := newPair(t)
	const list = "zfs list -H -p -o name,guid,createtxg -t snapshot -r tank/data"
	for _, n := range []lab.Node{a, b} {
		shell(t, n, fill)
		if out, _ := shell(t, n, list+" | wc -l"); strings.TrimSpace(out) != "10000" {
			t.Fatalf("%s snapshots on %s", strings.TrimSpace(out), n.Name())
		}
	}
	bare := list + " >/dev/null & ssh -i /etc/understudy/id_ed25519 -o UserKnownHostsFile=/etc/understudy/known_hosts root@10.77.0.12 " + list + " >/dev/null; wait"
	var ours, least []float64
	for range 5 {
		for _, c := range []struct {
			script string
			took   *[]float64
		}{{bare, &least}, {"/usr/sbin/lag-check >/dev/null", &ours}} {
			began := time.Now()
			shell(t, a, c.script)
			*c.took = append(*c.took, time.Since(began).Seconds())
		}
	}
	slices.Sort(ours)
	slices.Sort(least)
	// Which calls it takes, and how long each of them does alone.
	calls, _ := shell(t, a, "/usr/sbin/lag-check --log-level debug --log-format logfmt 2>&1 | sed -n 's/.*argv=//p' | cut -c1-200")
	t.Logf("the calls of node a:\n%s", calls)
	parts, _ := shell(t, a, "for what in 'list -H -p -o name,guid,createtxg -t snapshot' 'list -H -p -o name,guid,createtxg,numclones -t snapshot,bookmark' 'list -H -p -o name,guid,written,referenced,readonly,receive_resume_token -t filesystem,volume'; do echo $what; bash -c \"time zfs $what -r tank/data\" 2>&1 >/dev/null; done; echo lag-check --local; bash -c 'time /usr/sbin/lag-check --local' 2>&1 >/dev/null; echo lag-check --version; bash -c 'time /usr/sbin/lag-check --version' 2>&1 >/dev/null")
	t.Logf("alone:\n%s", parts)
	ratio := ours[2] / least[2]
	t.Logf("lag-check %.2f s, one bare listing a side %.2f s: %.2f (%v)", ours[2], least[2], ratio, kind())
}
