package zfs

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/pkg/run"
)

// snapshots are those of many datasets, read while zfs lists them: there may be
// tens of thousands.
type snapshots struct {
	of   map[string][]Snap // dataset →
	last string            // dataset of the last row: its next ones follow
	rest []byte            // a row that has not come whole yet
	err  error             // of the first row that makes no sense
}

// listSnapshots lists snapshots, bookmarks or both ("snapshot,bookmark"). It
// asks only for columns that keep "zfs list" on its fast path
// (openzfs/zfs#14110).
func (z *ZFS) listSnapshots(ctx context.Context, kinds string, names []string, recursive bool) (*snapshots, error) {
	argv := append([]string{"zfs", "list", "-H", "-p", "-o", "name,guid,createtxg,numclones", "-t", kinds}, depth(recursive, "1")...)
	s := &snapshots{of: map[string][]Snap{}}
	err := z.run.Run(ctx, run.Command{Argv: append(argv, names...), Timeout: z.timeout, Stdout: s})
	if err != nil && onlyMissing(err) {
		err = nil
	}
	if err = cmp.Or(s.err, explain(err)); err != nil {
		return nil, fmt.Errorf("list snapshots of %s: %w", strings.Join(names, ", "), err)
	}
	return s, nil
}

// Write takes what zfs prints. What makes no sense is an error at the end.
func (s *snapshots) Write(p []byte) (int, error) {
	for text := p; s.err == nil; {
		row, more, whole := bytes.Cut(text, []byte("\n"))
		if !whole {
			s.rest = append(s.rest, row...)
			break
		}
		if len(s.rest) > 0 {
			row = append(s.rest, row...)
			s.rest = s.rest[:0]
		}
		s.err = s.add(row)
		text = more
	}
	return len(p), nil
}

// add takes one row.
func (s *snapshots) add(row []byte) error {
	columns := strings.Split(string(row), "\t")
	if len(columns) != 4 {
		return fmt.Errorf("parse zfs list: %d columns instead of 4 in %q", len(columns), row)
	}
	at := strings.IndexAny(columns[0], "@#")
	if at < 0 {
		return fmt.Errorf("parse zfs list: %q is not a snapshot", columns[0])
	}
	snap := Snap{Name: columns[0][at+1:], Bookmark: columns[0][at] == '#'}
	var err error
	if snap.GUID, err = ParseGUID(columns[1]); err != nil {
		return fmt.Errorf("parse zfs list: %s: %w", columns[0], err)
	}
	if snap.CreateTXG, err = strconv.ParseUint(columns[2], 10, 64); err != nil {
		return fmt.Errorf("parse zfs list: %s: %w", columns[0], err)
	}
	if dash(columns[3]) != "" {
		if snap.Clones, err = strconv.Atoi(columns[3]); err != nil {
			return fmt.Errorf("parse zfs list: %s: %w", columns[0], err)
		}
	}
	if s.last != columns[0][:at] {
		s.last = columns[0][:at]
	}
	s.of[s.last] = append(s.of[s.last], snap)
	return nil
}

// addTo gives each dataset its own, the oldest first, and a snapshot before its
// bookmark. Those of datasets that are not among them were made after these
// were listed, or are below a root that is listed alone.
func (s *snapshots) addTo(datasets []Dataset) {
	for i := range datasets {
		own := s.of[datasets[i].Name]
		slices.SortStableFunc(own, func(a, b Snap) int {
			switch {
			case a.CreateTXG != b.CreateTXG:
				return cmp.Compare(a.CreateTXG, b.CreateTXG)
			case a.Bookmark == b.Bookmark:
				return 0
			case b.Bookmark:
				return -1
			}
			return 1
		})
		datasets[i].Snapshots = own
	}
}
