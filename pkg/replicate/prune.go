package replicate

import (
	"context"
	"slices"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Pruned is what retention did to one dataset. Names are those after @ or #.
type Pruned struct {
	Dataset   string   `json:"dataset"`
	Snapshots []string `json:"snapshots,omitempty"`
	Bookmarks []string `json:"bookmarks,omitempty"`
	Held      []string `json:"held,omitempty"` // kept, since somebody has a hold on them
	Error     string   `json:"error,omitempty"`
}

// pruner applies the retention on this machine.
type pruner struct {
	zfs    *zfs.ZFS
	prefix string
	keep   config.Keep
	dryRun bool
}

// prune destroys what the retention gives up, one call a dataset. protected
// holds the guids that must stay, by dataset. One dataset's failure does not
// stop the others.
func (p pruner) prune(ctx context.Context, datasets []zfs.Dataset, protected map[string]map[uint64]bool) []Pruned {
	gone := make([][]zfs.Snap, len(datasets))
	var candidates []string
	for i, d := range datasets {
		gone[i] = slices.Concat(expired(d.Snapshots, p.prefix, p.keep, protected[d.Name]),
			expiredMarks(d.Snapshots, p.prefix, p.keep, protected[d.Name]))
		for _, snap := range gone[i] {
			candidates = append(candidates, snap.Full(d.Name))
		}
	}
	held, heldErr := map[string]bool{}, error(nil)
	if len(candidates) > 0 {
		held, heldErr = p.zfs.Held(ctx, candidates)
	}
	var all []Pruned
	for i, d := range datasets {
		result := Pruned{Dataset: d.Name}
		var names []string
		for _, snap := range gone[i] {
			if held[snap.Full(d.Name)] {
				result.Held = append(result.Held, snap.Name)
			} else {
				names = append(names, snap.Name)
			}
		}
		switch {
		case len(names) == 0:
		case heldErr != nil:
			result.Error = heldErr.Error()
		case p.dryRun:
			result.Snapshots = names
		default:
			if err := p.zfs.DestroySnapshots(ctx, d.Name, names); err != nil {
				result.Error = err.Error()
			} else {
				result.Snapshots = names
			}
		}
		for _, bookmark := range expiredBookmarks(d.Snapshots, p.prefix, protected[d.Name]) {
			if !p.dryRun {
				if err := p.zfs.DestroyBookmark(ctx, bookmark.Full(d.Name)); err != nil {
					result.Error = err.Error()
					break
				}
			}
			result.Bookmarks = append(result.Bookmarks, bookmark.Name)
		}
		if len(result.Snapshots)+len(result.Bookmarks)+len(result.Held) > 0 || result.Error != "" {
			all = append(all, result)
		}
	}
	return all
}

// Prune applies the retention on this node alone.
func (e *Engine) Prune(ctx context.Context, dryRun bool) ([]Pruned, error) {
	if !dryRun {
		lock, err := e.State.Lock(lockName)
		if err != nil {
			return nil, err
		}
		defer lock.Unlock()
	}
	scope, err := e.scope(ctx, "")
	if err != nil {
		return nil, err
	}
	source, err := e.sources(ctx, scope)
	if err != nil {
		return nil, err
	}
	if dryRun {
		return e.planPrune(ctx, source)
	}
	var record Record
	if _, err := e.State.Read(recordName, &record); err != nil {
		return nil, err
	}
	p := pruner{zfs: e.ZFS, prefix: e.Config.Replication.Prefix, keep: e.Config.Replication.Keep}
	return p.prune(ctx, source, e.protect(&record)), nil
}
