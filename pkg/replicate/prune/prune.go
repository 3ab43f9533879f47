package prune

import (
	"context"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Result is how pruning one dataset went. Names are those after @ or #.
type Result struct {
	Dataset   string   `json:"dataset"`
	Snapshots []string `json:"snapshots,omitempty"` // destroyed
	Bookmarks []string `json:"bookmarks,omitempty"` // destroyed
	Held      []string `json:"held,omitempty"`      // expired, but somebody has a hold on them
	Error     string   `json:"error,omitempty"`
}

// Pruner applies a retention on this machine.
type Pruner struct {
	ZFS       *zfs.ZFS
	Retention plan.Retention
	DryRun    bool
}

// Prune destroys the snapshots and bookmarks that expired, the snapshots of a
// dataset in one call. protected holds the guids that stay, by dataset. A dataset
// that fails does not stop the others.
func (p Pruner) Prune(ctx context.Context, datasets []zfs.Dataset, protected map[string]map[zfs.GUID]bool) []Result {
	snapshots, bookmarks := make([][]zfs.Snap, len(datasets)), make([][]zfs.Snap, len(datasets))
	var candidates []string
	for i, d := range datasets {
		snapshots[i], bookmarks[i] = p.Retention.Expired(d.Snapshots, protected[d.Name])
		for _, snap := range snapshots[i] {
			candidates = append(candidates, snap.Full(d.Name))
		}
	}
	held, heldErr := map[string]bool{}, error(nil)
	if len(candidates) > 0 {
		held, heldErr = p.ZFS.Held(ctx, candidates)
	}
	var all []Result
	for i, d := range datasets {
		result := Result{Dataset: d.Name}
		p.snapshots(ctx, &result, snapshots[i], held, heldErr)
		p.bookmarks(ctx, &result, bookmarks[i])
		if len(result.Snapshots)+len(result.Bookmarks)+len(result.Held) > 0 || result.Error != "" {
			all = append(all, result)
		}
	}
	return all
}

func (p Pruner) snapshots(ctx context.Context, result *Result, expired []zfs.Snap, held map[string]bool, heldErr error) {
	var names []string
	for _, snap := range expired {
		if held[snap.Full(result.Dataset)] {
			result.Held = append(result.Held, snap.Name)
		} else {
			names = append(names, snap.Name)
		}
	}
	switch {
	case len(names) == 0:
	case heldErr != nil:
		result.Error = heldErr.Error()
	case p.DryRun:
		result.Snapshots = names
	default:
		if err := p.ZFS.DestroySnapshots(ctx, result.Dataset, names); err != nil {
			result.Error = err.Error()
		} else {
			result.Snapshots = names
		}
	}
}

func (p Pruner) bookmarks(ctx context.Context, result *Result, expired []zfs.Snap) {
	for _, bookmark := range expired {
		if !p.DryRun {
			if err := p.ZFS.DestroyBookmark(ctx, bookmark.Full(result.Dataset)); err != nil {
				result.Error = err.Error()
				return
			}
		}
		result.Bookmarks = append(result.Bookmarks, bookmark.Name)
	}
}
