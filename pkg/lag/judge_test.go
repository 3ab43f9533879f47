package lag

import (
	"errors"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

func checker(self string) *Checker {
	cfg := &config.Config{Nodes: []config.Node{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	cfg.Replication.Prefix = "replicate"
	cfg.Replication.Datasets = []config.Dataset{{Name: "tank", Recursive: true}}
	cfg.Lag = config.Lag{Warning: 20 * time.Minute, Critical: time.Hour, Datasets: []config.LagDataset{{Name: "tank/slow", Warning: 2 * time.Hour, Critical: 3 * time.Hour}}}
	c := &Checker{Config: cfg, Now: func() time.Time { return noon }, at: noon}
	for _, n := range cfg.Nodes {
		if n.Name == self {
			c.Self = n
		}
	}
	return c
}

func holding(name string, written int64, snaps ...zfs.Snap) Holding {
	return Holding{Dataset: zfs.Dataset{Name: name, Type: zfs.Filesystem, Written: written, Referenced: 1000, ReadOnly: written < 0}, Snaps: snaps}
}

func snapAt(at time.Time, guid zfs.GUID) zfs.Snap {
	return zfs.Snap{Name: "replicate-" + at.Format("20060102T150405Z"), GUID: guid, CreateTXG: uint64(guid)}
}

// The active node's clock is an hour ahead or behind: its snapshots are named by
// it, and their age comes out as it is.
func TestClockIsTakenOut(t *testing.T) {
	for _, off := range []time.Duration{0, time.Hour, -time.Hour} {
		c := checker("b")
		snap := snapAt(noon.Add(off-30*time.Minute), 7)
		active := &view{node: c.Config.Nodes[0], clock: off, inv: &Inventory{Role: state.RoleActive, Datasets: []Holding{holding("tank", 500, snap)}}}
		own := &view{node: c.Self, inv: &Inventory{Role: state.RoleStandby, Datasets: []Holding{holding("tank", 0, snap)}}}
		s, err := c.standby(t.Context(), active, own, nil)
		if err != nil {
			t.Fatal(err)
		}
		s.sum()
		if s.LagSeconds != 1800 || s.Level != Warning || s.ExposureBytes != 500 || !s.BytesKnown {
			t.Errorf("clock %s off: %+v", off, s)
		}
	}
}

func TestLimitsOfTheirOwn(t *testing.T) {
	c := checker("b")
	snap := snapAt(noon.Add(-90*time.Minute), 7)
	both := []Holding{holding("tank", 1, snap), holding("tank/slow", 1, snap), holding("tank/slow/sub", 1, snap)}
	s, err := c.standby(t.Context(), &view{node: c.Config.Nodes[0], inv: &Inventory{Datasets: both}},
		&view{node: c.Self, inv: &Inventory{Datasets: []Holding{holding("tank", 0, snap), holding("tank/slow", 0, snap), holding("tank/slow/sub", 0, snap)}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []Level{Critical, OK, OK} {
		if s.Datasets[i].Level != want {
			t.Errorf("%s is %s, want %s", s.Datasets[i].Dataset, s.Datasets[i].Level, want)
		}
	}
}

// What the active node wrote since a snapshot that is not its newest one only
// that node knows; where it does not say, it is at least what came after.
func TestBytesThatOnlyTheSourceKnows(t *testing.T) {
	c := checker("b")
	common, newer := snapAt(noon.Add(-time.Minute), 7), snapAt(noon, 8)
	source := &view{node: c.Config.Nodes[0], inv: &Inventory{Datasets: []Holding{holding("tank", 5, common, newer)}}}
	own := &view{node: c.Self, inv: &Inventory{Datasets: []Holding{holding("tank", 0, common)}}}
	for _, known := range []bool{true, false} {
		want := int64(5)
		if source.inv.Written = nil; known {
			want = 4000
			source.inv.Written = map[string]map[string]Mark{"b": {"tank": {GUID: 7, Bytes: 4000}}}
		}
		s, err := c.standby(t.Context(), source, own, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := s.Datasets[0]; d.ExposureBytes != want || d.BytesKnown != known || d.State != Behind {
			t.Errorf("known %v: %+v", known, d)
		}
	}
}

// A standby that can't ask knows what it has, and for how long nobody has said
// that this is all.
func TestStandbyAlone(t *testing.T) {
	c := checker("b")
	replica := holding("tank", 0, snapAt(noon.Add(-3*time.Hour), 7))
	replica.ReadOnly, replica.StreamFlags = true, "Lce"
	source := &view{node: c.Config.Nodes[0], err: errors.New("down")}
	own := &view{node: c.Self, inv: &Inventory{Datasets: []Holding{replica}}}
	// Reports of later runs, which could not ask, have kept what was found then.
	idle := &Report{Source: "a", At: noon.Add(-time.Minute), Standbys: []Standby{{Node: "b", Asked: true, AsOf: noon.Add(-5 * time.Minute), Datasets: []Dataset{{Dataset: "tank", Target: "tank", State: InSync}}}}}
	for _, test := range []struct {
		last  *Report
		lag   float64
		level Level
	}{{nil, 3 * 3600, Critical}, {idle, 300, Warning}} {
		s, err := c.standby(t.Context(), source, own, test.last)
		if err != nil {
			t.Fatal(err)
		}
		s.sum()
		if s.Asked || s.LagSeconds != test.lag || s.Level != test.level || s.Error != "down" || s.BytesKnown {
			t.Errorf("%+v, want a lag of %v and %s", s, test.lag, test.level)
		}
	}
}

func TestSource(t *testing.T) {
	type node struct {
		role     state.Role
		term     uint64
		active   uint64
		silent   bool
		from     string // what it received last, under term
		sent     bool
		received uint64
	}
	for _, test := range []struct {
		name     string
		self     node
		other    node
		want     string // self is a
		problems int
	}{
		{"active here", node{role: state.RoleActive, term: 3}, node{role: state.RoleStandby}, "a", 0},
		{"active there", node{role: state.RoleStandby}, node{role: state.RoleActive, term: 3}, "b", 0},
		{"both", node{role: state.RoleActive, term: 3}, node{role: state.RoleActive, term: 4}, "b", 1},
		{"giving up", node{role: state.RoleDemoting, term: 3}, node{role: state.RoleStandby}, "a", 0},
		{"none", node{role: state.RoleStandby, active: 3}, node{role: state.RoleFault, active: 4}, "b", 1},
		{"none, one silent", node{role: state.RoleStandby, active: 3}, node{silent: true}, "a", 0},
		{"standby of a silent one", node{role: state.RoleStandby, active: 3, from: "b", received: 4}, node{silent: true}, "b", 0},
		{"no roles, sends", node{sent: true}, node{}, "a", 0},
		{"no roles, receives", node{}, node{sent: true}, "b", 0},
		{"no roles, alone", node{from: "b"}, node{silent: true}, "b", 0},
		{"nothing at all", node{}, node{}, "", 0},
	} {
		c := checker("a")
		var views []*view
		for i, n := range []node{test.self, test.other} {
			v := &view{node: c.Config.Nodes[i], inv: &Inventory{Role: n.role, Term: n.term, ActiveTerm: n.active}}
			if n.from != "" {
				v.inv.Received = &state.Received{From: n.from, Term: n.received}
			}
			if n.sent {
				v.inv.Sent = map[string]time.Time{"x": noon}
			}
			if n.silent {
				v.inv = nil
			}
			views = append(views, v)
		}
		source, problems := c.source(views)
		got := ""
		if source != nil {
			got = source.node.Name
		}
		if got != test.want || len(problems) != test.problems {
			t.Errorf("%s: %q and %v, want %q", test.name, got, problems, test.want)
		}
	}
}
