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

// snapshots holds the snapshots of many datasets, parsed while zfs prints them: there
// may be tens of thousands.
type snapshots struct {
	of   map[string][]Snap // by dataset
	last string            // dataset of the last row, which the next rows share
	rest []byte            // beginning of an incomplete row
	err  error             // error of the first invalid row
}

// listSnapshots lists snapshots, bookmarks or both ("snapshot,bookmark"). It uses only
// columns that keep "zfs list" on its fast path (openzfs/zfs#14110).
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

// Write parses output of zfs. An invalid row becomes s.err.
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

// add parses one row.
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
	if unset(columns[3]) != "" {
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

// addTo sets the snapshots of each dataset, oldest first, and a snapshot before its
// bookmark. It drops snapshots of other datasets: those were created after the
// datasets were listed, or lie below a root that is listed alone.
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
