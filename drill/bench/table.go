package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"
)

// row is one line of the table.
type row struct {
	what  string
	ours  string
	other string // the program compared with, and its figure
	ratio string
	goal  string
	how   string // measured or counted

	judged, met bool
}

// atMost is a row in which our program may take at most that part of the other
// program's seconds.
func atMost(what, other string, ours, theirs, limit float64, how string) row {
	return row{
		what: what, ours: seconds(ours), other: "`" + other + "`: " + seconds(theirs),
		ratio: fmt.Sprintf("%.4f of its time", ours/theirs), goal: fmt.Sprintf("at most %.2f", limit),
		judged: true, met: ours/theirs <= limit, how: how,
	}
}

func (r row) verdict() string {
	switch {
	case !r.judged:
		return "—"
	case r.met:
		return "met"
	}
	return "**missed**"
}

func (b *bench) add(r row) {
	b.rows = append(b.rows, r)
	b.say("%s: %s %s %s: %s", r.what, r.ours, r.other, r.ratio, r.verdict())
}

func (b *bench) missed() bool {
	return slices.ContainsFunc(b.rows, func(r row) bool { return r.judged && !r.met })
}

// table returns the rows in Markdown.
func (b *bench) table() string {
	var text strings.Builder
	text.WriteString("| what | ours | compared with | ratio | goal | verdict | measured how |\n|---|---|---|---|---|---|---|\n")
	for _, r := range b.rows {
		cells := []string{r.what, r.ours, r.other, r.ratio, r.goal, r.verdict(), r.how}
		for i, cell := range cells {
			if cell == "" {
				cells[i] = "—"
			}
		}
		fmt.Fprintf(&text, "| %s |\n", strings.Join(cells, " | "))
	}
	return text.String()
}

// takeovers starts the part of the page that holds the drill's results, which
// are entered by hand.
const takeovers = "\n## Takeovers\n"

// kept returns that part of the page unchanged; the page may be missing.
func kept(path string) (string, error) {
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the page that is to be replaced: %w", err)
	}
	_, after, found := strings.Cut(string(old), takeovers)
	if !found {
		return "", nil
	}
	return takeovers + after, nil
}

// writePage writes docs/benchmarks.md.
func (b *bench) writePage(path string) error {
	rest, err := kept(path)
	if err != nil {
		return err
	}
	page := fmt.Sprintf(`# Benchmarks

Made by %s on %s; it took %s. Compare the ratios: the compared programs ran alternately on the same two nodes. The seconds are those of this machine.

%s
- **Nodes:** %s
- **Host:** %s
- **How busy:** load average of the host, one minute, before and after each part: %s (the two nodes themselves cause up to 2 of it).
- **Versions:** %s

syncoid and the old script run as from cron, over ssh with the same key. The old script is the dozen lines that zfs-replicate replaces: one recursive snapshot, one increment of the pool's root, and pruning by name (drill/bench/script.go). A row without a goal is for information.

keepalived's commands and the start of the projects run on two namespace nodes at native speed, with real Docker. ZFS is simulated there and takes no part in these measurements.
`, "`sudo make bench`", b.began.UTC().Format("2006-01-02"), time.Since(b.began).Round(time.Minute), b.table(), b.about.nodes, b.about.host, b.loadText(), b.about.versions)
	if err := renameio.WriteFile(path, []byte(page+rest), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func (b *bench) loadText() string {
	if len(b.loads) == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f to %.1f", slices.Min(b.loads), slices.Max(b.loads))
}

func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }

func speed(bytes int64, seconds float64) string {
	return fmt.Sprintf("%.1f MiB/s", float64(bytes)/(1<<20)/seconds)
}
