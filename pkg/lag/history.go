package lag

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/renameio/v2"

	"github.com/understudy-ha/understudy/pkg/state"
)

// HistoryFile holds all measurements, a JSON line each, in the state folder.
const HistoryFile = "lag-history.jsonl"

// Point is one measurement of one standby. Datasets without anything at risk
// are left out, so that an idle night costs little.
type Point struct {
	At      time.Time `json:"t"`
	Source  string    `json:"from"`
	Standby string    `json:"to"`
	Asked   bool      `json:"asked,omitempty"`
	Level   Level     `json:"level"`
	Seconds float64   `json:"lag"`
	Bytes   int64     `json:"bytes"`
	// Datasets are the lags in seconds of those that had one.
	Datasets map[string]float64 `json:"datasets,omitempty"`
}

// points are what a report adds to the history.
func (r *Report) points() []Point {
	var points []Point
	for _, s := range r.Standbys {
		p := Point{At: r.At, Source: r.Source, Standby: s.Node, Asked: s.Asked, Level: s.Level, Seconds: s.LagSeconds, Bytes: s.ExposureBytes}
		for _, d := range s.Datasets {
			if d.LagSeconds > 0 {
				if p.Datasets == nil {
					p.Datasets = map[string]float64{}
				}
				p.Datasets[d.Dataset] = float64(int64(d.LagSeconds*10)) / 10
			}
		}
		points = append(points, p)
	}
	return points
}

// Keep adds a report to the history. When the file has become larger than limit
// bytes, its older half goes.
func Keep(ctx context.Context, dir *state.Dir, r *Report, limit int64) error {
	lock, err := dir.WaitLock(ctx, "lag-history")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	path := filepath.Join(dir.Path(), HistoryFile)
	var lines bytes.Buffer
	for _, p := range r.points() {
		line, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encode a measurement: %w", err)
		}
		lines.Write(append(line, '\n'))
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return &state.AccessError{Op: "open", Path: path, Err: err}
	}
	defer f.Close()
	if _, err := f.Write(lines.Bytes()); err != nil {
		return &state.AccessError{Op: "write", Path: path, Err: err}
	}
	info, err := f.Stat()
	if err != nil || info.Size() <= limit {
		return err
	}
	return halve(path)
}

// halve drops the older half of the history.
func halve(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return &state.AccessError{Op: "read", Path: path, Err: err}
	}
	half := text[len(text)/2:]
	if end := bytes.IndexByte(half, '\n'); end >= 0 {
		half = half[end+1:]
	}
	if err := renameio.WriteFile(path, half, 0o644, renameio.WithTempDir(filepath.Dir(path))); err != nil {
		return &state.AccessError{Op: "write", Path: path, Err: err}
	}
	return nil
}

// History returns the measurements since a time, oldest first. A line that was
// cut off by a power cut is left out.
func History(dir *state.Dir, since time.Time) ([]Point, error) {
	path := filepath.Join(dir.Path(), HistoryFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &state.AccessError{Op: "open", Path: path, Err: err}
	}
	defer f.Close()
	var points []Point
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var p Point
		if json.Unmarshal(lines.Bytes(), &p) == nil && !p.At.Before(since) {
			points = append(points, p)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &state.AccessError{Op: "read", Path: path, Err: err}
	}
	slices.SortStableFunc(points, func(a, b Point) int { return a.At.Compare(b.At) })
	return points, nil
}

// Failover is a moment at which another node became the active one.
type Failover struct {
	At time.Time `json:"at"`
	To string    `json:"to"`
}

// Failovers are the moments at which the measurements have another source than
// before, and those at which this node became active, as it has recorded them.
func Failovers(dir *state.Dir, self string, points []Point) ([]Failover, error) {
	var found []Failover
	if len(points) == 0 {
		return nil, nil
	}
	var changes []struct {
		To      state.Role    `json:"to"`
		Outcome state.Outcome `json:"outcome"`
		Ended   time.Time     `json:"ended"`
	}
	if _, err := dir.Read("history", &changes); err != nil {
		return nil, err
	}
	for _, c := range changes {
		done := c.Outcome == state.OutcomeDone || c.Outcome == state.OutcomePartial
		if c.To == state.RoleActive && done && !c.Ended.Before(points[0].At) {
			found = append(found, Failover{c.Ended, self})
		}
	}
	for i, p := range points[1:] {
		before := points[i]
		if p.Source == before.Source || p.Source == "" || before.Source == "" {
			continue
		}
		recorded := slices.ContainsFunc(found, func(f Failover) bool {
			return f.To == p.Source && !f.At.Before(before.At.Add(-time.Minute)) && !f.At.After(p.At.Add(time.Minute))
		})
		if !recorded {
			found = append(found, Failover{p.At, p.Source})
		}
	}
	slices.SortFunc(found, func(a, b Failover) int { return a.At.Compare(b.At) })
	return found, nil
}
