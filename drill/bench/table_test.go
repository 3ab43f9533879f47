package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	met := atMost("unchanged", "syncoid -r", 3, 300, 0.03, "")
	missed := atMost("unchanged", "syncoid -r", 10, 300, 0.03, "")
	for r, want := range map[*row]string{&met: "met", &missed: "**missed**", {what: "to be known"}: "—"} {
		if got := r.verdict(); got != want {
			t.Errorf("%s %s: verdict %s, want %s", r.what, r.ratio, got, want)
		}
	}
	b := &bench{log: io.Discard}
	b.add(met)
	if b.missed() {
		t.Error("a goal that is met counts as missed")
	}
	b.add(missed)
	if !b.missed() {
		t.Error("a missed goal does not count")
	}
	for i, line := range strings.Split(strings.TrimSpace(b.table()), "\n") {
		if n := strings.Count(line, "|"); n != 8 {
			t.Errorf("line %d has %d bars, want 8: %s", i+1, n, line)
		}
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 2, 3}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: %v, want %v", values, got, want)
		}
	}
}

func TestPerSnapshot(t *testing.T) {
	const out = `goos: linux
BenchmarkMakePlan/10000-2         	     512	   2270000 ns/op	       227.0 ns/snapshot
BenchmarkMakePlan/10000-2         	     520	   2290000 ns/op	       229.0 ns/snapshot
BenchmarkMakePlan/40000         	     130	   8900000 ns/op	       222.5 ns/snapshot
PASS
`
	costs, err := perSnapshot(out)
	if err != nil {
		t.Fatal(err)
	}
	if got := median(costs["10000"]); got != 228 {
		t.Errorf("10000: %v, want 228", got)
	}
	if got := median(costs["40000"]); got != 222.5 {
		t.Errorf("40000: %v, want 222.5", got)
	}
}

func TestRunRefusesUnknownParts(t *testing.T) {
	err := run(context.Background(), []string{"-parts", "streams"}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "streams") || errors.Is(err, errMissed) {
		t.Errorf("part streams: %v", err)
	}
}

func TestPage(t *testing.T) {
	b := &bench{log: io.Discard, loads: []float64{2, 0.5}}
	b.add(row{what: "planning", goal: "—"})
	path := filepath.Join(t.TempDir(), "benchmarks.md")
	if err := os.WriteFile(path, []byte("# Old\n\n## Takeovers\n\nas fast as ever\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := b.writePage(path); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"| planning |", "sudo make bench", "0.5 to 2.0", "\n\n## Takeovers\n\nas fast as ever\n"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
}
