package replicate_test

import (
	"fmt"
	"testing"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/replicate"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// BenchmarkMakePlan plans trees of 100 datasets. Each dataset is one snapshot
// ahead of the standby, and has ten bookmarks.
func BenchmarkMakePlan(b *testing.B) {
	for _, snapshots := range []int{10_000, 20_000, 40_000} {
		b.Run(fmt.Sprint(snapshots), func(b *testing.B) {
			in := inventories(100, snapshots/100)
			for b.Loop() {
				plan := replicate.MakePlan(in)
				if len(plan.Items) != 100 || plan.Items[0].Action != replicate.Incremental {
					b.Fatalf("the plan has %d items, the first is %s", len(plan.Items), plan.Items[0].Action)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(snapshots), "ns/snapshot")
		})
	}
}

func inventories(datasets, snapshots int) replicate.PlanInput {
	in := replicate.PlanInput{Scope: replicate.Scope{config.Dataset{Name: "tank/data", Recursive: true}}}
	guid := uint64(1)
	for i := range datasets {
		source := zfs.Dataset{Name: "tank/data", Type: zfs.Filesystem, GUID: guid, CreateTXG: guid}
		if i > 0 {
			source.Name = fmt.Sprintf("tank/data/d%04d", i)
		}
		target := source
		for n := range snapshots {
			guid++
			snap := zfs.Snap{Name: fmt.Sprintf("replicate-%06d", n), GUID: guid, CreateTXG: guid}
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
