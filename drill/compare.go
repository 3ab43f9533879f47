package drill

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
)

//go:embed contents.sh
var contents string

// Row compares a dataset of the sender with its replica.
type Row struct {
	Source, Target string
	Snapshot       string // the newest on the sender, after @
	SourceGUID     string
	TargetGUID     string // of the replica's snapshot of that name; empty when it has none
	// Checksums of all files, or of the blocks of a volume, as the snapshots
	// hold them; empty where none was requested or there is no snapshot.
	SourceSum, TargetSum string
}

// Equal reports whether the replica has the newest snapshot with the same
// contents.
func (r Row) Equal() bool {
	return r.SourceGUID != "" && r.SourceGUID == r.TargetGUID && r.SourceSum == r.TargetSum
}

func (r Row) String() string {
	return fmt.Sprintf("%s@%s: guid %s, content %.12s; on the other side %s: guid %s, content %.12s",
		r.Source, r.Snapshot, r.SourceGUID, r.SourceSum, r.Target, r.TargetGUID, r.TargetSum)
}

// Compare compares every dataset in the pool of from with its replica on to:
// the guids of the newest snapshot and the snapshot's contents.
func Compare(ctx context.Context, from, to lab.Node) ([]Row, error) {
	rows, err := CompareGUIDs(ctx, from, to)
	if err != nil {
		return rows, err
	}
	return rows, CompareContents(ctx, from, to, rows)
}

// CompareContents fills in the checksums of rows whose guids are equal.
func CompareContents(ctx context.Context, from, to lab.Node, rows []Row) error {
	var sources, targets []string
	for _, r := range rows {
		if r.SourceGUID != "" && r.SourceGUID == r.TargetGUID {
			sources = append(sources, r.Source+"@"+r.Snapshot)
			targets = append(targets, r.Target+"@"+r.Snapshot)
		}
	}
	var sourceSums, targetSums map[string]string
	var sourceErr, targetErr error
	var both sync.WaitGroup
	both.Go(func() { sourceSums, sourceErr = checksums(ctx, from, sources) })
	both.Go(func() { targetSums, targetErr = checksums(ctx, to, targets) })
	both.Wait()
	if err := errors.Join(sourceErr, targetErr); err != nil {
		return err
	}
	for i, r := range rows {
		rows[i].SourceSum = sourceSums[r.Source+"@"+r.Snapshot]
		rows[i].TargetSum = targetSums[r.Target+"@"+r.Snapshot]
	}
	return nil
}

// checksums returns the checksum of the contents of each snapshot.
func checksums(ctx context.Context, n lab.Node, snapshots []string) (map[string]string, error) {
	sums := map[string]string{}
	if len(snapshots) == 0 {
		return sums, nil
	}
	text, err := Shell(ctx, n, DeviceScript+contents, snapshots...)
	if err != nil {
		return nil, fmt.Errorf("read the content of the snapshots: %w", err)
	}
	for line := range strings.Lines(text) {
		sum, snapshot, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		sums[snapshot] = sum
	}
	return sums, nil
}

// CompareGUIDs is Compare without contents.
func CompareGUIDs(ctx context.Context, from, to lab.Node) ([]Row, error) {
	source, err := listSnapshots(ctx, from)
	if err != nil {
		return nil, err
	}
	target, err := listSnapshots(ctx, to)
	if err != nil {
		return nil, err
	}
	datasets, err := Run(ctx, from, "zfs", "list", "-H", "-o", "name", "-r", Pool)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for dataset := range strings.SplitSeq(datasets, "\n") {
		r := Row{Source: dataset, Target: TargetOf(dataset)}
		if all := source[dataset]; len(all) > 0 {
			newest := all[len(all)-1]
			r.Snapshot, r.SourceGUID = newest.name, newest.guid
			if i := slices.IndexFunc(target[r.Target], func(s snapshot) bool { return s.name == newest.name }); i >= 0 {
				r.TargetGUID = target[r.Target][i].guid
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// TargetOf returns the name of a dataset on the other node.
func TargetOf(source string) string {
	if source == Pool {
		return Pool + "/understudy-root"
	}
	target, _ := plan.Scope{config.Dataset{Name: Pool, Recursive: true}}.Target(source)
	return target
}

type snapshot struct{ name, guid string }

// listSnapshots lists the snapshots of a node's pool by dataset, oldest first.
func listSnapshots(ctx context.Context, n lab.Node) (map[string][]snapshot, error) {
	text, err := Run(ctx, n, "zfs", "list", "-H", "-p", "-t", "snapshot", "-o", "name,guid", "-s", "createtxg", "-r", Pool)
	if err != nil {
		return nil, fmt.Errorf("list the snapshots of %s: %w", n.Name(), err)
	}
	all := map[string][]snapshot{}
	for line := range strings.Lines(text) {
		full, guid, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		dataset, name, _ := strings.Cut(full, "@")
		all[dataset] = append(all[dataset], snapshot{name, guid})
	}
	return all, nil
}
