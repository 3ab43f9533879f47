package command

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/lag"
	"github.com/understudy-ha/understudy/pkg/report"
)

// line is the line for Nagios: what is worst first, then the figures of each
// standby.
func line(c *lag.Checker, r *lag.Report) string {
	var figures []report.Perf
	warning, critical := seconds(c.Config.Lag.Warning), seconds(c.Config.Lag.Critical)
	for _, s := range r.Standbys {
		all, bad := s.Count()
		figures = append(figures,
			report.Perf{Label: s.Node + "_lag", Value: math.Round(s.LagSeconds), Unit: "s", Warning: warning, Critical: critical},
			report.Perf{Label: s.Node + "_exposure", Value: float64(s.ExposureBytes), Unit: "B"},
			report.Perf{Label: s.Node + "_datasets", Value: float64(all)},
			report.Perf{Label: s.Node + "_bad", Value: float64(bad)})
	}
	return report.NagiosLine(service, r.Level.String(), Summary(r), figures)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// Summary is a report in one line.
func Summary(r *lag.Report) string {
	var parts []string
	for _, p := range r.Problems {
		parts = append(parts, p.Text)
	}
	for _, s := range r.Standbys {
		parts = append(parts, StandbySummary(r, s))
	}
	if len(parts) == 0 {
		return "no standby"
	}
	return strings.Join(parts, "; ")
}

// StandbySummary is one standby in a line.
func StandbySummary(r *lag.Report, s lag.Standby) string {
	all, bad := s.Count()
	var text string
	worst, found := s.Worst()
	switch {
	case !found && s.Asked:
		text = "no datasets"
	case !found:
		text = "nothing is known"
	case worst.Level != lag.OK:
		text = fmt.Sprintf("%d of %s %s: %s", bad, counted(all, "dataset"), verb(bad), datasetText(worst))
	case s.LagSeconds > 0:
		text = fmt.Sprintf("%s, at most %s behind (%s), %s at risk", counted(all, "dataset"), report.Seconds(s.LagSeconds), worst.Dataset, bytesText(s.ExposureBytes, s.BytesKnown))
	default:
		text = counted(all, "dataset") + " in sync"
	}
	if !s.Asked {
		return fmt.Sprintf("%s not compared: %s; as known %s: %s", s.Node, s.Error, ago(r.At, s.AsOf), text)
	}
	return s.Node + ": " + text
}

func verb(n int) string {
	if n == 1 {
		return "needs attention"
	}
	return "need attention, the first"
}

// datasetText says what one dataset is.
func datasetText(d lag.Dataset) string {
	text := fmt.Sprintf("%s %s", d.Dataset, d.State)
	if d.LagSeconds > 0 {
		text += " for " + report.Seconds(d.LagSeconds)
	}
	if d.ExposureBytes > 0 {
		text += ", " + bytesText(d.ExposureBytes, d.BytesKnown) + " at risk"
	}
	return text
}

// bytesText is a size of which perhaps not all is known.
func bytesText(n int64, known bool) string {
	switch {
	case !known && n == 0:
		return "unknown bytes"
	case !known:
		return "at least " + report.Bytes(n)
	}
	return report.Bytes(n)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// writeText writes a table a standby, and below it what is to be done.
func writeText(w io.Writer, r *lag.Report) error {
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "%s: %s\n", p.Level, p.Text)
		if p.Hint != "" {
			fmt.Fprintf(&b, "  hint: %s\n", p.Hint)
		}
	}
	for i, s := range r.Standbys {
		if i > 0 || len(r.Problems) > 0 {
			b.WriteString("\n")
		}
		if err := standbyText(&b, r, s); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func standbyText(b *strings.Builder, r *lag.Report, s lag.Standby) error {
	fmt.Fprintf(b, "%s → %s  %s", r.Source, s.Node, s.Level)
	if s.Asked && math.Abs(s.ClockSeconds) >= 2 {
		side := "ahead of"
		if s.ClockSeconds < 0 {
			side = "behind"
		}
		fmt.Fprintf(b, ", its clock is %s %s this node's", report.Seconds(math.Abs(s.ClockSeconds)), side)
	}
	b.WriteString("\n")
	if s.Error != "" {
		fmt.Fprintf(b, "%s\n", s.Error)
		if !s.Asked {
			fmt.Fprintf(b, "the figures are what was known %s\n", ago(r.At, s.AsOf))
		}
	}
	rows := [][]string{{"DATASET", "STATE", "LAG", "AT RISK", "COMMON SNAPSHOT"}}
	for _, d := range s.Datasets {
		rows = append(rows, datasetRow(r.At, d))
	}
	if len(rows) > 1 {
		if err := report.Table(b, rows); err != nil {
			return err
		}
	}
	reasonsText(b, s)
	return nil
}

// reasonsText says why datasets are not as they should be, and once below those
// that it is about what to do.
func reasonsText(b *strings.Builder, s lag.Standby) {
	var hints []string
	reasons := map[string][]string{} // by hint
	for _, d := range s.Datasets {
		if d.Reason == "" || d.Level == lag.OK {
			continue
		}
		if reasons[d.Hint] == nil {
			hints = append(hints, d.Hint)
		}
		reasons[d.Hint] = append(reasons[d.Hint], d.Dataset+": "+d.Reason)
	}
	for _, hint := range hints {
		for _, reason := range reasons[hint] {
			fmt.Fprintln(b, reason)
		}
		if hint != "" {
			fmt.Fprintf(b, "  hint: %s\n", hint)
		}
	}
}

func datasetRow(now time.Time, d lag.Dataset) []string {
	name, lagText, risk, common := d.Dataset, "", "", ""
	if name == "" {
		name = d.Target
	}
	state := string(d.State)
	if d.Level != lag.OK {
		state += " (" + d.Level.String() + ")"
	}
	if d.Partial {
		state += ", resumable"
	}
	if d.State != lag.Excluded && d.State != lag.Orphan {
		lagText, risk = "none", "nothing"
		if d.LagSeconds > 0 {
			lagText = report.Seconds(d.LagSeconds)
		}
		if d.ExposureBytes > 0 || !d.BytesKnown {
			risk = bytesText(d.ExposureBytes, d.BytesKnown)
		}
		common = "none"
	}
	if d.Common != "" {
		common = fmt.Sprintf("@%s (%s)", d.Common, ago(now, d.CommonAt))
	}
	return []string{name, state, lagText, risk, common}
}
