package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/doctor"
	"github.com/understudy-ha/understudy/pkg/report"
)

type doctorOptions struct {
	cli.Output
	local bool
}

// newDoctor returns the command "doctor".
func newDoctor(p *cli.Process) *cobra.Command {
	var o doctorOptions
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check whether a failover would work now, and which data is at risk",
		Long: `Check both nodes for everything that would make a failover fail or lose data. For
each finding, doctor prints its effect and a command that fixes it. doctor changes
nothing. It asks the other nodes over ssh, and stops waiting for a check that hangs
after some seconds.

It exits with 1 if a finding is an error, and with 0 otherwise.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runDoctor(c.Context(), p, o) },
	}
	o.AddTo(c)
	c.Flags().BoolVar(&o.local, "local", false, "check this node only; with -o json print all facts, and always exit with 0")
	return c
}

func runDoctor(ctx context.Context, p *cli.Process, o doctorOptions) error {
	node, err := newNode(ctx, p)
	if err != nil {
		return err
	}
	d := doctor.New(node, cli.Version())
	if !o.local {
		r := d.Examine(ctx)
		return printFindings(p, o, r, r.Findings, r.Summary)
	}
	l := d.Local(ctx)
	if o.JSON() {
		return cli.Printed(report.JSON(p.Stdout, l)) // the node that asks judges the findings
	}
	return printFindings(p, o, l, l.Findings, "Checked "+l.Facts.Node+" only.")
}

// printFindings prints the findings, or all as JSON. It returns an error if one of
// them is an error.
func printFindings(p *cli.Process, o doctorOptions, all any, findings []doctor.Finding, summary string) error {
	if o.JSON() {
		if err := report.JSON(p.Stdout, all); err != nil {
			return cli.Printed(err)
		}
	} else if _, err := fmt.Fprint(p.Stdout, findingsText(findings)+paragraph("", 0, summary)); err != nil {
		return cli.Printed(err)
	}
	if errors := doctor.Count(findings, doctor.Error); errors > 0 {
		return &findingsError{errors}
	}
	return nil
}

// findingsError is an examination with errors: a failover would not work.
type findingsError struct{ errors int }

func (e *findingsError) Error() string { return fmt.Sprintf("doctor: errors found: %d", e.errors) }

// findingsText prints findings, and those that several nodes share once.
func findingsText(findings []doctor.Finding) string {
	var text strings.Builder
	printed := map[doctor.Finding]bool{}
	for i, f := range findings {
		same := f
		same.Node = ""
		if printed[same] {
			continue
		}
		printed[same] = true
		where := f.Node
		for _, other := range findings[i+1:] {
			node := other.Node
			other.Node = ""
			if other == same && node != "" {
				where += ", " + node
			}
		}
		if where == "" {
			where = "all nodes"
		}
		text.WriteString(paragraph("", 2, strings.ToUpper(string(f.Severity))+" "+where+": "+f.What))
		text.WriteString(paragraph("  why: ", 7, f.Why))
		text.WriteString(paragraph("  fix: ", 7, f.Fix))
		text.WriteString("\n")
	}
	return text.String()
}

// paragraph wraps text behind a label, and indents its further lines.
func paragraph(label string, indent int, text string) string {
	out := ""
	for i, line := range wrap(text, width-indent) {
		if i > 0 {
			label = strings.Repeat(" ", indent)
		}
		out += label + line + "\n"
	}
	return out
}
