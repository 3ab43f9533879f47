package lag

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

func TestSnapsThereAndBack(t *testing.T) {
	want := Inventory{Format: format, Datasets: []Holding{holding("tank", 1,
		zfs.Snap{Name: "with a space", GUID: ^zfs.GUID(0), CreateTXG: 1}, zfs.Snap{Name: "mark", GUID: 7, CreateTXG: 2, Bookmark: true}), holding("tank/empty", 0)}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Inventory
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Datasets[0].Snaps, want.Datasets[0].Snaps) || len(got.Datasets[1].Snaps) != 0 || got.Datasets[0].Name != "tank" {
		t.Errorf("%s became %+v", text, got)
	}
	for _, bad := range []string{"name\n", "a\tb\n", "a\t1\t2\tx\n", "\t1\t2\n", "a\t1\t!\n"} {
		if err := new(Snaps).UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// What comparing 100 datasets with 10,000 snapshots costs beside the listings.
func BenchmarkManySnapshots(b *testing.B) {
	c := checker("b")
	inventory := &Inventory{Format: format}
	for i := range 100 {
		var snaps []zfs.Snap
		for j := range 100 {
			snaps = append(snaps, zfs.Snap{Name: fmt.Sprintf("replicate-20260501T%06dZ", j), GUID: zfs.GUID(i*1000+j+1) << 40, CreateTXG: uint64(j + 1)})
		}
		inventory.Datasets = append(inventory.Datasets, holding(fmt.Sprintf("tank/d%03d", i), 0, snaps...))
	}
	inventory.Datasets = append([]Holding{holding("tank", 0, zfs.Snap{Name: "x", GUID: 5, CreateTXG: 1})}, inventory.Datasets...)
	for b.Loop() {
		text, err := json.Marshal(inventory)
		if err != nil {
			b.Fatal(err)
		}
		var there Inventory
		if err := json.Unmarshal(text, &there); err != nil {
			b.Fatal(err)
		}
		if _, err := plan.Compare(c.Config.Replication.Datasets, false, there.datasets(), inventory.datasets(), nil); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(text)))
	}
}
