package session

import (
	"maps"
	"slices"

	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// arrived enters the last snapshot of a stream into the record and into the inventory,
// so that pruning needs no second listing. The next session lists the snapshots before
// it.
func (s *serving) arrived(c *Receive) {
	s.mu.Lock()
	defer s.mu.Unlock()
	came := state.ReceivedDataset{Snapshot: c.Snapshot, GUID: uint64(c.GUID), At: s.Now().UTC(), TXG: c.TXG}
	if sender := s.sender.Load(); sender != nil {
		came.From = sender.Node
	}
	s.received[c.Dataset] = came
	i := slices.IndexFunc(s.inventory, func(d zfs.Dataset) bool { return d.Name == c.Dataset })
	if i < 0 {
		i = len(s.inventory)
		s.inventory = append(s.inventory, zfs.Dataset{Name: c.Dataset, Type: c.Type})
	}
	snap := zfs.Snap{Name: c.Snapshot, GUID: c.GUID, CreateTXG: 1}
	if snaps := s.inventory[i].Snapshots; len(snaps) > 0 {
		snap.CreateTXG = snaps[len(snaps)-1].CreateTXG + 1
	}
	s.inventory[i].Snapshots = append(s.inventory[i].Snapshots, snap)
}

// maxConflict bounds the recorded reason of a conflict, in bytes.
const maxConflict = 400

// ShortenConflict bounds a conflict's reason to the bytes that a receiver records.
func ShortenConflict(reason string) string { return shorten(reason, maxConflict) }

// complete notes that a run has left everything current on this node, and the
// conflicts that prevented it.
func (s *serving) complete(c *byeCall) {
	if s.Local {
		return // it has no record: see remember
	}
	told := map[string]string{}
	for dataset, text := range c.Conflicts {
		if s.scope.Allows(dataset) {
			told[dataset] = ShortenConflict(text)
			s.Log.Warn().Str("dataset", dataset).Str("from", s.sender.Load().Node).Msg("conflict, as the active node sees it: " + told[dataset] + "; to resolve it run 'zfs-replicate rejoin' here")
		}
	}
	s.mu.Lock()
	s.conflicts = told
	s.mu.Unlock()
	if sender := s.sender.Load(); sender != nil && c.Complete && !sender.DryRun {
		s.mu.Lock()
		s.term = sender.Term
		s.mu.Unlock()
	}
}

// remember records the snapshots that came, for status and lag-check.
func (s *serving) remember() error {
	if s.Local || len(s.received) == 0 && s.term == 0 && len(s.conflicts) == 0 {
		return nil
	}
	record, _, err := s.State.Received()
	if err != nil {
		s.Log.Warn().Err(err).Msg("the record of received snapshots is unreadable: starting a new one")
		record = state.Received{}
	}
	if record.Datasets == nil {
		record.Datasets = map[string]state.ReceivedDataset{}
	}
	if len(s.received) == 0 && record.Term >= s.term && len(s.conflicts) == 0 && len(record.Conflicts) == 0 {
		return nil
	}
	if len(s.conflicts) > 0 || s.term > 0 {
		record.Conflicts = s.conflicts
	}
	record.Term = max(record.Term, s.term)
	for name, r := range s.received {
		record.Datasets[name] = r
	}
	if sender := s.sender.Load(); sender != nil {
		record.From = sender.Node
	}
	if !s.stale { // renamed or destroyed ones are forgotten
		maps.DeleteFunc(record.Datasets, func(name string, _ state.ReceivedDataset) bool {
			looked := slices.ContainsFunc(s.listed, func(root zfs.Root) bool { return root.Recursive && zfs.Within(name, root.Name) })
			return looked && !slices.ContainsFunc(s.inventory, func(d zfs.Dataset) bool { return d.Name == name })
		})
	}
	record.At = s.Now().UTC()
	return s.State.Write(state.ReceivedName, record)
}
