package replicate

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Status is the state of replication, as this node knows it without asking another
// one.
type Status struct {
	Node     string          `json:"node"`
	At       time.Time       `json:"at"`
	Standbys []StandbyStatus `json:"standbys,omitempty"` // that this node sends to
	Received *state.Received `json:"received,omitempty"` // by this node
}

// StandbyStatus is one standby, as of the last run.
type StandbyStatus struct {
	Node        string          `json:"node"`
	LastRun     time.Time       `json:"last_run,omitzero"`
	LastSuccess time.Time       `json:"last_success,omitzero"`
	Error       string          `json:"error,omitempty"`
	Datasets    []DatasetStatus `json:"datasets"`
}

// DatasetStatus is one dataset on one standby. Its exposure is ExposureBytes, written
// within the last ExposureSeconds. Both are 0 if nothing was written since the newest
// common snapshot.
type DatasetStatus struct {
	Dataset         string    `json:"dataset"`
	Target          string    `json:"target,omitempty"`
	Common          string    `json:"common,omitempty"`
	CommonGUID      zfs.GUID  `json:"common_guid,omitempty"`
	CommonAt        time.Time `json:"common_at,omitzero"`
	ExposureSeconds int64     `json:"exposure_seconds"`
	ExposureBytes   int64     `json:"exposure_bytes"`
	State           string    `json:"state"` // in sync, behind, never sent, or the last run's conflict, refused, skipped, failed
	Error           string    `json:"error,omitempty"`
	Partial         bool      `json:"partial,omitempty"`
}

// Status reads the records and lists the datasets of this node.
func (e *Engine) Status(ctx context.Context) (*Status, error) {
	status := &Status{Node: e.Self.Name, At: e.Now().UTC()}
	received, found, err := e.State.Received()
	if err != nil {
		return nil, err
	}
	if found {
		status.Received = &received
	}
	sent, _, err := e.State.Sent()
	if err != nil {
		return nil, err
	}
	scope, err := e.outward(ctx)
	if err != nil {
		return nil, err
	}
	datasets, err := e.ZFS.Datasets(ctx, scope.Sources())
	if err != nil {
		return nil, err
	}
	for _, node := range e.Config.Standbys(e.Self) {
		known := sentTo(&sent, node.Name)
		if found && known.LastRun.IsZero() { // this node only receives
			continue
		}
		s := StandbyStatus{Node: node.Name, LastRun: known.LastRun, LastSuccess: known.LastSuccess, Error: known.Error}
		written, err := e.writtenSince(ctx, datasets, known)
		if err != nil {
			return nil, err
		}
		for i := range datasets {
			if _, ok := scope.Target(datasets[i].Name); ok && !datasets[i].Container {
				s.Datasets = append(s.Datasets, e.datasetStatus(&datasets[i], known.Datasets[datasets[i].Name], written))
			}
		}
		status.Standbys = append(status.Standbys, s)
	}
	return status, nil
}

// writtenSince returns the bytes written since each common snapshot. It asks ZFS only
// for those that are not the dataset's newest one: the listing has the others.
func (e *Engine) writtenSince(ctx context.Context, datasets []zfs.Dataset, known *state.SentStandby) (map[string]int64, error) {
	since := map[string]string{}
	written := map[string]int64{}
	for i := range datasets {
		d := &datasets[i]
		r := known.Datasets[d.Name]
		if r == nil {
			continue
		}
		newest, any := d.Newest()
		switch {
		case any && newest.GUID == zfs.GUID(r.GUID):
			written[d.Name] = d.Written
		default:
			at := slices.IndexFunc(d.Snapshots, func(s zfs.Snap) bool { return s.GUID == zfs.GUID(r.GUID) })
			if at >= 0 {
				since[d.Name] = strings.TrimPrefix(d.Snapshots[at].Full(d.Name), d.Name)
			}
		}
	}
	more, err := e.ZFS.WrittenSince(ctx, since)
	if err != nil {
		return nil, err
	}
	for name, bytes := range more {
		written[name] = bytes
	}
	return written, nil
}

func (e *Engine) datasetStatus(d *zfs.Dataset, r *state.SentDataset, written map[string]int64) DatasetStatus {
	s := DatasetStatus{Dataset: d.Name, State: "never sent", ExposureBytes: d.Referenced, ExposureSeconds: -1}
	if r == nil {
		return s
	}
	s.Target, s.Common, s.CommonGUID, s.Error, s.Partial = r.Target, r.Common, zfs.GUID(r.GUID), r.Error, r.Partial
	if r.GUID == 0 {
		s.State = failedState(r, "never sent")
		return s
	}
	s.ExposureBytes, s.ExposureSeconds = written[d.Name], 0
	s.CommonAt = r.At
	if at, ok := plan.SnapshotTime(e.Config.Replication.Prefix, r.Common); ok {
		s.CommonAt = at
	}
	s.State = "in sync"
	if s.ExposureBytes > 0 {
		s.State = "behind"
		s.ExposureSeconds = max(0, int64(e.Now().Sub(s.CommonAt).Seconds()))
	}
	s.State = failedState(r, s.State)
	return s
}

// failedState returns the state that the last run left, if it is a problem.
func failedState(r *state.SentDataset, otherwise string) string {
	switch action := plan.Action(r.Action); {
	case action == plan.Conflict, action == plan.Refused, action == plan.Skipped:
		return r.Action
	case r.Error != "":
		return "failed"
	}
	return otherwise
}

// Worst returns the problems of standbys and datasets.
func (s *Status) Worst() (problems []string) {
	for _, standby := range s.Standbys {
		if standby.Error != "" {
			problems = append(problems, standby.Node+": "+standby.Error)
		}
		for _, d := range standby.Datasets {
			if d.Error != "" && !strings.HasPrefix(standby.Error, d.Error) {
				problems = append(problems, d.Dataset+": "+d.Error)
			}
		}
	}
	return problems
}
