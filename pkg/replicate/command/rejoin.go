package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/replicate/rejoin"
	"github.com/understudy-ha/understudy/pkg/report"
)

func newRejoin(p *cli.Process) *cobra.Command {
	var o rejoin.Options
	var out cli.Output
	var yes bool
	c := &cobra.Command{
		Use:   "rejoin",
		Short: "Make a node that was active a standby again, with all that is only here kept",
		Long: `Make a node that was active a standby that the active one can send to. Run it on
the node that has given up; nothing there may be active.

The active node is asked what it has. What is only here, written after the newest
common snapshot of a dataset, is kept as a read-only dataset of its own in
POOL/understudy-kept/DATE/…, without a second copy of the rest; only then the
dataset is rolled back to that snapshot. Without a common snapshot the dataset is
set aside by renaming. The active node's next run sends what is missing.

It can be killed at any moment: called again, it goes on where it was.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			if !yes {
				o.Confirm = func(r *rejoin.Rejoined) error {
					return confirm(p, "keep this, and roll back to what "+r.From+" has?", func(w io.Writer) error { return writeTails(w, r) })
				}
			}
			result, err := node.Rejoin(c.Context(), o)
			if result == nil {
				return err
			}
			if out.JSON() {
				return errors.Join(err, cli.Printed(report.JSON(p.Stdout, result)))
			}
			return errors.Join(err, cli.Printed(writeRejoined(p.Stdout, result, err != nil)))
		},
	}
	c.Flags().BoolVarP(&o.DryRun, "dry-run", "n", false, "print what is only here and what would be done; change nothing")
	c.Flags().BoolVar(&o.Files, "diff", false, "name the files that changed here; each filesystem is mounted read-only while it is compared")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().StringVar(&o.From, "from", "", "the active `node` (default the one that says it is active)")
	out.AddTo(c)
	return c
}

func newInventory(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "inventory",
		Short: "List what this node holds, for the other nodes",
		Long: `List the replicated datasets of this node with their snapshots and guids. Another
node asks this over ssh when it rejoins. It changes nothing.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			i, err := node.Inventory(c.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, i))
			}
			rows := [][]string{{"DATASET", "SNAPSHOTS", "NEWEST"}}
			for _, d := range i.Datasets {
				newest := "none"
				d.Snapshots = d.Snaps
				if snap, any := d.Dataset.Newest(); any {
					newest = "@" + snap.Name
				}
				rows = append(rows, []string{d.Name, fmt.Sprint(len(d.Snaps)), newest})
			}
			return cli.Printed(report.Table(p.Stdout, rows))
		},
	}
	out.AddTo(c)
	return c
}

// confirm shows a person what it is about, and asks. Where nobody is there it is
// a mistake not to say --yes.
func confirm(p *cli.Process, question string, show func(io.Writer) error) error {
	if yes, err := p.Confirm(question, show); yes || err != nil {
		return err
	}
	return &plan.Refusal{What: "not confirmed: nothing was changed", Advice: "answer y, or give --yes"}
}

// writeTails says what is only here.
func writeTails(w io.Writer, r *rejoin.Rejoined) error {
	var b strings.Builder
	for _, t := range r.Tails {
		tailLines(&b, r, t)
	}
	for _, name := range r.OnlyHere {
		fmt.Fprintf(&b, "%s: %s does not have it at all; it stays where it is\n", name, r.From)
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(&b, "%s: not for rejoin to mend\n", problem)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func tailLines(b *strings.Builder, r *rejoin.Rejoined, t *rejoin.Tail) {
	fmt.Fprintf(b, "%s: only here: %s", t.Dataset, report.Bytes(t.Bytes))
	if n := len(t.Snapshots); n > 0 {
		fmt.Fprintf(b, " in %s, %s", counted(n, "snapshot"), span(t.Snapshots))
	}
	if t.Unsaved > 0 {
		fmt.Fprintf(b, ", %s of it in none yet", report.Bytes(t.Unsaved))
	}
	fmt.Fprintf(b, "; only on %s: %s\n", r.From, counted(t.Theirs, "snapshot"))
	switch t.How {
	case rejoin.KeepTail:
		fmt.Fprintf(b, "  common: @%s of %s\n", t.Common, t.CommonAt.Local().Format("2006-01-02 15:04:05"))
	default:
		fmt.Fprintf(b, "  %s: %s; it comes anew, in full\n", t.How, t.Reason)
	}
	if t.Kept != "" {
		fmt.Fprintf(b, "  kept as %s\n", t.Kept)
	}
	for _, name := range t.Along {
		fmt.Fprintf(b, "  goes along, and does not come anew: %s\n", name)
	}
	fileLines(b, t.Files, t.NoFiles)
}

func fileLines(b *strings.Builder, files []string, why string) {
	for _, file := range files {
		fmt.Fprintf(b, "    %s\n", file)
	}
	if why != "" {
		fmt.Fprintf(b, "    files: %s\n", why)
	}
}

// span is when the snapshots were taken.
func span(snaps []rejoin.Moment) string {
	first, last := snaps[0].At.Local().Format("2006-01-02 15:04:05"), snaps[len(snaps)-1].At.Local().Format("2006-01-02 15:04:05")
	if first == last {
		return first
	}
	return first + " to " + last
}

// writeRejoined says what is only here, and what became of it.
func writeRejoined(w io.Writer, r *rejoin.Rejoined, failed bool) error {
	if err := writeTails(w, r); err != nil {
		return err
	}
	done := 0
	for _, t := range r.Tails {
		if t.Done {
			done++
		}
	}
	var text string
	switch {
	case r.DryRun:
		text = "this was a dry run: nothing was changed\n"
	case failed:
		text = fmt.Sprintf("%d of %s done; run rejoin again to go on\n", done, counted(len(r.Tails), "dataset"))
	case len(r.Tails) == 0 && len(r.Problems) > 0:
		text = fmt.Sprintf("nothing has to be kept here; what %s can't send is named above\n", r.From)
	case len(r.Tails) == 0 && len(r.OnlyHere) > 0:
		text = fmt.Sprintf("nothing has to be kept: %s can send to this node\n", r.From)
	case len(r.Tails) == 0:
		text = fmt.Sprintf("nothing is only here: %s can send to this node\n", r.From)
	default:
		text = fmt.Sprintf("%s kept; %s sends the rest with its next run\n", counted(done, "dataset"), r.From)
	}
	_, err := io.WriteString(w, text)
	return err
}
