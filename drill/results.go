package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/google/renameio/v2"
)

// Result is what one takeover took, in seconds from the fault. What never was,
// or was not looked at, is 0.
type Result struct {
	Scenario string  `json:"scenario"`
	Kind     string  `json:"kind"`
	Address  float64 `json:"address_seconds"`
	Traefik  float64 `json:"traefik_seconds"`
	Projects float64 `json:"projects_seconds"`
}

// NewResult rounds to what is observed: hundredths.
func NewResult(scenario, kind string, m Moments) Result {
	seconds := func(d time.Duration) float64 { return d.Round(10 * time.Millisecond).Seconds() }
	return Result{scenario, kind, seconds(m.Address), seconds(m.Traefik), seconds(m.Projects)}
}

// PrintResults writes them as a table.
func PrintResults(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "scenario\taddress\tTraefik\tall projects\t")
	cell := func(seconds float64) string {
		if seconds == 0 {
			return "-"
		}
		return fmt.Sprintf("%.1f s", seconds)
	}
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t\n", r.Scenario, cell(r.Address), cell(r.Traefik), cell(r.Projects))
	}
	return table.Flush()
}

// WriteResults writes them as JSON to a file.
func WriteResults(path string, results []Result) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	if err := renameio.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the results: %w", err)
	}
	return nil
}
