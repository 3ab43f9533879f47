package rejoin

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// How is how something that is only here is kept.
type How string

// The ways.
const (
	KeepTail  How = "keep"      // copied as a clone of the common snapshot, then rolled back to it
	SetAside  How = "set aside" // renamed with all below it; it comes anew, in full
	GiveRoots How = "give over" // a pool's root: its snapshots go over to a clone of it
)

// Tail is what is only on this node, of one dataset. Sizes are bytes.
type Tail struct {
	Dataset  string    `json:"dataset"`
	Type     zfs.Type  `json:"type"`
	How      How       `json:"how"`
	Reason   string    `json:"reason,omitempty"`
	Common   string    `json:"common,omitempty"` // newest common snapshot, name only
	CommonAt time.Time `json:"common_at,omitzero"`
	// Bytes were written since the common snapshot; with none, all there is.
	Bytes     int64    `json:"bytes"`
	Unsaved   int64    `json:"unsaved,omitempty"` // of them, those that no snapshot holds yet
	Snapshots []Moment `json:"snapshots,omitempty"`
	Theirs    int      `json:"theirs"`         // snapshots that the active node has since
	Kept      string   `json:"kept,omitempty"` // dataset in which it is, or will be
	Files     []string `json:"files,omitempty"`
	NoFiles   string   `json:"no_files,omitempty"` // why they are not listed
	Done      bool     `json:"done"`
	// Along are the datasets below one that is set aside that go with it and do not
	// come anew.
	Along   []string `json:"along,omitempty"`
	dataset *zfs.Dataset
	partly  *zfs.Dataset // the kept dataset of a rejoin that was ended
	needs   int64        // bytes that keeping it, or receiving it anew, takes
	base    zfs.Snap
	newer   []zfs.Snap // since base, oldest first
}

// Moment is a snapshot and when it was taken.
type Moment struct {
	Name string    `json:"name"`
	At   time.Time `json:"at,omitzero"`
}

// Rejoined is what is only on this node, and what became of it.
type Rejoined struct {
	Node   string    `json:"node"`
	From   string    `json:"from"` // the active node
	At     time.Time `json:"at"`
	DryRun bool      `json:"dry_run,omitempty"`
	Tails  []*Tail   `json:"tails"`
	// OnlyHere are datasets that the active node does not have at all: they stay.
	OnlyHere []string `json:"only_here,omitempty"`
	// Behind is how many datasets the active node's next run brings something for.
	Behind   int      `json:"behind"`
	Problems []string `json:"problems,omitempty"` // of datasets that rejoin can't help
	writable []zfs.Dataset
}

// survey compares what is here with what the active node has, as its next run
// would.
func (n *Node) survey(ctx context.Context, from *Inventory) (*Rejoined, error) {
	here, err := n.held(ctx)
	if err != nil {
		return nil, err
	}
	c, err := plan.Compare(n.Config.Replication.Datasets, n.hasLocal(), from.datasets(), here, n.touched(ctx, here))
	if err != nil {
		return nil, err
	}
	r := &Rejoined{Node: n.Self.Name, From: from.Node, At: n.Now().UTC(), Tails: []*Tail{}}
	s := surveyor{result: r, plan: c.Plan, here: map[string]*zfs.Dataset{}, there: map[string]*zfs.Dataset{}}
	for i := range here {
		s.here[here[i].Name] = &here[i]
	}
	source := from.datasets()
	for i := range source {
		s.there[source[i].Name] = &source[i]
	}
	for _, item := range c.Items {
		s.item(item)
	}
	s.dropBelowAsides()
	if err := s.refusal(); err != nil {
		return nil, err
	}
	return r, n.measure(ctx, r)
}

// surveyor sorts a plan's items by what is to be done about them here.
type surveyor struct {
	result      *Rejoined
	plan        plan.Plan
	here, there map[string]*zfs.Dataset
}

func (s *surveyor) item(item *plan.Item) {
	d := s.local(item)
	if d != nil && !d.ReadOnly && !d.Container && item.Action != plan.Orphan {
		s.result.writable = append(s.result.writable, *d)
	}
	switch {
	case item.Action == plan.Orphan:
		s.result.OnlyHere = append(s.result.OnlyHere, item.Target)
	case item.Action == plan.Conflict && d != nil:
		s.tail(item, d)
	case item.Action == plan.Refused && d != nil && len(d.Snapshots) > 0 && s.ours(item):
		s.aside(item, d, item.Reason)
	case d == nil && plan.IsRoot(item.Target) && s.foreignRoot(item.Target):
		root := s.here[zfs.PoolOf(item.Target)]
		s.add(&Tail{How: GiveRoots, Reason: "no common snapshot, and a pool's root can't be renamed", needs: s.alone(item), newer: root.OnlySnapshots()}, item, root)
		s.result.Behind++
	case item.Action == plan.Refused:
		s.result.Problems = append(s.result.Problems, fmt.Sprintf("%s: %s", item.Source, item.Reason))
	case item.Sends(), item.Action == plan.Skipped:
		s.result.Behind++
	}
}

// foreignRoot says whether this node's pool root has a history of its own where
// it should only hold what is received below it.
func (s *surveyor) foreignRoot(target string) bool {
	root := s.here[zfs.PoolOf(target)]
	return root != nil && !root.Container && len(root.OnlySnapshots()) > 0
}

// ours says whether a refusal is for what this node has, not for what the other
// one is.
func (s *surveyor) ours(item *plan.Item) bool {
	source := s.there[item.Source]
	return source != nil && !source.Replica()
}

// tail takes a dataset that goes on from a common snapshot.
func (s *surveyor) tail(item *plan.Item, d *zfs.Dataset) {
	t := &Tail{How: KeepTail, Reason: item.Reason}
	t.base, _ = d.WithGUID(item.CommonGUID)
	t.Common = t.base.Name
	for _, snap := range d.OnlySnapshots() {
		if snap.CreateTXG > t.base.CreateTXG {
			t.newer = append(t.newer, snap)
		}
	}
	for _, snap := range t.newer {
		// A clone keeps the snapshot, and with it the dataset from being rolled back.
		if snap.Clones > 0 && zfs.Parent(d.Name) != "" {
			s.aside(item, d, fmt.Sprintf("its snapshot @%s has a clone, so it can't be rolled back", snap.Name))
			return
		}
	}
	s.add(t, item, d)
}

func (s *surveyor) aside(item *plan.Item, d *zfs.Dataset, reason string) {
	s.add(&Tail{How: SetAside, Reason: reason, needs: s.full(item), newer: d.OnlySnapshots()}, item, d)
}

// full is how much room the dataset takes when it comes anew with all below it.
func (s *surveyor) full(item *plan.Item) int64 {
	if source := s.there[item.Source]; source != nil {
		return source.Used
	}
	return 0
}

// alone is how much room the content of a pool's root takes: what is below it stays
// where it is.
func (s *surveyor) alone(item *plan.Item) int64 {
	if source := s.there[item.Source]; source != nil {
		return source.Referenced
	}
	return 0
}

func (s *surveyor) add(t *Tail, item *plan.Item, d *zfs.Dataset) {
	t.Dataset, t.Type, t.Unsaved, t.dataset = d.Name, d.Type, d.Written, d
	if source := s.there[item.Source]; source != nil {
		for _, snap := range source.OnlySnapshots() {
			if base, found := findBase(source, item.CommonGUID); !found || snap.CreateTXG > base.CreateTXG {
				t.Theirs++
			}
		}
	}
	s.result.Tails = append(s.result.Tails, t)
}

// findBase finds a snapshot or bookmark by its guid.
func findBase(d *zfs.Dataset, guid zfs.GUID) (zfs.Snap, bool) {
	i := slices.IndexFunc(d.Snapshots, func(c zfs.Snap) bool { return guid != 0 && c.GUID == guid })
	if i < 0 {
		return zfs.Snap{}, false
	}
	return d.Snapshots[i], true
}

// local is the dataset here that an item is about: the plan's names are those
// after its renames.
func (s *surveyor) local(item *plan.Item) *zfs.Dataset {
	name := item.Target
	for _, other := range slices.Backward(s.plan.Items) {
		if other.RenameFrom != "" && zfs.Within(name, other.Target) {
			name = other.RenameFrom + strings.TrimPrefix(name, other.Target)
		}
	}
	return s.here[name]
}

// dropBelowAsides leaves out what is set aside with what is above it.
func (s *surveyor) dropBelowAsides() {
	tails := slices.Clone(s.result.Tails)
	s.result.Tails = slices.DeleteFunc(s.result.Tails, func(t *Tail) bool {
		return slices.ContainsFunc(tails, func(above *Tail) bool {
			return above.How == SetAside && above != t && zfs.Within(t.Dataset, above.Dataset)
		})
	})
	s.result.OnlyHere = slices.DeleteFunc(s.result.OnlyHere, func(name string) bool {
		return slices.ContainsFunc(tails, func(above *Tail) bool { return above.How == SetAside && zfs.Within(name, above.Dataset) })
	})
	slices.SortFunc(s.result.Tails, func(a, b *Tail) int { return strings.Compare(a.Dataset, b.Dataset) })
	s.along()
}

// along names what goes along with what is set aside though the active node does
// not have it, or does not send it.
func (s *surveyor) along() {
	sent := map[string]bool{}
	for _, item := range s.plan.Items {
		if d := s.local(item); d != nil && item.Action != plan.Orphan {
			sent[d.Name] = true
		}
	}
	for _, t := range s.result.Tails {
		for _, name := range slices.Sorted(maps.Keys(s.here)) {
			if t.How == SetAside && name != t.Dataset && zfs.Within(name, t.Dataset) && !sent[name] {
				t.Along = append(t.Along, name)
			}
		}
	}
}

// refusal is what can't be set aside by renaming.
func (s *surveyor) refusal() error {
	for _, t := range s.result.Tails {
		d := t.dataset
		if t.How == SetAside && d.Encrypted && !zfs.Within(d.EncryptionRoot, d.Name) {
			return &plan.Refusal{What: fmt.Sprintf("%s has to be set aside (%s), but its key is that of %s, out of which it can't be renamed", d.Name, t.Reason, d.EncryptionRoot),
				Advice: fmt.Sprintf("give it a key of its own: zfs load-key %s && zfs change-key %s; nothing has been changed", d.EncryptionRoot, d.Name)}
		}
	}
	return nil
}

// measure adds sizes and times.
func (n *Node) measure(ctx context.Context, r *Rejoined) error {
	since := map[string]string{}
	var named []string
	for _, t := range r.Tails {
		t.Bytes = t.dataset.Used
		if t.How == GiveRoots {
			t.Bytes = t.dataset.Referenced // else all that lies below it would count
		}
		if t.How == KeepTail {
			since[t.Dataset] = "@" + t.Common
			named = append(named, t.base.Full(t.Dataset))
		}
		for _, snap := range t.newer {
			named = append(named, snap.Full(t.Dataset))
		}
	}
	written, err := n.ZFS.WrittenSince(ctx, since)
	if err != nil {
		return err
	}
	made, err := n.ZFS.Created(ctx, named)
	if err != nil {
		return err
	}
	for _, t := range r.Tails {
		if t.How == KeepTail {
			t.Bytes = written[t.Dataset]
			t.CommonAt = made[t.base.Full(t.Dataset)].UTC()
		}
		for _, snap := range t.newer {
			t.Snapshots = append(t.Snapshots, Moment{snap.Name, made[snap.Full(t.Dataset)].UTC()})
		}
	}
	return nil
}
