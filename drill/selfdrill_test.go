//go:build drill

package drill

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/failover/move"
)

// TestSelfDrill runs the drill of failover-notify, as the owner of a pair
// would, under constant writes.
func TestSelfDrill(t *testing.T) {
	if Kind() == lab.VM {
		t.Log("this is tried on nodes in namespaces: on virtual machines TestFailback switches over, there and back")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	d := newTakeover(t, ctx)
	defer d.report(t)
	d.gated(t)
	d.goThrough(t, ctx, []scenario{
		{"a drill", aDrill, ""},
		{"a drill without failback", noFailback, ""},
		{"a drill whose failback fails", failbackFails, lab.NS},
	})
}

// pairKey is a key for the gate alone, as a pair has it.
const pairKey = "/etc/understudy/pair_ed25519"

// gated connects the nodes through the gate alone, as docs/setup.md does.
func (d *takeover) gated(t *testing.T) {
	t.Helper()
	for _, n := range d.Lab.Nodes {
		key := d.shell(t, n, `ssh-keygen -q -t ed25519 -N '' -C "pair $2" -f "$1"; cat "$1.pub"; : >/root/.ssh/config`, pairKey, n.Name())
		d.shell(t, d.Other(n), `echo "restrict,command=\"failover-notify gate\",from=\"$2\" $1" >>/root/.ssh/authorized_keys`, key, n.Address())
	}
	d.must(t, d.Reconfigure(d.ctx, func(c Config) { c.Set("ssh.identity_file", pairKey) }))
}

// drills returns the drills that a node remembers.
func (d *takeover) drills(t *testing.T, n lab.Node) []move.Drill {
	t.Helper()
	var list []move.Drill
	text := d.shell(t, n, `failover-notify drill history -o json`)
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return list
}

func aDrill(t *testing.T, d *takeover) {
	active, other := d.active, d.standby
	if text, err := Shell(d.ctx, active, `failover-notify drill </dev/null`); err == nil || !strings.Contains(err.Error(), "--yes") {
		t.Errorf("nobody was asked: %s, %v", text, err)
	}
	d.shell(t, active, `failover-notify drill --dry-run >&2`)
	if past := d.drills(t, active); len(past) != 0 {
		t.Errorf("looking is remembered as a drill: %+v", past)
	}
	text := d.shell(t, active, `failover-notify drill --yes`)
	t.Log("\n" + text)
	for _, want := range []string{active.Name() + " → " + other.Name(), other.Name() + " → " + active.Name(), active.Name() + " serves again"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not said", want)
		}
	}
	d.serves(t)
	past := d.drills(t, active)
	if len(past) != 1 || past[0].Error != "" || past[0].Serving != active.Name() || past[0].There == nil || past[0].Back == nil {
		t.Fatalf("remembered: %+v", past)
	}
	for _, m := range []*move.Moved{past[0].There, past[0].Back} {
		parts := m.Times.Stop + m.Times.Send + m.Times.Address + m.Times.Projects
		if m.Times.Stop <= 0 || m.Times.Send <= 0 || m.Times.Address <= 0 || m.Times.Projects <= 0 || m.Gap <= 0 {
			t.Errorf("a part of %s → %s took no time: %+v", m.From, m.To, m)
		}
		// The next question notices the end.
		if parts > m.Gap+1 || parts < m.Gap/2 {
			t.Errorf("the parts of %s → %s take %.2f s, all of it %.2f s", m.From, m.To, parts, m.Gap)
		}
	}
	d.lostNothing(t)
	d.ready(t) // without any replication but the drill's own
}

// noFailback has a standby whose key may not ask anything of the active node:
// nothing moves.
func noFailback(t *testing.T, d *takeover) {
	before := len(d.drills(t, d.active))
	hide, show := `sed -i '/ pair /s/^/#/' /root/.ssh/authorized_keys`, `sed -i '/ pair /s/^#*//' /root/.ssh/authorized_keys`
	d.shell(t, d.active, hide)
	d.afterwards(t, d.active, show)
	text, err := Shell(d.ctx, d.active, `failover-notify drill --yes`)
	d.shell(t, d.active, show)
	if err == nil || !strings.Contains(err.Error(), "it can't ask "+d.active.Name()) {
		t.Errorf("%s: %v", text, err)
	}
	d.stays(t, time.Second)
	if after := len(d.drills(t, d.active)); after != before {
		t.Errorf("a drill that was refused is remembered: %d, %d", before, after)
	}
}

// failbackFails is a drill whose standby, active by then, cannot hand over: the
// services stay there, and the drill reports it.
func failbackFails(t *testing.T, d *takeover) {
	from, to := d.active, d.standby
	began := time.Now()
	d.shell(t, from, `(
			until grep -q '"role": *"standby"' /var/lib/understudy/role.json; do sleep 0.05; done
			failover-notify hold --reason drill
		) </dev/null >/dev/null 2>&1 & failover-notify drill --yes >/run/drill.out 2>&1 && exit 1; cat /run/drill.out >&2`)
	t.Log(d.shell(t, from, `cat /run/drill.out`))
	d.moved(t, began, 0)
	if said := d.shell(t, from, `cat /run/drill.out`); !strings.Contains(said, "drill: "+to.Name()+" serves") || !strings.Contains(said, "held: drill") {
		t.Errorf("it is not said where the services run, or why: %s", said)
	}
	past := d.drills(t, from)
	if last := past[len(past)-1]; last.Error == "" || last.Serving != to.Name() || last.There == nil || last.Back != nil {
		t.Errorf("remembered: %+v", last)
	}
	d.shell(t, from, `failover-notify release`)
	d.lostNothing(t)
}
