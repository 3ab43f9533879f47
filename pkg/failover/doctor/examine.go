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

// Report is what a doctor says.
type Report struct {
	// Works says that a failover would work right now, as far as is known.
	Works   bool   `json:"works"`
	Summary string `json:"summary"`
	// Lost is what a failover would lose now; nil where that is not known, or
	// nothing is replicated.
	Lost     *Exposure `json:"lost,omitempty"`
	Findings []Finding `json:"findings"`
	// Silent are the nodes that could not be asked.
	Silent []string `json:"silent,omitempty"`
}

// Exposure is what was written on the active node and is on no other one.
type Exposure struct {
	// Seconds since the last whole replication, and Bytes that were written
	// since the newest snapshots.
	Seconds float64 `json:"seconds"`
	Bytes   int64   `json:"bytes"`
	// More says that snapshots which were taken since hold more, which has not come
	// through: the last replication failed.
	More bool `json:"more,omitempty"`
}

// Local is what one node says of itself.
type Local struct {
	Facts    Facts     `json:"facts"`
	Findings []Finding `json:"findings"`
}

// Local looks at this node only.
func (d *Doctor) Local(ctx context.Context) Local {
	facts := d.Facts(ctx)
	return Local{Facts: facts, Findings: Judge(d.config(), []Facts{facts})}
}

// Examine looks at all nodes at the same time and judges them together.
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
	var silent []Finding
	for i, other := range others {
		if errs[i] != nil {
			silent = append(silent, unanswered(other, errs[i]))
			continue
		}
		nodes = append(nodes, answers[i].Facts)
	}
	return Conclude(d.config(), nodes, silent)
}

// unanswered is the finding of a node that could not be asked.
func unanswered(node config.Node, err error) Finding {
	f := Finding{Node: node.Name, Check: "answers", Severity: Error, What: err.Error(), Why: "whether it could take over is not known", Fix: exit.Hint(err)}
	switch {
	case strings.Contains(f.What, "this key is not for"):
		f.Fix = "install the same version of understudy there: its gate does not know the doctor yet"
	case f.Fix == "":
		f.Fix = "on " + node.Name + ": systemctl status ssh; failover-notify doctor --local"
	}
	return f
}

// Conclude judges the nodes that answered, adds those that did not, and says
// what comes of it.
func Conclude(cfg *config.Config, nodes []Facts, silent []Finding) Report {
	var all findings = append(slices.Clone(silent), Judge(cfg, nodes)...)
	r := Report{Findings: all.sorted(), Lost: exposure(nodes)}
	for _, s := range silent {
		r.Silent = append(r.Silent, s.Node)
	}
	machines := slices.DeleteFunc(slices.Clone(cfg.Nodes), func(n config.Node) bool { return n.Local })
	r.Works = Count(r.Findings, Error) == 0 && len(nodes) > 1
	r.Summary = r.say(len(machines) < 2, len(cfg.Replication.Datasets) > 0)
	return r
}

// exposure is what a failover would lose now.
func exposure(nodes []Facts) *Exposure {
	j := judging{nodes: nodes}
	for i := range nodes {
		if s := nodes[i].Status; s != nil && s.Role == "active" {
			j.active = &nodes[i]
		}
	}
	if j.active == nil || j.active.Status.Data == nil || j.active.Status.Replication == nil {
		return nil
	}
	// Of several standbys the one that has the newest data counts.
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

// say is the whole in a few sentences.
func (r Report) say(alone, data bool) string {
	n := Count(r.Findings, Error)
	var text string
	switch {
	case alone:
		return "There is only one node: nothing can take over."
	case n == 0:
		text = "A failover would work right now."
	case len(r.Silent) > 0:
		text = "Whether a failover would work is not known: " + strings.Join(r.Silent, " and ") + " can't be asked."
	default:
		text = fmt.Sprintf("A failover would fail or lose data right now: %s.", number(n, "error"))
	}
	switch l := r.Lost; {
	case !data:
		return text + " No dataset is replicated."
	case l == nil:
		return text + " What it would lose is not known."
	case l.More:
		return text + fmt.Sprintf(" It would lose what was written in the last %s and could not be sent: %s since the newest snapshots, and what is in those.", report.Seconds(l.Seconds), report.Bytes(l.Bytes))
	case l.Bytes == 0:
		return text + fmt.Sprintf(" It would lose nothing that is known of: the last replication was %s ago, and nothing was written since the newest snapshots.", report.Seconds(l.Seconds))
	default:
		return text + fmt.Sprintf(" It would lose what was written in the last %s, about %s.", report.Seconds(l.Seconds), report.Bytes(l.Bytes))
	}
}
