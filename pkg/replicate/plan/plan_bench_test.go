package plan_test

import (
	"fmt"
	"testing"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// BenchmarkMakePlan plans trees of 100 datasets. Each dataset is one snapshot
// ahead of the standby, and has ten bookmarks.
func BenchmarkMakePlan(b *testing.B) {
	for _, snapshots := range []int{10_000, 20_000, 40_000} {
		b.Run(fmt.Sprint(snapshots), func(b *testing.B) {
			in := inventories(100, snapshots/100)
			for b.Loop() {
				made := plan.Make(in)
				if len(made.Items) != 100 || made.Items[0].Action != plan.Incremental {
					b.Fatalf("the plan has %d items, the first is %s", len(made.Items), made.Items[0].Action)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(snapshots), "ns/snapshot")
		})
	}
}

func inventories(datasets, snapshots int) plan.Input {
	in := plan.Input{Scope: plan.Scope{config.Dataset{Name: "tank/data", Recursive: true}}}
	guid := zfs.GUID(1)
	for i := range datasets {
		source := zfs.Dataset{Name: "tank/data", Type: zfs.Filesystem, GUID: guid, CreateTXG: uint64(guid)}
		if i > 0 {
			source.Name = fmt.Sprintf("tank/data/d%04d", i)
		}
		target := source
		for n := range snapshots {
			guid++
			snap := zfs.Snap{Name: fmt.Sprintf("replicate-%06d", n), GUID: guid, CreateTXG: uint64(guid)}
			source.Snapshots = append(source.Snapshots, snap)
			if n < snapshots-1 {
				target.Snapshots = append(target.Snapshots, snap)
			}
			if n >= snapshots-11 && n < snapshots-1 {
				snap.Bookmark = true
				source.Snapshots = append(source.Snapshots, snap)
			}
		}
		guid++
		in.Source = append(in.Source, source)
		in.Target = append(in.Target, target)
	}
	return in
}
