package lag

import (
	"context"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// lastName is the state name of the last measurement.
const lastName = "lag"

// last returns what was measured last, or nil.
func (c *Checker) last() (*Report, error) {
	var r Report
	found, err := c.State.Read(lastName, &r)
	if err != nil || !found {
		return nil, err
	}
	return &r, nil
}

// dates are the times of common snapshots, by guid and this node's clock, that
// a report has. A snapshot's time does not change, and it takes a call to ask
// for that of one with a name of others.
func (r *Report) dates() map[zfs.GUID]time.Time {
	dates := map[zfs.GUID]time.Time{}
	if r == nil {
		return dates
	}
	for _, s := range r.Standbys {
		for _, d := range s.Datasets {
			if d.CommonGUID != 0 && !d.CommonAt.IsZero() {
				dates[d.CommonGUID] = d.CommonAt
			}
		}
	}
	return dates
}

// Remember keeps a report for the time when a node does not answer. Figures of
// a standby that was not asked are not newer than those that are remembered.
func (c *Checker) Remember(r *Report) error {
	last, err := c.last()
	if err != nil {
		last = nil // replaced
	}
	kept := *r
	kept.Standbys = slices.Clone(r.Standbys)
	for i, s := range kept.Standbys {
		if old := lastOf(last, r.Source, s.Node); old != nil && !s.Asked {
			kept.Standbys[i] = *old
		}
	}
	return c.State.Write(lastName, kept)
}

// lastOf is what was measured last of a standby while it was asked.
func lastOf(last *Report, source, standby string) *Standby {
	if last == nil || last.Source != source {
		return nil
	}
	for i, s := range last.Standbys {
		if s.Node == standby && s.Asked {
			return &last.Standbys[i]
		}
	}
	return nil
}

// remembered judges a standby that does not answer, by the newest snapshot that
// this node, the source, knows it to have.
func (c *Checker) remembered(ctx context.Context, s *Standby, source, v *view, last *Report) error {
	if !c.self(source) { // nor can this node know what was sent
		s.Level = Unknown
		return nil
	}
	sent, received, err := c.records()
	if err != nil {
		return err
	}
	held := source.datasets()
	found, err := plan.Compare(c.Config.Replication.Datasets, false, held, nil, nil)
	if err != nil {
		s.Level, s.Error = Unknown, s.Error+"; "+err.Error()
		return nil
	}
	known := knownTo(v.node.Name, sent, received, lastOf(last, source.node.Name, v.node.Name))
	guids := map[string]zfs.GUID{}
	for _, item := range found.Items {
		if h := find(held, item.Source); h != nil && item.Action != plan.Container {
			d := Dataset{Dataset: item.Source, Target: item.Target, State: Unsure}
			if snap, ok := newestKnown(h, known[item.Source]); ok {
				d.Common, d.CommonGUID, d.State = snap.Name, snap.GUID, InSync
			}
			guids[item.Source] = d.CommonGUID
			s.Datasets = append(s.Datasets, d)
		}
	}
	if sent != nil && sent.Standbys[v.node.Name] != nil {
		s.AsOf = sent.Standbys[v.node.Name].LastSuccess
	}
	marks, err := c.written(ctx, held, guids)
	if err != nil {
		return err
	}
	for i := range s.Datasets {
		d := &s.Datasets[i]
		if d.State == Unsure {
			d.Reason, d.ExposureBytes = "nothing is known of it there", find(held, d.Dataset).Referenced
			continue
		}
		c.figure(d, marks, find(held, d.Dataset))
	}
	return c.date(ctx, s, source, v)
}

// knownTo are the guids of snapshots that a standby is known to have, by
// dataset: what was sent to it, what came from it, what it had last.
func knownTo(node string, sent *state.Sent, received *state.Received, last *Standby) map[string][]zfs.GUID {
	known := map[string][]zfs.GUID{}
	if sent != nil && sent.Standbys[node] != nil {
		for name, d := range sent.Standbys[node].Datasets {
			known[name] = append(known[name], zfs.GUID(d.GUID))
		}
	}
	if received != nil && received.From == node {
		for name, d := range received.Datasets {
			known[name] = append(known[name], zfs.GUID(d.GUID))
		}
	}
	if last != nil {
		for _, d := range last.Datasets {
			known[d.Dataset] = append(known[d.Dataset], d.CommonGUID)
		}
	}
	return known
}

// newestKnown is the newest snapshot of a dataset with one of these guids.
func newestKnown(d *zfs.Dataset, guids []zfs.GUID) (zfs.Snap, bool) {
	for _, snap := range slices.Backward(d.Snapshots) {
		if snap.GUID != 0 && slices.Contains(guids, snap.GUID) {
			return snap, true
		}
	}
	return zfs.Snap{}, false
}

// received judges this node as a standby of a source that does not answer, by
// what came here last. What was written there since is not known, so the lag is
// the time since this node was known to have all.
func (c *Checker) received(s *Standby, own *view, source string, last *Report) {
	before := map[string]Dataset{}
	if was := lastOf(last, source, own.node.Name); was != nil {
		for _, d := range was.Datasets {
			before[d.Target] = d
		}
		s.AsOf = was.AsOf // not last.At: later reports may have kept it
	}
	asked := s.AsOf
	came := own.inv.Received
	for _, h := range own.datasets() {
		if !h.Replica() {
			continue
		}
		d := Dataset{Dataset: h.Name, Target: h.Name, State: Unsure, Partial: h.ResumeToken != ""}
		var at time.Time
		if newest, any := h.Newest(); any {
			d.Common, d.CommonGUID = newest.Name, newest.GUID
			at, _ = plan.SnapshotTime(c.Config.Replication.Prefix, newest.Name)
		}
		if was, ok := before[h.Name]; ok {
			d.Dataset = was.Dataset
			if was.LagSeconds == 0 && asked.After(at) {
				at = asked
			}
		}
		if came != nil && came.From == source {
			if r, ok := came.Datasets[h.Name]; ok && at.IsZero() {
				at = r.At
			}
			if came.At.After(s.AsOf) {
				s.AsOf = came.At
			}
		}
		c.age(&d, at)
		s.Datasets = append(s.Datasets, d)
	}
}
