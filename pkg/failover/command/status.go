package command

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/report"
)

// statusOptions are the flags of "status".
type statusOptions struct {
	cli.Output
	watch, local, transition bool
}

// newStatus returns the command "status".
func newStatus(p *cli.Process) *cobra.Command {
	var o statusOptions
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the role, the services and the data of both nodes",
		Long: `Show the nodes side by side: role, term, virtual IP, eligibility, running projects,
writable datasets, age of the replica, and below everything that needs attention.
status asks the other nodes over ssh; the column of a node that does not answer says
so.

It always exits with 0.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runStatus(c.Context(), p, o) },
	}
	o.AddTo(c)
	c.Flags().BoolVar(&o.watch, "watch", false, "refresh each second until interrupted; needs a terminal")
	c.Flags().BoolVar(&o.local, "local", false, "show this node only, without asking others")
	c.Flags().BoolVar(&o.transition, "transition", false, "show the steps of this node's last role change instead")
	return c
}

func runStatus(ctx context.Context, p *cli.Process, o statusOptions) error {
	if err := o.check(p); err != nil {
		return err
	}
	node, err := newNode(ctx, p)
	if err != nil {
		return err
	}
	switch {
	case o.watch:
		return watchStatus(ctx, p, node, o)
	case o.transition:
		return showTransition(p, node, o)
	}
	return showStatus(ctx, p, node, o)
}

func (o statusOptions) check(p *cli.Process) error {
	switch {
	case o.watch && (o.JSON() || o.transition):
		return cli.Usagef("--watch excludes -o json and --transition")
	case o.watch && !p.StdoutTerminal:
		return cli.Usagef("--watch needs a terminal")
	}
	return nil
}

// statusOf returns the status of all nodes, or of this node only.
func statusOf(ctx context.Context, node *failover.Node, local bool) ([]failover.NodeStatus, error) {
	if !local {
		return node.StatusAll(ctx)
	}
	own, err := node.Status(ctx)
	if err != nil {
		return nil, err
	}
	return []failover.NodeStatus{{Node: node.Self.Name, Self: true, Status: &own}}, nil
}

func showStatus(ctx context.Context, p *cli.Process, node *failover.Node, o statusOptions) error {
	nodes, err := statusOf(ctx, node, o.local)
	if err != nil {
		return err
	}
	switch {
	case o.JSON() && o.local:
		return cli.Printed(report.JSON(p.Stdout, nodes[0].Status))
	case o.JSON():
		return cli.Printed(report.JSON(p.Stdout, map[string]any{"summary": summary(nodes), "nodes": nodes}))
	}
	_, err = fmt.Fprint(p.Stdout, statusText(nodes))
	return cli.Printed(err)
}

// watchStatus redraws the status each second.
func watchStatus(ctx context.Context, p *cli.Process, node *failover.Node, o statusOptions) error {
	const home, endOfLine, below = "\x1b[H", "\x1b[K\n", "\x1b[J"
	if _, err := fmt.Fprint(p.Stdout, home+below); err != nil {
		return cli.Printed(err)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		nodes, err := statusOf(ctx, node, o.local)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		text := p.Now().Format(time.DateTime) + "\n\n" + statusText(nodes)
		if _, err := fmt.Fprint(p.Stdout, home+strings.ReplaceAll(text, "\n", endOfLine)+below); err != nil {
			return cli.Printed(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// showTransition shows the last role change step by step.
func showTransition(p *cli.Process, node *failover.Node, o statusOptions) error {
	self, err := node.Describe()
	if err != nil {
		return err
	}
	t := self.Transition
	if o.JSON() {
		return cli.Printed(report.JSON(p.Stdout, t))
	}
	if t == nil {
		_, err := fmt.Fprintf(p.Stdout, "%s has not changed its role since boot\n", self.Node)
		return cli.Printed(err)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s to %s, %s (%s)\n%s\n\n", t.From, t.To, progress(t, self.Time), t.Started.Local().Format(time.DateTime), t.Reason)
	rows := [][]string{{"AT", "STEP", "OBJECT", "SECONDS", "OUTCOME"}}
	var failed []string
	for _, s := range t.Steps {
		seconds, outcome := fmt.Sprintf("%.2f", s.Seconds), string(s.Outcome)
		if s.Outcome == "" {
			seconds, outcome = fmt.Sprintf("%.2f", self.Time.Sub(s.Started).Seconds()), "in progress"
		}
		rows = append(rows, []string{fmt.Sprintf("+%.2f", s.Started.Sub(t.Started).Seconds()), s.Name, s.Object, seconds, outcome})
		if s.Error != "" {
			failed = append(failed, strings.TrimSpace(s.Name+" "+s.Object)+": "+s.Error)
		}
	}
	if err := report.Table(&text, rows); err != nil {
		return cli.Printed(err)
	}
	if t.Error != "" {
		failed = append(failed, t.Error)
	}
	for i, f := range failed {
		if i == 0 {
			fmt.Fprintln(&text)
		}
		for _, line := range wrap(f, width) {
			fmt.Fprintln(&text, line)
		}
	}
	_, err = p.Stdout.Write(text.Bytes())
	return cli.Printed(err)
}
