package lag

import (
	"context"
	"fmt"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// format is the version of Inventory that this program speaks.
const format = 1

// Inventory is what a node says of itself.
type Inventory struct {
	Format     int        `json:"format"`
	Node       string     `json:"node"`
	Role       state.Role `json:"role"`
	Term       uint64     `json:"term"`
	ActiveTerm uint64     `json:"active_term,omitempty"`
	Datasets   []Holding  `json:"datasets"`
	// Written are the bytes since the newest common snapshot with each
	// standby, where that is not the dataset's newest one: standby → dataset.
	Written map[string]map[string]Mark `json:"written,omitempty"`
	// Created is when datasets were made that not all standbys are known to have.
	Created map[string]time.Time `json:"created,omitempty"`
	// Sent is when each standby was sent to last, with success.
	Sent     map[string]time.Time `json:"sent,omitempty"`
	Received *state.Received      `json:"received,omitempty"`
	// Told are the problems that this node has told people of, by key, and
	// their levels.
	Told map[string]string `json:"told,omitempty"`
	// Time is when this was said, by the node's own clock.
	Time time.Time `json:"time"`
}

// Holding is a dataset with its snapshots.
type Holding struct {
	zfs.Dataset
	Snaps Snaps `json:"snaps,omitempty"`
}

// Mark is a snapshot, and the bytes written since.
type Mark struct {
	GUID  zfs.GUID `json:"guid"`
	Bytes int64    `json:"bytes"`
}

// datasets are the holdings as ZFS gave them.
func (i *Inventory) datasets() []zfs.Dataset {
	all := make([]zfs.Dataset, 0, len(i.Datasets))
	for _, h := range i.Datasets {
		h.Dataset.Snapshots = h.Snaps
		all = append(all, h.Dataset)
	}
	return all
}

// Take lists what this node has. With marks it also asks how much was written
// since each standby's newest common snapshot, which others can't know.
func (c *Checker) Take(ctx context.Context, marks bool) (*Inventory, error) {
	i, err := c.describe()
	if err != nil {
		return nil, err
	}
	datasets, err := c.ZFS.DatasetsAtOnce(ctx, plan.Roots(c.Config.Replication.Datasets, c.local()))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Self.Name, err)
	}
	for _, d := range datasets {
		i.Datasets = append(i.Datasets, Holding{Dataset: d, Snaps: d.Snapshots})
	}
	if marks && !(i.Role == state.RoleStandby && i.Sent == nil) { // such a node is no source
		if err := c.mark(ctx, i, datasets); err != nil {
			return nil, err
		}
	}
	i.Time = c.Now().UTC()
	return i, nil
}

// describe is an inventory without datasets.
func (c *Checker) describe() (*Inventory, error) {
	role, err := c.State.Role()
	if err != nil {
		return nil, err
	}
	i := &Inventory{Format: format, Node: c.Self.Name, Role: role.Role, Term: role.Term, ActiveTerm: role.ActiveTerm, Told: c.Told}
	sent, received, err := c.records()
	if err != nil {
		return nil, err
	}
	i.Received = received
	if sent != nil {
		i.Sent = map[string]time.Time{}
		for name, s := range sent.Standbys {
			i.Sent[name] = s.LastSuccess
		}
	}
	return i, nil
}

// mark asks how much was written since the snapshots that the record of
// replication names, and how old the datasets are that it does not know.
func (c *Checker) mark(ctx context.Context, i *Inventory, datasets []zfs.Dataset) error {
	sent, _, err := c.records()
	if err != nil {
		return err
	}
	if sent == nil {
		sent = &state.Sent{}
	}
	i.Written = map[string]map[string]Mark{}
	known := map[string]int{}
	for standby, record := range sent.Standbys {
		guids := map[string]zfs.GUID{}
		for name, d := range record.Datasets {
			guids[name] = zfs.GUID(d.GUID)
			known[name]++
		}
		if i.Written[standby], err = c.written(ctx, datasets, guids); err != nil {
			return err
		}
	}
	var unsent []string
	for _, d := range datasets {
		if known[d.Name] < len(sent.Standbys) || len(sent.Standbys) == 0 {
			unsent = append(unsent, d.Name)
		}
	}
	i.Created, err = c.ZFS.Created(ctx, unsent)
	return err
}

// written asks how much was written to datasets of this node since the
// snapshots with these guids. For those that are a dataset's newest one the
// listing has told.
func (c *Checker) written(ctx context.Context, datasets []zfs.Dataset, guids map[string]zfs.GUID) (map[string]Mark, error) {
	marks, since := map[string]Mark{}, map[string]string{}
	for i := range datasets {
		d := &datasets[i]
		guid := guids[d.Name]
		if newest, any := d.Newest(); any && newest.GUID == guid {
			marks[d.Name] = Mark{guid, d.Written}
			continue
		}
		for _, s := range d.Snapshots {
			if guid != 0 && s.GUID == guid {
				since[d.Name] = s.Full("")
				if !s.Bookmark { // a snapshot is surer than its bookmark
					break
				}
			}
		}
	}
	bytes, err := c.ZFS.WrittenSince(ctx, since)
	if err != nil {
		return nil, err
	}
	for name, n := range bytes {
		marks[name] = Mark{guids[name], n}
	}
	return marks, nil
}

// local reports whether one of the standbys is another pool of this machine.
func (c *Checker) local() bool {
	for _, n := range c.Config.Standbys(c.Self) {
		if n.Local {
			return true
		}
	}
	return false
}

// takeLocal is the inventory of a standby that is another pool of this
// machine: what was listed of it with the rest.
func takeLocal(self *Inventory, node config.Node) *Inventory {
	return &Inventory{Format: format, Node: node.Name, Role: state.RoleStandby, Datasets: self.Datasets, Time: self.Time}
}

// records returns what this node has sent and received; nil for what has no record.
func (c *Checker) records() (sent *state.Sent, received *state.Received, err error) {
	s, found, err := c.State.Sent()
	if err != nil {
		return nil, nil, err
	}
	if found {
		sent = &s
	}
	r, found, err := c.State.Received()
	if err != nil {
		return nil, nil, err
	}
	if found {
		received = &r
	}
	return sent, received, nil
}
