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

// How is how unreplicated changes are preserved. Its values are those of earlier
// releases.
type How string

// The ways.
const (
	Preserve  How = "keep"      // copied into a clone of the common snapshot; then the dataset is rolled back to it
	SetAside  How = "set aside" // renamed with all below it; the active node sends it again, in full
	CloneRoot How = "give over" // a pool's root: its snapshots move to a clone of it
)

// Changes are the unreplicated changes of one dataset. Sizes are bytes.
type Changes struct {
	Dataset  string    `json:"dataset"`
	Type     zfs.Type  `json:"type"`
	How      How       `json:"how"`
	Reason   string    `json:"reason,omitempty"`
	Common   string    `json:"common,omitempty"` // newest common snapshot, name only
	CommonAt time.Time `json:"common_at,omitzero"`
	// Bytes were written since the common snapshot. Without one, it is the whole
	// dataset.
	Bytes     int64    `json:"bytes"`
	Unsaved   int64    `json:"unsaved,omitempty"` // of them, bytes that are in no snapshot yet
	Snapshots []Moment `json:"snapshots,omitempty"`
	Theirs    int      `json:"theirs"`         // newer snapshots of the active node
	Copy      string   `json:"kept,omitempty"` // dataset that preserves them
	Files     []string `json:"files,omitempty"`
	NoFiles   string   `json:"no_files,omitempty"` // why they are not listed
	Done      bool     `json:"done"`
	// Along are the datasets that move with one that is set aside, and that the active
	// node does not send again.
	Along   []string `json:"along,omitempty"`
	dataset *zfs.Dataset
	begun   *zfs.Dataset // the preserved copy that an interrupted rejoin has begun
	needs   int64        // bytes that the copy, or the dataset when it is sent again, takes
	base    zfs.Snap
	newer   []zfs.Snap // since base, oldest first
}

// Moment is a snapshot and when it was taken.
type Moment struct {
	Name string    `json:"name"`
	At   time.Time `json:"at,omitzero"`
}

// Result is the unreplicated changes of this node, and how far they are preserved.
type Result struct {
	Node    string     `json:"node"`
	From    string     `json:"from"` // the active node
	At      time.Time  `json:"at"`
	DryRun  bool       `json:"dry_run,omitempty"`
	Changes []*Changes `json:"tails"`
	// Orphans are datasets that the active node does not have: they stay.
	Orphans []string `json:"only_here,omitempty"`
	// Behind is how many datasets the active node's next run updates.
	Behind   int      `json:"behind"`
	Problems []string `json:"problems,omitempty"` // of datasets that rejoin can't fix
	writable []zfs.Dataset
}

// survey compares this node with the active one, as the active node's next run
// would.
func (n *Node) survey(ctx context.Context, from *Inventory) (*Result, error) {
	here, err := n.held(ctx)
	if err != nil {
		return nil, err
	}
	c, err := plan.Compare(n.Config.Replication.Datasets, n.hasLocal(), from.datasets(), here, n.touched(ctx, here))
	if err != nil {
		return nil, err
	}
	r := &Result{Node: n.Self.Name, From: from.Node, At: n.Now().UTC(), Changes: []*Changes{}}
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
	s.dropBelowSetAside()
	if err := s.refusal(); err != nil {
		return nil, err
	}
	return r, n.measure(ctx, r)
}

// surveyor sorts a plan's items by the work that they mean on this node.
type surveyor struct {
	result      *Result
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
		s.result.Orphans = append(s.result.Orphans, item.Target)
	case item.Action == plan.Conflict && d != nil:
		s.unreplicated(item, d)
	case item.Action == plan.Refused && d != nil && len(d.Snapshots) > 0 && s.ours(item):
		s.aside(item, d, item.Reason)
	case d == nil && plan.IsRoot(item.Target) && s.foreignRoot(item.Target):
		root := s.here[zfs.PoolOf(item.Target)]
		s.add(&Changes{How: CloneRoot, Reason: "no common snapshot, and a pool's root can't be renamed", needs: s.alone(item), newer: root.OnlySnapshots()}, item, root)
		s.result.Behind++
	case item.Action == plan.Refused:
		s.result.Problems = append(s.result.Problems, fmt.Sprintf("%s: %s", item.Source, item.Reason))
	case item.Sends(), item.Action == plan.Skipped:
		s.result.Behind++
	}
}

// foreignRoot reports whether this node's pool root has a history of its own. A
// standby's pool root holds only received datasets below it.
func (s *surveyor) foreignRoot(target string) bool {
	root := s.here[zfs.PoolOf(target)]
	return root != nil && !root.Container && len(root.OnlySnapshots()) > 0
}

// ours reports whether this node's data is the reason of a refusal, and not the
// active node's.
func (s *surveyor) ours(item *plan.Item) bool {
	source := s.there[item.Source]
	return source != nil && !source.Replica()
}

// unreplicated adds a dataset with changes since a common snapshot.
func (s *surveyor) unreplicated(item *plan.Item, d *zfs.Dataset) {
	t := &Changes{How: Preserve, Reason: item.Reason}
	t.base, _ = d.WithGUID(item.CommonGUID)
	t.Common = t.base.Name
	for _, snap := range d.OnlySnapshots() {
		if snap.CreateTXG > t.base.CreateTXG {
			t.newer = append(t.newer, snap)
		}
	}
	for _, snap := range t.newer {
		// A snapshot with a clone can't be destroyed, so no rollback can pass it.
		if snap.Clones > 0 && zfs.Parent(d.Name) != "" {
			s.aside(item, d, fmt.Sprintf("its snapshot @%s has a clone, so it can't be rolled back", snap.Name))
			return
		}
	}
	s.add(t, item, d)
}

func (s *surveyor) aside(item *plan.Item, d *zfs.Dataset, reason string) {
	s.add(&Changes{How: SetAside, Reason: reason, needs: s.full(item), newer: d.OnlySnapshots()}, item, d)
}

// full returns the bytes that the dataset takes when it is sent again with all below
// it.
func (s *surveyor) full(item *plan.Item) int64 {
	if source := s.there[item.Source]; source != nil {
		return source.Used
	}
	return 0
}

// alone returns the bytes that the content of a pool's root takes: the datasets
// below it stay.
func (s *surveyor) alone(item *plan.Item) int64 {
	if source := s.there[item.Source]; source != nil {
		return source.Referenced
	}
	return 0
}

func (s *surveyor) add(t *Changes, item *plan.Item, d *zfs.Dataset) {
	t.Dataset, t.Type, t.Unsaved, t.dataset = d.Name, d.Type, d.Written, d
	if source := s.there[item.Source]; source != nil {
		for _, snap := range source.OnlySnapshots() {
			if base, found := findBase(source, item.CommonGUID); !found || snap.CreateTXG > base.CreateTXG {
				t.Theirs++
			}
		}
	}
	s.result.Changes = append(s.result.Changes, t)
}

// findBase returns the snapshot or bookmark with a guid.
func findBase(d *zfs.Dataset, guid zfs.GUID) (zfs.Snap, bool) {
	i := slices.IndexFunc(d.Snapshots, func(c zfs.Snap) bool { return guid != 0 && c.GUID == guid })
	if i < 0 {
		return zfs.Snap{}, false
	}
	return d.Snapshots[i], true
}

// local returns this node's dataset of an item. The plan's names are those after its
// renames.
func (s *surveyor) local(item *plan.Item) *zfs.Dataset {
	name := item.Target
	for _, other := range slices.Backward(s.plan.Items) {
		if other.RenameFrom != "" && zfs.Within(name, other.Target) {
			name = other.RenameFrom + strings.TrimPrefix(name, other.Target)
		}
	}
	return s.here[name]
}

// dropBelowSetAside leaves out the datasets that are set aside with one above them.
func (s *surveyor) dropBelowSetAside() {
	changes := slices.Clone(s.result.Changes)
	s.result.Changes = slices.DeleteFunc(s.result.Changes, func(t *Changes) bool {
		return slices.ContainsFunc(changes, func(above *Changes) bool {
			return above.How == SetAside && above != t && zfs.Within(t.Dataset, above.Dataset)
		})
	})
	s.result.Orphans = slices.DeleteFunc(s.result.Orphans, func(name string) bool {
		return slices.ContainsFunc(changes, func(above *Changes) bool { return above.How == SetAside && zfs.Within(name, above.Dataset) })
	})
	slices.SortFunc(s.result.Changes, func(a, b *Changes) int { return strings.Compare(a.Dataset, b.Dataset) })
	s.along()
}

// along names the datasets that move with one that is set aside though the active
// node does not send them again.
func (s *surveyor) along() {
	sent := map[string]bool{}
	for _, item := range s.plan.Items {
		if d := s.local(item); d != nil && item.Action != plan.Orphan {
			sent[d.Name] = true
		}
	}
	for _, t := range s.result.Changes {
		for _, name := range slices.Sorted(maps.Keys(s.here)) {
			if t.How == SetAside && name != t.Dataset && zfs.Within(name, t.Dataset) && !sent[name] {
				t.Along = append(t.Along, name)
			}
		}
	}
}

// refusal returns why a dataset can't be set aside by a rename.
func (s *surveyor) refusal() error {
	for _, t := range s.result.Changes {
		d := t.dataset
		if t.How == SetAside && d.Encrypted && !zfs.Within(d.EncryptionRoot, d.Name) {
			return &plan.Refusal{What: fmt.Sprintf("%s must be set aside (%s), but it uses the key of %s and can't be renamed out of it", d.Name, t.Reason, d.EncryptionRoot),
				Advice: fmt.Sprintf("give it a key of its own: zfs load-key %s && zfs change-key %s; nothing has been changed", d.EncryptionRoot, d.Name)}
		}
	}
	return nil
}

// measure adds the sizes and times.
func (n *Node) measure(ctx context.Context, r *Result) error {
	since := map[string]string{}
	var named []string
	for _, t := range r.Changes {
		t.Bytes = t.dataset.Used
		if t.How == CloneRoot {
			t.Bytes = t.dataset.Referenced // Used counts all datasets below it too
		}
		if t.How == Preserve {
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
	for _, t := range r.Changes {
		if t.How == Preserve {
			t.Bytes = written[t.Dataset]
			t.CommonAt = made[t.base.Full(t.Dataset)].UTC()
		}
		for _, snap := range t.newer {
			t.Snapshots = append(t.Snapshots, Moment{snap.Name, made[snap.Full(t.Dataset)].UTC()})
		}
	}
	return nil
}
