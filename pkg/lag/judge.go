package lag

import (
	"context"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// compare judges a standby that answers against a source that does.
func (c *Checker) compare(ctx context.Context, s *Standby, source, v *view) error {
	held, there := source.datasets(), v.datasets()
	found, err := plan.Compare(c.Config.Replication.Datasets, v.node.Local, held, there, nil)
	if err != nil {
		s.Level, s.Error = Unknown, err.Error()
		return nil
	}
	partial := map[string]bool{}
	for _, d := range there {
		partial[d.Name] = d.ResumeToken != ""
	}
	guids := map[string]zfs.GUID{}
	for _, item := range found.Items {
		if item.Source != "" {
			guids[item.Source] = item.CommonGUID
		}
	}
	marks, err := c.marksOf(ctx, source, v, held, guids)
	if err != nil {
		return err
	}
	for _, item := range found.Items {
		if item.Action == plan.Container {
			continue
		}
		d := Dataset{Dataset: item.Source, Target: item.Target, Common: item.Common, CommonGUID: item.CommonGUID, Partial: partial[item.Target]}
		c.classify(&d, item, existing(there, item))
		c.figure(&d, marks, find(held, item.Source))
		s.Datasets = append(s.Datasets, d)
	}
	for _, name := range found.Excluded {
		s.Datasets = append(s.Datasets, Dataset{Dataset: name, State: Excluded, BytesKnown: true})
	}
	return c.date(ctx, s, source, v)
}

// existing is the dataset on the standby that an item is about.
func existing(there []zfs.Dataset, item *plan.Item) *zfs.Dataset {
	if item.RenameFrom != "" {
		return find(there, item.RenameFrom)
	}
	return find(there, item.Target)
}

func find(datasets []zfs.Dataset, name string) *zfs.Dataset {
	for i := range datasets {
		if datasets[i].Name == name {
			return &datasets[i]
		}
	}
	return nil
}

// classify says what a plan's item means for a dataset's state.
func (c *Checker) classify(d *Dataset, item *plan.Item, there *zfs.Dataset) {
	switch {
	case item.Action == plan.Orphan:
		d.State, d.BytesKnown = Orphan, true
	case item.Action == plan.Conflict:
		d.State, d.Level, d.Reason, d.Hint = Diverged, Critical, item.Reason, item.Hint
	case item.CommonGUID != 0:
		d.State = InSync
		if item.Stuck() {
			d.Reason, d.Hint = item.Reason, item.Hint
		}
	case there != nil && len(there.Snapshots) > 0 && !there.Container:
		d.State, d.Level, d.Reason, d.Hint = Other, Critical, item.Reason, item.Hint
	default:
		d.State = Missing
	}
}

// figure fills in what was written since the common snapshot.
func (c *Checker) figure(d *Dataset, marks map[string]Mark, held *zfs.Dataset) {
	switch mark, known := marks[d.Dataset]; {
	case d.State == Orphan:
	case d.State == Missing || d.State == Other:
		d.ExposureBytes, d.BytesKnown = held.Referenced, true
	case known && mark.GUID == d.CommonGUID:
		d.ExposureBytes, d.BytesKnown = mark.Bytes, true
	default:
		d.ExposureBytes = held.Written
	}
	if d.State == InSync && (d.ExposureBytes > 0 || !d.BytesKnown) {
		d.State = Behind
	}
}

// marksOf are the bytes that were written to the source's datasets since these
// snapshots. Another node says so for those that it knows to be common.
func (c *Checker) marksOf(ctx context.Context, source, v *view, held []zfs.Dataset, guids map[string]zfs.GUID) (map[string]Mark, error) {
	if c.self(source) {
		return c.written(ctx, held, guids)
	}
	marks := map[string]Mark{}
	for name, mark := range source.inv.Written[v.node.Name] {
		marks[name] = mark
	}
	for i := range held {
		if newest, any := held[i].Newest(); any && newest.GUID == guids[held[i].Name] {
			marks[held[i].Name] = Mark{newest.GUID, held[i].Written}
		}
	}
	return marks, nil
}

// date fills in how old the common snapshots are, and what follows from that.
func (c *Checker) date(ctx context.Context, s *Standby, source, v *view) error {
	var foreign, unsent []string // snapshots with names of others, datasets that are not there
	for _, d := range s.Datasets {
		_, ours := plan.SnapshotTime(c.Config.Replication.Prefix, d.Common)
		switch {
		case d.State == Missing && c.self(source):
			unsent = append(unsent, d.Dataset)
		case d.CommonGUID != 0 && !ours && c.dated[d.CommonGUID].IsZero():
			if name := c.here(d, source, v); name != "" {
				foreign = append(foreign, name)
			}
		}
	}
	made, err := c.ZFS.Created(ctx, append(foreign, unsent...))
	if err != nil {
		return err
	}
	for i := range s.Datasets {
		d := &s.Datasets[i]
		at, ours := plan.SnapshotTime(c.Config.Replication.Prefix, d.Common)
		switch {
		case d.State == Missing && c.self(source):
			at = made[d.Dataset]
		case d.State == Missing:
			at = source.inv.Created[d.Dataset]
		case d.CommonGUID == 0:
			continue
		case !ours && !c.dated[d.CommonGUID].IsZero():
			c.age(d, c.dated[d.CommonGUID])
			continue
		case !ours:
			at = made[c.here(*d, source, v)]
		}
		if !at.IsZero() {
			// Snapshots are named and dated by the clock of who took them.
			at = at.Add(-source.clock)
		}
		c.age(d, at)
	}
	return nil
}

// here is the full name of a common snapshot on this node, or "" where it has
// none.
func (c *Checker) here(d Dataset, source, v *view) string {
	own, name := source, d.Dataset
	if c.self(v) {
		own, name = v, d.Target
	} else if !c.self(source) {
		return ""
	}
	held := find(own.datasets(), name)
	if held == nil {
		return ""
	}
	for _, snap := range held.Snapshots {
		if snap.GUID == d.CommonGUID {
			return snap.Full(name)
		}
	}
	return ""
}

// age fills in the lag of a dataset of which the newest common snapshot, or if
// there is none the dataset itself, is of that time, by this node's clock.
func (c *Checker) age(d *Dataset, at time.Time) {
	warning, critical := c.limits(*d)
	if !at.IsZero() {
		d.CommonAt = at.UTC()
		d.AgeSeconds = max(0, c.at.Sub(at).Seconds())
	}
	switch d.State {
	case Missing:
		d.CommonAt = time.Time{}
		d.LagSeconds, d.AgeSeconds = d.AgeSeconds, 0
		if !at.IsZero() && d.LagSeconds < warning.Seconds() {
			d.State, d.Reason = New, "not sent yet"
			return
		}
		d.Level, d.Reason, d.Hint = Critical, "it is not on the standby", "'zfs-replicate plan' on the active node says why"
	case Behind, Diverged, Unsure:
		d.LagSeconds = d.AgeSeconds
		d.Level = d.Level.Worse(levelOf(d.LagSeconds, warning, critical))
	}
}

// levelOf compares a lag with its limits.
func levelOf(seconds float64, warning, critical time.Duration) Level {
	switch {
	case seconds >= critical.Seconds():
		return Critical
	case seconds >= warning.Seconds():
		return Warning
	}
	return OK
}

// limits are those of a dataset, which the configuration knows by its name on
// either node.
func (c *Checker) limits(d Dataset) (warning, critical time.Duration) {
	for _, entry := range c.Config.Replication.Datasets {
		if entry.Covers(d.Dataset) {
			return c.Config.Lag.Limits(d.Dataset)
		}
		if zfs.Within(d.Dataset, entry.TargetName()) {
			return c.Config.Lag.Limits(entry.Name + strings.TrimPrefix(d.Dataset, entry.TargetName()))
		}
	}
	return c.Config.Lag.Warning, c.Config.Lag.Critical
}
