package lag

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func openState(t *testing.T) *state.Dir {
	t.Helper()
	dir, err := state.Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func measured(at time.Time, source, standby string, seconds float64) *Report {
	return &Report{Node: source, At: at, Source: source, Standbys: []Standby{{Node: standby, Asked: true, LagSeconds: seconds, ExposureBytes: 100,
		Datasets: []Dataset{{Dataset: "tank/db", State: Behind, LagSeconds: seconds}, {Dataset: "tank/idle", State: InSync}}}}}
}

func TestHistoryIsKeptAndBounded(t *testing.T) {
	dir := openState(t)
	const limit = 4000
	for i := range 200 {
		if err := Keep(t.Context(), dir, measured(noon.Add(time.Duration(i)*time.Minute), "a", "b", float64(i)), limit); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(filepath.Join(dir.Path(), HistoryFile))
	if err != nil || info.Size() > limit {
		t.Fatalf("%v bytes, %v", info.Size(), err)
	}
	points, err := History(dir, time.Time{})
	if err != nil || len(points) < 10 {
		t.Fatalf("%d points, %v", len(points), err)
	}
	for i, p := range points { // the newest ones, without a gap
		if want := float64(200 - len(points) + i); p.Seconds != want || p.Datasets["tank/db"] != want || len(p.Datasets) > 1 {
			t.Fatalf("point %d is %+v, want %v s", i, p, want)
		}
	}
	since, err := History(dir, noon.Add(195*time.Minute))
	if err != nil || len(since) != 5 {
		t.Errorf("%d points since then, %v", len(since), err)
	}
}

func TestHistorySurvivesACutLine(t *testing.T) {
	dir := openState(t)
	if points, err := History(dir, time.Time{}); points != nil || err != nil {
		t.Errorf("%v, %v without a file", points, err)
	}
	path := filepath.Join(dir.Path(), HistoryFile)
	text := `{"t":"2026-05-01T12:00:00Z","from":"a","to":"b","level":"ok","lag":1,"bytes":2}` + "\n" + `{"t":"2026-05-01T12:0`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if points, err := History(dir, time.Time{}); len(points) != 1 || err != nil {
		t.Errorf("%v, %v", points, err)
	}
}

func TestKeepWaitsForTheLockAndGivesUp(t *testing.T) {
	dir := openState(t)
	lock, err := dir.Lock("lag-history")
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := Keep(ctx, dir, measured(noon, "a", "b", 1), 1000); !errors.As(err, new(*state.LockedError)) {
		t.Errorf("%v", err)
	}
}

func TestFailovers(t *testing.T) {
	dir := openState(t)
	points := []Point{{At: noon, Source: "a"}, {At: noon.Add(time.Minute), Source: "b"}, {At: noon.Add(5 * time.Minute), Source: "b"}, {At: noon.Add(9 * time.Minute), Source: "a"}}
	history := []map[string]any{
		{"to": "active", "outcome": "done", "ended": noon.Add(40 * time.Second)},
		{"to": "active", "outcome": "failed", "ended": noon.Add(2 * time.Minute)},
		{"to": "standby", "outcome": "done", "ended": noon.Add(8 * time.Minute)},
		{"to": "active", "outcome": "done", "ended": noon.Add(-time.Hour)},
	}
	if err := dir.Write("history", history); err != nil {
		t.Fatal(err)
	}
	got, err := Failovers(dir, "b", points)
	if err != nil {
		t.Fatal(err)
	}
	want := []Failover{{noon.Add(40 * time.Second), "b"}, {noon.Add(9 * time.Minute), "a"}}
	if len(got) != len(want) || !got[0].At.Equal(want[0].At) || got[0].To != "b" || got[1] != want[1] {
		t.Errorf("%v, want %v", got, want)
	}
}

func curve() Curve {
	c := Curve{Title: "tank on b & c", From: noon, To: noon.Add(10 * time.Minute), Warning: 20, Critical: 3600,
		Failovers: []Failover{{noon.Add(5 * time.Minute), "b"}}}
	for i, v := range []float64{0, 5, 10, 20, 30, 0} {
		c.Points = append(c.Points, Point{At: noon.Add(time.Duration(i) * time.Minute), Seconds: v, Asked: i != 2})
	}
	return c
}

func TestCurveAsText(t *testing.T) {
	t.Setenv("TZ", "UTC")
	got := curve().Text(30, 3)
	lines := strings.Split(got, "\n")
	for i, want := range []string{"tank on b & c", "    30s │        █", "    20s │      █ █", "        │  ▄ █ █ █", "     0s └─·─·x·─·─·▲·········"} {
		if []rune(lines[i])[0] != []rune(want)[0] || strings.ReplaceAll(lines[i], " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
	if !strings.Contains(got, "b became active") {
		t.Errorf("no failover in\n%s", got)
	}
	for _, line := range lines {
		if len([]rune(line)) > 30+len(" 2026-05-01 12:05:00 became active") {
			t.Errorf("%q is too wide", line)
		}
	}
}

func TestCurveAsSVG(t *testing.T) {
	got := curve().SVG()
	decoder := xml.NewDecoder(strings.NewReader(got))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, got)
		}
	}
	for _, want := range []string{"tank on b &amp; c", "b active", "<path d=\"M70.0 260.0L", "<circle", svgLimitWarning} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Count(got, "stroke-dasharray") != 1 {
		t.Error("a limit above the axis is drawn")
	}
}
