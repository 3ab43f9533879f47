//go:build drill

package drill

import (
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/state"
)

// configured gives both nodes another configuration, as an operator would.
func (d *takeover) configured(t *testing.T, change func(Config)) {
	t.Helper()
	d.must(t, d.Reconfigure(d.ctx, change))
	for _, n := range d.Lab.Nodes {
		d.must(t, lab.StopService(d.ctx, n, "watch"))
		d.must(t, lab.StartService(d.ctx, n, "watch"))
	}
}

// twoHistories cuts a node off until both nodes are active and have written,
// and then heals the partition. It returns when one node serves alone, as
// d.active, with the data that each node has by then.
func (d *takeover) twoHistories(t *testing.T, cut lab.Node) (ofActive, ofStandby map[string]map[string]string) {
	t.Helper()
	d.common(t)
	d.must(t, cut.CutNetwork(d.ctx, lab.Both))
	for _, n := range d.Lab.Nodes {
		d.awaitState(t, n, "both active", func(s NodeState) bool { return s.Role.Role == state.RoleActive && s.Current() })
	}
	for _, n := range d.Lab.Nodes {
		d.goesOn(t, n)
	}
	d.must(t, cut.RestoreNetwork(d.ctx))
	healed := time.Now()
	d.await(t, func() string {
		for _, n := range d.Lab.Nodes {
			if d.state(t, n).Role.Role == state.RoleStandby {
				d.active, d.standby = d.Other(n), n
				return ""
			}
		}
		return "a node that steps down"
	})
	d.idle(t, d.standby)
	d.serves(t)
	t.Logf("%s goes on; alone %.1f s after they could hear each other again", d.active.Name(), time.Since(healed).Seconds())
	d.began = time.Now() // until here two have written, which is what this is about
	used := d.state(t, d.standby).Role.ActiveTerm
	d.awaitState(t, d.active, "a term that counts as the newest", func(s NodeState) bool {
		return s.Role.Role == state.RoleActive && s.Role.Term > used
	})
	d.awaitState(t, d.standby, "not eligible", func(s NodeState) bool { return !s.Shown })

	// The run of each minute: it changes no data of either node.
	ofStandby = d.history(t, d.standby)
	run := d.tries(t, d.active, "zfs-replicate", "run")
	if run.Code != 3 && run.Code != 76 {
		t.Errorf("a run between two histories ended with %d:\n%s%s", run.Code, run.Stdout, run.Stderr)
	}
	other := d.tries(t, d.standby, "zfs-replicate", "run")
	if other.Code != 76 {
		t.Errorf("the other way it ended with %d:\n%s%s", other.Code, other.Stdout, other.Stderr)
	}
	for dataset, files := range d.history(t, d.standby) {
		same(t, "untouched "+dataset, ofStandby[dataset], files)
	}
	for _, n := range d.Lab.Nodes {
		text := d.shell(t, n, `failover-notify status`)
		for _, want := range append(d.datasets(), "failover-notify resolve --keep", "zfs-replicate rejoin") {
			if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
				t.Errorf("on %s, status does not say %q:\n%s", n.Name(), want, text)
			}
		}
	}
	return d.history(t, d.active), ofStandby
}

// partitionKept is a partition without a witness. Afterwards it keeps the
// history of the serving node, or that of the standby. resolve runs on the node
// that loses, and then on the node that keeps.
func partitionKept(t *testing.T, d *takeover) {
	d.configured(t, func(c Config) { c.Set("witness", Config{"targets": []any{}}) })
	defer d.configured(t, nil)
	for _, other := range []bool{false, true} {
		name := "the one that goes on"
		if other {
			name = "the other one"
		}
		if !t.Run(name, func(t *testing.T) { d.resolves(t, other) }) {
			return
		}
	}
}

func (d *takeover) resolves(t *testing.T, other bool) {
	began := time.Now()
	cut := d.standby
	if other {
		cut = d.active // so that the newer term is the other node's
	}
	lost, kept := d.twoHistories(t, cut)
	ask := d.standby
	if other {
		d.active, d.standby = d.standby, d.active
	} else {
		lost, kept = kept, lost
	}
	resolved := time.Now()
	d.shell(t, ask, `failover-notify resolve --keep "$1" >&2`, d.active.Name())
	t.Logf("resolved in %.1f s", time.Since(resolved).Seconds())
	d.serves(t)
	d.judge(t)
	all := d.keptFiles(t, d.standby)
	for dataset, files := range lost {
		// While it served alone, the log grew.
		withoutLog(files, all[dataset])
		same(t, "kept of "+dataset, files, all[dataset])
	}
	d.replicate(t)
	for _, dataset := range d.datasets() {
		here, there := d.files(t, d.active, d.newest(t, d.active, dataset)), d.files(t, d.standby, d.newest(t, d.standby, dataset))
		same(t, dataset+" on both", here, there)
		withoutLog(kept[dataset], here)
		same(t, dataset+" as it was", kept[dataset], here)
	}
	d.ready(t)
	t.Logf("%.1f s", time.Since(began).Seconds())
}

// withoutLog leaves out the logs that the applications keep writing; their
// acknowledged writes are checked separately.
func withoutLog(all ...map[string]string) {
	for _, files := range all {
		delete(files, "./log")
	}
}

// partitionWitnessed cuts nodes off in several ways, one after the other. A
// node that reaches no witness must not take over; an active node that loses
// the witness steps down before another node takes over. judge checks the rest.
func partitionWitnessed(t *testing.T, d *takeover) {
	if Kind() == lab.VM {
		// An emulated machine that is cut off needs long to notice and to stop.
		d.configured(t, func(c Config) { c.Set("witness.delay", "60s") })
		defer d.configured(t, nil)
	}
	for _, c := range []struct {
		name string
		do   func(*testing.T)
	}{
		{"the standby", d.cutStandby},
		{"the active node can't be heard", func(t *testing.T) { d.cutOneWay(t, lab.Out) }},
		{"the active node hears nothing", func(t *testing.T) { d.cutOneWay(t, lab.In) }},
	} {
		if !t.Run(c.name, c.do) {
			return
		}
	}
}

func (d *takeover) cutStandby(t *testing.T) {
	node, before := d.standby, d.state(t, d.standby)
	d.must(t, node.CutNetwork(d.ctx, lab.Both))
	d.awaitState(t, node, "one that keeps out", func(s NodeState) bool { return s.Role.Role == state.RoleFault })
	d.stays(t, 5*time.Second)
	if s := d.state(t, node); s.Role.Term != before.Role.Term {
		t.Errorf("cut off, %s has taken a term: %s", node.Name(), s)
	}
	d.must(t, node.RestoreNetwork(d.ctx))
	d.serves(t)
	d.lostNothing(t)
	d.ready(t)
}

func (d *takeover) cutOneWay(t *testing.T, way lab.Direction) {
	t.Helper()
	node, cut := d.active, time.Now()
	d.must(t, node.CutNetwork(d.ctx, way))
	d.moved(t, cut, 0)
	d.idle(t, node)
	t.Logf("%s had stopped %.2f s after it was cut off", node.Name(), d.stopped(t, node, cut).Seconds())
	d.must(t, node.RestoreNetwork(d.ctx))
	d.stays(t, 2*time.Second)
	d.judge(t)
	d.heal(t)
}

// stopped returns how long after a moment a node was last seen as a writer.
func (d *takeover) stopped(t *testing.T, n lab.Node, from time.Time) time.Duration {
	t.Helper()
	last := from
	for _, s := range d.Line.Since(from).Of(n.Name()) {
		if s.Writer() {
			last = s.Received
		}
	}
	return last.Sub(from)
}
