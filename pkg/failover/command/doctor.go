package command

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/doctor"
	"github.com/understudy-ha/understudy/pkg/report"
)

// foundError says that a failover would not go well.
type foundError struct{ errors int }

func (e *foundError) Error() string { return fmt.Sprintf("doctor: errors found: %d", e.errors) }

// newDoctor returns the command "doctor".
func newDoctor(p *cli.Process) *cobra.Command {
	var out cli.Output
	local := false
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Say whether a failover would work right now, and what would be lost",
		Long: `Look at both nodes for all that would make a failover fail or lose data, and name
for each what comes of it and what to type. Nothing is changed. The other nodes
are asked over ssh; whatever hangs is given up after some seconds and named.

It ends with 1 if there is an error among what was found, and with 0 if there are
only warnings, or nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			d := doctor.New(node, cli.Version())
			if !local {
				r := d.Examine(c.Context())
				return reported(p, out, r, diagnosis(r.Findings)+sentences(r.Summary), doctor.Count(r.Findings, doctor.Error))
			}
			l := d.Local(c.Context())
			text := diagnosis(l.Findings) + sentences("Only "+l.Facts.Node+" was looked at.")
			if out.JSON() {
				// What is wrong here is judged by the one who asks.
				return cli.Printed(report.JSON(p.Stdout, l))
			}
			return reported(p, out, l, text, doctor.Count(l.Findings, doctor.Error))
		},
	}
	out.AddTo(c)
	c.Flags().BoolVar(&local, "local", false, "this node only: ask no other one; with -o json all that is known of it, and always 0")
	return c
}

// reported prints what was found, and is an error where there are errors.
func reported(p *cli.Process, out cli.Output, all any, text string, errors int) error {
	if out.JSON() {
		if err := report.JSON(p.Stdout, all); err != nil {
			return cli.Printed(err)
		}
	} else if _, err := fmt.Fprint(p.Stdout, text); err != nil {
		return cli.Printed(err)
	}
	if errors > 0 {
		return &foundError{errors}
	}
	return nil
}

// diagnosis is what was found, for a person: what is the same on several nodes
// is said once.
func diagnosis(list []doctor.Finding) string {
	var text strings.Builder
	said := map[doctor.Finding]bool{}
	for i, f := range list {
		same := f
		same.Node = ""
		if said[same] {
			continue
		}
		said[same] = true
		where := f.Node
		for _, other := range list[i+1:] {
			node := other.Node
			other.Node = ""
			if other == same && node != "" {
				where += ", " + node
			}
		}
		if where == "" {
			where = "all nodes"
		}
		paragraph(&text, "", strings.ToUpper(string(f.Severity))+" "+where+": "+f.What)
		paragraph(&text, "  why: ", f.Why)
		paragraph(&text, "  fix: ", f.Fix)
		text.WriteString("\n")
	}
	return text.String()
}

// paragraph writes text behind a label, its further lines below its first.
func paragraph(to *strings.Builder, label, text string) {
	indent := max(len(label), 2)
	for i, line := range wrap(text, width-indent) {
		if i > 0 {
			label = strings.Repeat(" ", indent)
		}
		to.WriteString(label + line + "\n")
	}
}

func sentences(text string) string { return strings.Join(wrap(text, width), "\n") + "\n" }
