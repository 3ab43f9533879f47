package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Result is the outcome of one scenario. Times are seconds since the fault; 0
// stands for an event that did not happen or was not observed.
type Result struct {
	// Group is the test of the scenario, such as "Takeover".
	Group    string `json:"group"`
	Scenario string `json:"scenario"`
	// Kind is the kind of the lab's nodes: ns or vm.
	Kind  string    `json:"kind"`
	Began time.Time `json:"began"`
	// Seconds is the duration of the scenario with its cleanup.
	Seconds float64 `json:"seconds,omitempty"`
	Verdict Verdict `json:"verdict"`

	Detection float64 `json:"detection_seconds,omitempty"`
	Address   float64 `json:"address_seconds,omitempty"`
	Traefik   float64 `json:"traefik_seconds,omitempty"`
	Projects  float64 `json:"projects_seconds,omitempty"`

	// Writes counts the acknowledged writes that were searched for afterwards.
	// Lost counts those of them, or of earlier scenarios, that are missing.
	// Kept counts unreplicated writes that were found preserved on the failed
	// node.
	Writes int `json:"writes,omitempty"`
	Lost   int `json:"writes_lost"`
	Kept   int `json:"writes_kept,omitempty"`

	// Lanes and Changes hold the observations, in seconds since the fault.
	Lanes   []Lane   `json:"lanes,omitempty"`
	Changes []string `json:"changes,omitempty"`
}

// Verdict is the end of a scenario.
type Verdict string

// The verdicts; a running scenario is unfinished.
const (
	Passed     Verdict = "passed"
	Failed     Verdict = "FAILED"
	Unfinished Verdict = "did not end"
)

// Measure records the times of a takeover.
func (r *Result) Measure(m Moments) {
	r.Address, r.Traefik, r.Projects = hundredths(m.Address), hundredths(m.Traefik), hundredths(m.Projects)
}

// Detected records how long after the fault a node first reacted. An immediate
// reaction counts as the smallest time observed, since 0 means none.
func (r *Result) Detected(after time.Duration) { r.Detection = max(hundredths(after), 0.01) }

// hundredths rounds to the precision of the observations.
func hundredths(d time.Duration) float64 { return d.Round(10 * time.Millisecond).Seconds() }

// measured reports whether the result holds more than a verdict.
func (r *Result) measured() bool { return r.Address > 0 || r.loss() != "-" }

// loss describes the lost writes in a few words.
func (r *Result) loss() string {
	switch {
	case r.Writes == 0 && r.Lost == 0 && r.Kept == 0:
		return "-"
	case r.Kept > 0:
		return fmt.Sprintf("%d (%d kept)", r.Lost, r.Kept)
	}
	return fmt.Sprint(r.Lost)
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", s)
}

// keptMeans explains the number in brackets under "data lost".
const keptMeans = "data lost: acknowledged writes that are missing; kept: unreplicated writes, which were found\n" +
	"preserved on the failed node"

// cells returns the columns of a table between the scenario's name and its
// verdict.
func (r *Result) cells() []cell {
	return []cell{
		{"detection", seconds(r.Detection)}, {"virtual IP", seconds(r.Address)}, {"Traefik", seconds(r.Traefik)},
		{"all projects", seconds(r.Projects)}, {"data lost", r.loss()},
	}
}

// PrintTable writes results as a table. Without any measurement the table holds
// verdicts alone.
func PrintTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	measured := slices.ContainsFunc(results, func(r Result) bool { return r.measured() })
	line := func(name string, cells []string, verdict string) {
		if !measured {
			cells = nil
		}
		fmt.Fprintln(table, strings.Join(append(append([]string{name}, cells...), verdict), "\t"))
	}
	var names []string
	for _, c := range (&Result{}).cells() {
		names = append(names, c.Name)
	}
	line("scenario", names, "verdict")
	for _, r := range results {
		var texts []string
		for _, c := range r.cells() {
			texts = append(texts, c.Text)
		}
		line(r.Scenario, texts, string(r.Verdict))
	}
	return table.Flush()
}

// Print writes a table of results for each group, with the sums.
func Print(w io.Writer, results []Result) error {
	p := newPage(results, "")
	for _, g := range p.Groups {
		fmt.Fprintf(w, "%s\n\n", g.Title)
		list := make([]Result, len(g.Rows))
		for i, one := range g.Rows {
			list[i] = one.Result
		}
		if err := PrintTable(w, list); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if p.Writes > 0 {
		fmt.Fprintf(w, "%s\n%d of %d acknowledged writes were lost\n", keptMeans, p.Lost, p.Writes)
	}
	_, err := fmt.Fprintf(w, "%d of %d scenarios passed\n", p.Passed, len(results))
	return err
}

// Append adds a result to a file as a line of JSON. A later result of a
// scenario replaces the earlier one.
func Append(path string, r Result) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the result of %s: %w", r.Scenario, err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write the result of %s: %w", r.Scenario, err)
	}
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the result of %s: %w", r.Scenario, err)
	}
	return nil
}

// Read returns the results that Append wrote. A missing file holds none; an
// incomplete last line is ignored.
func Read(path string) ([]Result, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the results: %w", err)
	}
	var results []Result
	reader := bufio.NewReader(bytes.NewReader(data))
	for number := 1; ; number++ {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			return results, nil
		}
		var r Result
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("read the results: %s:%d: %w", path, number, err)
		}
		i := slices.IndexFunc(results, func(o Result) bool { return o.Group == r.Group && o.Scenario == r.Scenario && o.Kind == r.Kind })
		if i < 0 {
			results = append(results, r)
		} else {
			results[i] = r
		}
	}
}
