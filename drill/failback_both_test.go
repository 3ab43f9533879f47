//go:build drill

package drill

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/replicate/rejoin"
)

// common gives every application files that both nodes have.
func (d *takeover) common(t *testing.T) {
	t.Helper()
	d.shell(t, d.active, `for app; do
			rm -rf "/$app/mine"; mkdir -p "/$app/mine/deep"
			for name in changed/0 deep/kept; do mkdir -p "/$app/mine/${name%/*}"; head -c 700000 /dev/urandom >"/$app/mine/$name"; done
			echo 'to be removed' >"/$app/mine/removed"; ln -s deep/kept "/$app/mine/link"
		done`, d.datasets()...)
	d.replicate(t)
}

// goesOn changes those files on a node, differently on each.
func (d *takeover) goesOn(t *testing.T, n lab.Node) {
	t.Helper()
	d.shell(t, n, `who=$1; shift
		for app; do
			head -c 3000 /dev/urandom | dd of="/$app/mine/changed/0" bs=1 seek=300000 conv=notrunc status=none
			zfs snapshot "$app@by-hand-$(date +%s%N)"
			rm -f "/$app/mine/removed" "/$app/mine/link"
			mkdir -p "/$app/mine/$who"; head -c 900000 /dev/urandom >"/$app/mine/$who/new"; chmod 640 "/$app/mine/$who/new"
			echo "last words of $who" >>"/$app/mine/deep/kept"
		done; sync`, append([]string{n.Name()}, d.datasets()...)...)
}

// history returns all application data of a node by dataset.
func (d *takeover) history(t *testing.T, n lab.Node) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for _, dataset := range d.datasets() {
		all[dataset] = d.files(t, n, d.newest(t, n, dataset))
	}
	return all
}

// keptFiles returns the files that the last rejoin preserved on a node, by
// their original dataset. Each copy is mounted read-only, as its owner would.
func (d *takeover) keptFiles(t *testing.T, n lab.Node) map[string]map[string]string {
	t.Helper()
	var kept []rejoin.Copy
	d.must(t, json.Unmarshal([]byte(d.shell(t, n, `zfs-replicate kept list -o json`)), &kept))
	files, at := map[string]map[string]string{}, map[string]time.Time{}
	for _, k := range kept {
		if k.At.Before(at[k.Of]) {
			continue
		}
		at[k.Of] = k.At
		files[k.Of] = filesIn(d.shell(t, n, listFiles+`
			trap 'zfs unmount "$1"' EXIT
			zfs mount "$1"
			! touch "$2/no" 2>/dev/null
			list "$2"`, k.Dataset, k.Mountpoint))
	}
	return files
}

// bothHave checks that the losing node has preserved all its data, and that
// both nodes have the other node's data.
func (d *takeover) bothHave(t *testing.T, lost map[string]map[string]string) {
	t.Helper()
	kept := d.keptFiles(t, d.standby)
	for dataset, files := range lost {
		same(t, "kept of "+dataset, files, kept[dataset])
	}
	d.replicate(t)
	here, there := d.history(t, d.active), map[string]map[string]string{}
	for _, dataset := range d.datasets() {
		there[dataset] = d.files(t, d.standby, d.newest(t, d.standby, dataset))
		same(t, dataset+" on both", here[dataset], there[dataset])
	}
}

// bothWrote is a failover after which each node has changes that the other node
// lacks.
func bothWrote(t *testing.T, d *takeover) {
	d.common(t)
	old := d.active
	d.goesOn(t, old)
	pulled := time.Now()
	d.must(t, d.PullPlug(d.ctx, old))
	d.moved(t, pulled, 0)
	d.goesOn(t, d.active)
	d.wake(t, old)
	d.idle(t, old)
	d.judge(t) // what the old node alone has acknowledged is to be kept from here on
	lost := d.history(t, old)

	// Replication reports it on both nodes and changes neither.
	run := d.tries(t, d.active, "zfs-replicate", "run")
	if run.Code != 3 || !strings.Contains(run.Stdout+run.Stderr, "zfs-replicate rejoin") {
		t.Errorf("a run between two histories ended with %d:\n%s%s", run.Code, run.Stdout, run.Stderr)
	}
	for dataset, files := range d.history(t, old) {
		same(t, "untouched "+dataset, lost[dataset], files)
	}
	d.shell(t, old, `zfs-replicate rejoin --yes >&2`)
	d.bothHave(t, lost)
	won := d.files(t, d.active, d.newest(t, d.active, d.datasets()[0]))
	if won["./mine/"+d.active.Name()+"/new"] == "" || won["./mine/"+old.Name()+"/new"] != "" {
		t.Errorf("%s does not have its own history alone: %v", d.active.Name(), won)
	}
}

// kills is the number of times that a rejoin is killed, and the longest time
// before each.
func kills() (times int, within time.Duration) {
	if Kind() == lab.VM {
		return 4, 4 * time.Second // each command of ZFS's costs tenths of a second
	}
	return 10, 700 * time.Millisecond
}

// rejoinKilled kills a rejoin at random moments and repeats it until it
// succeeds.
func rejoinKilled(t *testing.T, d *takeover) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	d.common(t)
	old := d.active
	d.goesOn(t, old)
	ended := time.Now()
	d.endKeepalived(t, old)
	d.moved(t, ended, 0)
	d.goesOn(t, d.active)
	d.idle(t, old)
	d.judge(t)
	lost := d.history(t, old)

	if Kind() == lab.NS {
		d.shell(t, old, `printf '%s delay=150ms\n' send receive rollback snapshot set >/var/lib/zfssim/faults`)
		d.afterwards(t, old, `rm -f /var/lib/zfssim/faults`)
	}
	killed := 0
	times, within := kills()
	for range times {
		after := time.Duration(random.Int64N(int64(within)))
		killed += strings.Count(d.shell(t, old, `
			setsid zfs-replicate rejoin --yes </dev/null >>/run/rejoin.log 2>&1 & pid=$!
			sleep "$1"
			! kill -9 "$pid" 2>/dev/null || echo killed
			wait || true`, fmt.Sprintf("%.3f", after.Seconds())), "killed")
	}
	d.shell(t, old, `rm -f /var/lib/zfssim/faults; zfs-replicate rejoin --yes >&2`)
	t.Logf("%d of %d were killed at work", killed, times)
	if killed < times/2 {
		t.Errorf("only %d were killed at work: this shows little\n%s", killed, d.shell(t, old, `tail -n 40 /run/rejoin.log`))
	}
	if left, err := Processes(d.ctx, old); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
	d.bothHave(t, lost)
}
