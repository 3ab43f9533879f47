package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/state"
)

// summary describes the pair in one sentence.
func summary(nodes []failover.NodeStatus) string {
	var active, ready, silent []string
	for _, n := range nodes {
		switch s := n.Status; {
		case s == nil:
			silent = append(silent, n.Node)
		case s.Role == state.RoleActive:
			active = append(active, n.Node)
		case s.Eligible && s.KeepalivedRuns:
			ready = append(ready, n.Node)
		}
	}
	last := ", and no other node can take over now"
	switch {
	case len(ready) > 0:
		last = ", and " + strings.Join(ready, " and ") + areIs(ready) + " ready to take over"
	case len(active)+len(silent) == len(nodes) && len(silent) > 0:
		last = ", and the state of " + strings.Join(silent, " and ") + " is unknown"
	}
	switch {
	case len(active) > 1:
		return "CONFLICT: " + strings.Join(active, " and ") + " are active at the same time"
	case len(active) == 0 && len(nodes) == 1:
		return nodes[0].Node + " is not active" // --local asks no others
	case len(active) == 0:
		return none(silent) + strings.Replace(last, "no other node can", "no node can", 1)
	case len(nodes) == 1:
		return active[0] + " is active"
	}
	return active[0] + " is active" + last
}

// statusText shows nodes side by side, and below everything that needs attention.
func statusText(nodes []failover.NodeStatus) string {
	var text strings.Builder
	for _, line := range wrap(summary(nodes), width) {
		text.WriteString(line + "\n")
	}
	for group := range slices.Chunk(nodes, abreast) {
		text.WriteString("\n" + columns(statusRows(group)))
	}
	var alerts []string
	for _, n := range nodes {
		if n.Status == nil {
			alerts = append(alerts, n.Node+": "+n.Error)
			continue
		}
		for _, a := range slices.Concat(n.Status.Alerts, imageProblems(n.Status), notificationProblems(n.Status), conflicts(n.Status)) {
			alerts = append(alerts, n.Node+": "+a)
		}
	}
	for i, a := range alerts {
		if i == 0 {
			text.WriteString("\nNeeds attention:\n")
		}
		for j, line := range wrap(a, width-2) {
			text.WriteString([]string{"- ", "  "}[min(j, 1)] + line + "\n")
		}
	}
	return text.String()
}

func statusRows(nodes []failover.NodeStatus) [][]string {
	row := func(label string, cell func(*failover.Status) string) []string {
		cells := []string{label}
		for _, n := range nodes {
			text := ""
			if n.Status != nil {
				text = cell(n.Status)
			}
			cells = append(cells, text)
		}
		return cells
	}
	head, role := []string{""}, row("role", roleText)
	for i, n := range nodes {
		name := n.Node
		if n.Self && len(nodes) > 1 {
			name += " (here)"
		}
		head = append(head, name)
		if n.Status == nil {
			role[i+1] = "does not answer: see below"
		}
	}
	return [][]string{
		head, role,
		row("term", termText),
		row("virtual IP", func(s *failover.Status) string {
			return map[bool]string{true: "yes", false: "no"}[s.HoldsAddress]
		}),
		row("eligible", func(s *failover.Status) string {
			if s.Eligible && !s.KeepalivedRuns {
				return "yes, but keepalived is not running"
			}
			return s.EligibleText()
		}),
		row("lease", leaseText),
		row("last change", transitionText),
		row("projects", projectsText),
		row("images", imagesText),
		row("datasets", datasetsText),
		row("replication", replicationText),
		row("image-sync", imageSyncText),
		row("messages", messagesText),
	}
}

func roleText(s *failover.Status) string {
	if s.Since.IsZero() {
		return s.Role.String()
	}
	return fmt.Sprintf("%s for %s", s.Role, report.Duration(s.Time.Sub(s.Since)))
}

func termText(s *failover.Status) string {
	text := fmt.Sprint(s.Term)
	if s.NewestTerm > s.Term {
		text += fmt.Sprintf(", newest known %d", s.NewestTerm)
	}
	return text
}

// progress describes the outcome of a transition, or that it is in progress.
func progress(t *state.Transition, now time.Time) string {
	if t.Ended.IsZero() {
		return "in progress for " + report.Duration(now.Sub(t.Started))
	}
	return fmt.Sprintf("%s in %s", t.Outcome, report.Duration(t.Ended.Sub(t.Started)))
}

func transitionText(s *failover.Status) string {
	t := s.Transition
	if t == nil {
		return "none since boot"
	}
	text := fmt.Sprintf("%s to %s %s", t.From, t.To, progress(t, s.Time))
	if t.Ended.IsZero() {
		for _, step := range slices.Backward(t.Steps) {
			if step.Outcome == "" {
				return text + ", now: " + strings.TrimSpace(step.Name+" "+step.Object)
			}
		}
		return text
	}
	return text + detail(t.Error)
}

func detail(text string) string {
	if text == "" {
		return ""
	}
	return ": " + text
}

func projectsText(s *failover.Status) string {
	v := s.Services
	if v == nil {
		return ""
	}
	var parts []string
	serving := s.Role == state.RoleActive || s.Role == state.RolePromoting
	switch {
	case v.Error != "" && v.Running == nil:
		return v.Error
	case serving || len(v.Running) == 0:
		parts = append(parts, fmt.Sprintf("%d of %d running", len(v.Running), v.Projects))
	default:
		parts = append(parts, fmt.Sprintf("%d of %d RUNNING: %s", len(v.Running), v.Projects, strings.Join(v.Running, ", ")))
	}
	if serving && len(v.Stopped) > 0 {
		parts = append(parts, "stopped: "+strings.Join(v.Stopped, ", "))
	}
	if len(v.Lame) > 0 {
		parts = append(parts, strings.Join(v.Lame, ", "))
	}
	if len(v.Broken) > 0 {
		parts = append(parts, "cannot load: "+strings.Join(v.Broken, "; "))
	}
	return strings.Join(parts, "; ")
}

func datasetsText(s *failover.Status) string {
	d := s.Data
	if d == nil {
		return ""
	}
	if d.Error != "" && d.Datasets == 0 {
		return d.Error
	}
	parts := []string{fmt.Sprintf("%d of %d writable", d.Writable, d.Datasets)}
	for _, p := range []struct {
		what string
		list []string
	}{{"missing", d.Missing}, {"partially received", d.Partial}, {"key not loaded", d.KeyNeeded}} {
		if len(p.list) > 0 {
			parts = append(parts, p.what+": "+strings.Join(p.list, ", "))
		}
	}
	if d.Error != "" {
		parts = append(parts, d.Error)
	}
	return strings.Join(parts, "; ")
}

func replicationText(s *failover.Status) string {
	r := s.Replication
	if r == nil {
		return ""
	}
	ago := func(t time.Time) string { return report.Duration(s.Time.Sub(t)) + " ago" }
	var parts []string
	// One of two records is from before the roles changed.
	if s.Role == state.RoleActive || r.Received == nil {
		for _, sent := range r.Sent {
			text := "nothing sent to " + sent.Node
			if !sent.LastSuccess.IsZero() {
				text = "sent to " + sent.Node + " " + ago(sent.LastSuccess)
			}
			if sent.LastRun.After(sent.LastSuccess) {
				text += ", failed " + ago(sent.LastRun) + detail(sent.Error)
			}
			parts = append(parts, text)
		}
	} else {
		parts = append(parts, "received from "+r.Received.From+" "+ago(r.Received.At))
	}
	if len(parts) == 0 {
		return "never"
	}
	return strings.Join(parts, "; ")
}

func none(silent []string) string {
	if len(silent) == 0 {
		return "no node is active"
	}
	return "no answering node is active"
}

func areIs(names []string) string {
	if len(names) == 1 {
		return " is"
	}
	return " are"
}
