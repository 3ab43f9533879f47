package doctor

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/report"
)

// Report is the result of an examination.
type Report struct {
	// Works reports that a failover would work now, as far as known.
	Works   bool   `json:"works"`
	Summary string `json:"summary"`
	// Lost is the data at risk; nil if that is unknown, or nothing is replicated.
	Lost     *Exposure `json:"lost,omitempty"`
	Findings []Finding `json:"findings"`
	// NotAnswering holds the nodes that did not answer.
	NotAnswering []string `json:"silent,omitempty"`
}

// Exposure is the data at risk: writes on the active node that no standby has.
type Exposure struct {
	// Seconds is the age of the last complete replication, Bytes the writes since the
	// newest snapshots.
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
	// More reports that newer snapshots hold more: the last replication failed.
	More bool `json:"more,omitempty"`
}

// Local holds one node's own facts and findings.
type Local struct {
	Facts    Facts     `json:"facts"`
	Findings []Finding `json:"findings"`
}

// Local examines this node only.
func (d *Doctor) Local(ctx context.Context) Local {
	facts := d.Facts(ctx)
	return Local{Facts: facts, Findings: judgeAll(d.config(), []Facts{facts})}
}

// Examine gathers the facts of all nodes in parallel and judges them together.
func (d *Doctor) Examine(ctx context.Context) Report {
	others := d.others()
	answers, errs := make([]Local, len(others)), make([]error, len(others))
	var asking sync.WaitGroup
	for i, other := range others {
		asking.Go(func() {
			errs[i] = d.Node.AskFor(ctx, other, cmp.Or(d.Patience, patience)*2, &answers[i], "doctor", "--local", "-o", "json")
		})
	}
	nodes := []Facts{d.Facts(ctx)}
	asking.Wait()
	var notAnswering []Finding
	for i, other := range others {
		if errs[i] != nil {
			notAnswering = append(notAnswering, unanswered(other, errs[i]))
			continue
		}
		nodes = append(nodes, answers[i].Facts)
	}
	return conclude(d.config(), nodes, notAnswering)
}

// unanswered returns the finding about a node that did not answer.
func unanswered(node config.Node, err error) Finding {
	f := Finding{Node: node.Name, Check: "answers", Severity: Error, What: err.Error(), Why: "it is unknown whether it can take over", Fix: exit.Hint(err)}
	switch {
	case strings.Contains(f.What, "this key is not for"):
		f.Fix = "install the same release of Understudy there: its ssh gate does not allow doctor"
	case f.Fix == "":
		f.Fix = "on " + node.Name + ": systemctl status ssh; failover-notify doctor --local"
	}
	return f
}

// conclude judges the nodes that answered, adds the findings about the others, and
// draws the conclusion.
func conclude(cfg *config.Config, nodes []Facts, notAnswering []Finding) Report {
	var all findings = append(slices.Clone(notAnswering), judgeAll(cfg, nodes)...)
	r := Report{Findings: all.sorted(), Lost: exposure(nodes)}
	for _, s := range notAnswering {
		r.NotAnswering = append(r.NotAnswering, s.Node)
	}
	machines := slices.DeleteFunc(slices.Clone(cfg.Nodes), func(n config.Node) bool { return n.Local })
	r.Works = Count(r.Findings, Error) == 0 && len(nodes) > 1
	r.Summary = r.summarize(len(machines) < 2, len(cfg.Replication.Datasets) > 0)
	return r
}

// exposure returns the data at risk, or nil if it is unknown.
func exposure(nodes []Facts) *Exposure {
	j := judge{nodes: nodes}
	for i := range nodes {
		if s := nodes[i].Status; s != nil && s.Role == "active" {
			j.active = &nodes[i]
		}
	}
	if j.active == nil || j.active.Status.Data == nil || j.active.Status.Replication == nil {
		return nil
	}
	// The standby with the newest data counts.
	var newest time.Time
	more := false
	for _, s := range j.active.Status.Replication.Sent {
		if s.LastSuccess.After(newest) {
			newest, more = s.LastSuccess, s.LastRun.After(s.LastSuccess)
		}
	}
	if newest.IsZero() {
		return nil
	}
	return &Exposure{Seconds: max(0, j.active.Time.Sub(newest).Seconds()), Bytes: j.active.Status.Data.Written, More: more}
}

// summarize returns the conclusion in a few sentences.
func (r Report) summarize(alone, data bool) string {
	n := Count(r.Findings, Error)
	var text string
	switch {
	case alone:
		return "There is only one node: no other node can take over."
	case n == 0:
		text = "A failover would work right now."
	case len(r.NotAnswering) > 0:
		text = "It is unknown whether a failover would work: no answer from " + strings.Join(r.NotAnswering, " and ") + "."
	default:
		text = fmt.Sprintf("A failover would fail or lose data right now: %s.", number(n, "error"))
	}
	switch l := r.Lost; {
	case !data:
		return text + " No dataset is replicated."
	case l == nil:
		return text + " The data at risk is unknown."
	case l.More:
		return text + fmt.Sprintf(" Data at risk: the writes of the last %s, which could not be sent: %s since the newest snapshots, and those snapshots.", report.Seconds(l.Seconds), report.Bytes(l.Bytes))
	case l.Bytes == 0:
		return text + fmt.Sprintf(" No known data at risk: the last replication was %s ago, and nothing was written since the newest snapshots.", report.Seconds(l.Seconds))
	default:
		return text + fmt.Sprintf(" Data at risk: the writes of the last %s, about %s.", report.Seconds(l.Seconds), report.Bytes(l.Bytes))
	}
}
