package command

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/replicate"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// writePlan prints the steps of the next run.
func writePlan(w io.Writer, r *replicate.Result) error {
	var b strings.Builder
	if r.Snapshot.Name != "" {
		fmt.Fprintf(&b, "snapshot  @%s of %s: %s\n", r.Snapshot.Name, counted(len(r.Snapshot.Datasets), "dataset"), r.Snapshot.Reason)
	} else {
		fmt.Fprintf(&b, "snapshot  none: %s\n", r.Snapshot.Reason)
	}
	for _, standby := range r.Standbys {
		fmt.Fprintf(&b, "\n%s\n", standby.Node)
		if standby.Error != "" {
			fmt.Fprintf(&b, "  error   %s\n", standby.Error)
		}
		for _, item := range standby.Items {
			planItem(&b, item.Item)
		}
		prunedLines(&b, "  ", standby.Pruned, true)
	}
	if len(r.Pruned) > 0 {
		fmt.Fprintf(&b, "\n%s (here)\n", r.Node)
		prunedLines(&b, "  ", r.Pruned, true)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// planItem prints one dataset: a line with its action, and one for each step or
// reason.
func planItem(b *strings.Builder, item *plan.Item) {
	name := item.Source
	if name == "" {
		name = item.Target
	}
	fmt.Fprintf(b, "  %-11s  %s", item.Action, name)
	if item.Source != "" && item.Target != item.Source {
		fmt.Fprintf(b, " → %s", item.Target)
	}
	if item.Action == plan.Current {
		fmt.Fprintf(b, " @%s", item.Goal)
	}
	b.WriteString("\n")
	detail := func(format string, args ...any) { fmt.Fprintf(b, "               "+format+"\n", args...) }
	if item.Reason != "" {
		detail("%s", item.Reason)
	}
	if item.RenameFrom != "" {
		detail("rename %s to %s: renamed on the source", item.RenameFrom, item.Target)
	}
	if item.DropToken {
		detail("drop the partial receive there: it no longer fits")
	}
	if item.Contain {
		detail("the standby's own root becomes a container and hands down its settings")
	}
	for _, s := range item.Streams {
		detail("%s", streamText(s))
	}
	if item.Hint != "" {
		detail("hint: %s", item.Hint)
	}
}

func streamText(s plan.Stream) string {
	base := func(full string) string {
		if i := strings.IndexAny(full, "@#"); i >= 0 {
			return full[i:]
		}
		return full
	}
	size := ""
	if s.Bytes > 0 {
		size = ", about " + report.Bytes(s.Bytes)
	}
	switch {
	case s.Token != "":
		return fmt.Sprintf("resume %s after %s", base(s.To), report.Bytes(s.Received))
	case s.Origin != "":
		return fmt.Sprintf("send %s as a clone of %s%s", base(s.To), s.From, size)
	case s.From == "":
		return fmt.Sprintf("send %s in full%s", base(s.To), size)
	case s.All:
		return fmt.Sprintf("send %s to %s with all between%s", base(s.From), base(s.To), size)
	}
	return fmt.Sprintf("send %s to %s%s", base(s.From), base(s.To), size)
}

// writeResult prints a run's result in a few lines: it counts the current datasets and
// names the others.
func writeResult(w io.Writer, r *replicate.Result) error {
	if r.Snapshot.Reason == "" { // it ended before it took a snapshot
		return nil
	}
	var b strings.Builder
	if r.Snapshot.Name != "" {
		fmt.Fprintf(&b, "snapshot @%s of %s\n", r.Snapshot.Name, counted(len(r.Snapshot.Datasets), "dataset"))
	} else {
		fmt.Fprintf(&b, "no snapshot: %s\n", r.Snapshot.Reason)
	}
	for _, standby := range r.Standbys {
		if standby.Error != "" && len(standby.Items) == 0 {
			fmt.Fprintf(&b, "%s: failed: %s\n", standby.Node, standby.Error)
			continue
		}
		counts := map[plan.Action]int{}
		failed := 0
		for _, item := range standby.Items {
			if item.Error != "" {
				failed++
			} else {
				counts[item.Action]++
			}
		}
		var parts []string
		for _, a := range []plan.Action{plan.Full, plan.Incremental, plan.Resume, plan.Current, plan.Conflict, plan.Refused, plan.Skipped, plan.Orphan} {
			if counts[a] > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", counts[a], a))
			}
		}
		if failed > 0 {
			parts = append(parts, fmt.Sprintf("%d failed", failed))
		}
		fmt.Fprintf(&b, "%s: %s; %s in %s\n", standby.Node, strings.Join(parts, ", "), report.Bytes(standby.Bytes), report.Seconds(standby.Seconds))
		for _, item := range standby.Items {
			if item.Action == plan.Orphan {
				fmt.Fprintf(&b, "  orphan  %s: %s\n", item.Target, item.Reason)
			}
		}
		prunedLines(&b, "  ", standby.Pruned, false)
	}
	prunedLines(&b, r.Node+": ", r.Pruned, false)
	_, err := io.WriteString(w, b.String())
	return err
}

func prunedLines(b *strings.Builder, indent string, pruned []prune.Result, dry bool) {
	verb := "pruned"
	if dry {
		verb = "prune"
	}
	snapshots, held, datasets := 0, 0, 0
	for _, p := range pruned {
		snapshots += len(p.Snapshots)
		held += len(p.Held)
		if len(p.Snapshots) > 0 {
			datasets++
		}
		if p.Error != "" {
			fmt.Fprintf(b, "%s%s %s: %s\n", indent, verb, p.Dataset, p.Error)
		}
	}
	if snapshots > 0 {
		fmt.Fprintf(b, "%s%s %s of %s\n", indent, verb, counted(snapshots, "snapshot"), counted(datasets, "dataset"))
	}
	if held > 0 {
		fmt.Fprintf(b, "%skept %s beyond the retention: held\n", indent, counted(held, "snapshot"))
	}
}

// writePruned names each snapshot.
func writePruned(w io.Writer, indent string, pruned []prune.Result, dry bool) error {
	var b strings.Builder
	verb := "destroyed"
	if dry {
		verb = "would destroy"
	}
	for _, p := range pruned {
		for _, name := range p.Snapshots {
			fmt.Fprintf(&b, "%s%s %s@%s\n", indent, verb, p.Dataset, name)
		}
		for _, name := range p.Bookmarks {
			fmt.Fprintf(&b, "%s%s %s#%s\n", indent, verb, p.Dataset, name)
		}
		for _, name := range p.Held {
			fmt.Fprintf(&b, "%skept %s@%s: it has a hold\n", indent, p.Dataset, name)
		}
	}
	if b.Len() == 0 {
		b.WriteString(indent + "nothing to prune\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeStatus prints a table for each standby, and its problems below.
func writeStatus(w io.Writer, s *replicate.Status) error {
	for i, standby := range s.Standbys {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s → %s   last run %s, last success %s\n", s.Node, standby.Node, ago(s.At, standby.LastRun), ago(s.At, standby.LastSuccess))
		if standby.Error != "" {
			fmt.Fprintf(w, "error: %s\n", standby.Error)
		}
		rows := [][]string{{"DATASET", "STATE", "COMMON SNAPSHOT", "AT RISK"}}
		for _, d := range standby.Datasets {
			rows = append(rows, []string{d.Dataset, stateText(d), commonText(s.At, d), riskText(d)})
		}
		if err := report.Table(w, rows); err != nil {
			return err
		}
		for _, d := range standby.Datasets {
			if d.Error != "" {
				fmt.Fprintf(w, "%s: %s\n", d.Dataset, d.Error)
			}
		}
	}
	if s.Received != nil {
		if len(s.Standbys) > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s receives from %s, last %s\n", s.Node, s.Received.From, ago(s.At, s.Received.At))
		rows := [][]string{{"DATASET", "NEWEST RECEIVED", "WHEN"}}
		var names []string
		for name := range s.Received.Datasets {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			r := s.Received.Datasets[name]
			rows = append(rows, []string{name, "@" + r.Snapshot, ago(s.At, r.At)})
		}
		if err := report.Table(w, rows); err != nil {
			return err
		}
		return writeConflicts(w, s.Received)
	}
	return nil
}

// writeConflicts prints the conflicts that the active node has reported.
func writeConflicts(w io.Writer, r *state.Received) error {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(r.Conflicts)) {
		fmt.Fprintf(&b, "%s: conflict, as %s sees it: %s\n", name, r.From, r.Conflicts[name])
	}
	if b.Len() > 0 {
		b.WriteString("to resolve it run 'zfs-replicate rejoin' here: it preserves the unreplicated changes\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func stateText(d replicate.DatasetStatus) string {
	if d.Partial {
		return d.State + ", resumable"
	}
	return d.State
}

func commonText(now time.Time, d replicate.DatasetStatus) string {
	if d.Common == "" {
		return "none"
	}
	return fmt.Sprintf("@%s (%s)", d.Common, ago(now, d.CommonAt))
}

func riskText(d replicate.DatasetStatus) string {
	switch {
	case d.ExposureSeconds < 0:
		return "all: " + report.Bytes(d.ExposureBytes)
	case d.ExposureBytes == 0:
		return "nothing"
	}
	return fmt.Sprintf("%s, %s", report.Bytes(d.ExposureBytes), report.Seconds(float64(d.ExposureSeconds)))
}

func ago(now, then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	return report.Duration(max(now.Sub(then), 0)) + " ago"
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
