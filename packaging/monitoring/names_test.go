package monitoring

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-ha/understudy/pkg/metrics"
)

var update = flag.Bool("update", false, "write docs/metrics.md")

// metricName finds our metrics in expressions.
var metricName = regexp.MustCompile(`understudy_[a-z_]+`)

func known() []string {
	var names []string
	for _, f := range metrics.Families() {
		names = append(names, f.Name)
	}
	return names
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Every metric that an alert or a panel asks for is one that a program writes.
func TestAskedMetricsExist(t *testing.T) {
	rules := read(t, "../prometheus/understudy.rules.yml")
	var expressions []string
	for line := range strings.Lines(rules) {
		if _, expr, ok := strings.Cut(line, "expr: "); ok {
			expressions = append(expressions, expr)
		}
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Expr string } }
	}
	if err := json.Unmarshal([]byte(read(t, "../grafana/understudy.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	for _, a := range dashboard.Annotations.List {
		expressions = append(expressions, a.Expr)
	}
	if len(expressions) < 30 {
		t.Fatalf("only %d expressions", len(expressions))
	}
	asked := map[string]bool{}
	for _, expr := range expressions {
		found := metricName.FindAllString(expr, -1)
		if len(found) == 0 {
			t.Errorf("%s asks for none of our metrics", expr)
		}
		for _, name := range found {
			asked[name] = true
			if !slices.Contains(known(), name) {
				t.Errorf("%s asks for %s, which nobody writes", expr, name)
			}
		}
	}
	if len(asked) < 20 {
		t.Errorf("only %d metrics are used", len(asked))
	}
}

// Each family stands in one file, so that there is one HELP text for it, and has
// the unit in its name that Prometheus's people expect.
func TestFamilies(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range metrics.Families() {
		if seen[f.Name] {
			t.Errorf("%s stands there twice", f.Name)
		}
		seen[f.Name] = true
		if f.Help == "" || !strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: help %q", f.Name, f.Help)
		}
	}
}

const pageFile = "../../docs/metrics.md"

// The page of all metrics is made here.
func TestPage(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Metrics\n\nWith `metrics.textfile_dir` set, each program keeps a file there for node_exporter's textfile\ncollector (`--collector.textfile.directory`). All metrics are gauges, without timestamps; a run that\nfails leaves the time of the last success as it was. Alert rules and a Grafana dashboard are in\n[packaging/prometheus](../packaging/prometheus) and [packaging/grafana](../packaging/grafana); the package\nputs them into `/usr/share/understudy`.\n")
	file := metrics.File("")
	for _, f := range metrics.Families() {
		if f.File != file {
			file = f.File
			fmt.Fprintf(&b, "\n## %s.prom\n\n| metric | labels | meaning |\n|---|---|---|\n", file)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Name, strings.Join(f.Labels, ", "), f.Help)
	}
	if *update {
		if err := os.WriteFile(pageFile, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, pageFile) != b.String() {
		t.Error("docs/metrics.md is not what the table says; write it with: go test ./packaging/monitoring -run TestPage -update")
	}
}
