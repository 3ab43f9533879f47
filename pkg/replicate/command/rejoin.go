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
		Short: "Turn a former active node back into a standby, preserving its unreplicated changes",
		Long: `Turn a former active node back into a standby that the active node can send to. Run
it on the former active node, after that node has stepped down.

rejoin asks the active node for its snapshots. Changes written on this node after
the newest common snapshot of a dataset are unreplicated. rejoin preserves them in
a read-only dataset, POOL/understudy-kept/DATE/…, which shares the space of the
common snapshot. Only then it rolls the dataset back to that snapshot. A dataset
without a common snapshot is set aside by a rename. The active node's next run
sends the missing snapshots.

You can kill it at any moment: run it again, and it continues.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			if !yes {
				o.Confirm = func(r *rejoin.Result) error {
					return confirm(p, "preserve these changes and roll back to the common snapshots with "+r.From+"?", func(w io.Writer) error { return writeChanges(w, r) })
				}
			}
			result, err := node.Rejoin(c.Context(), o)
			if result == nil {
				return err
			}
			if out.JSON() {
				return errors.Join(err, cli.Printed(report.JSON(p.Stdout, result)))
			}
			return errors.Join(err, cli.Printed(writeRejoin(p.Stdout, result, err != nil)))
		},
	}
	c.Flags().BoolVarP(&o.DryRun, "dry-run", "n", false, "print the unreplicated changes and the planned steps; change nothing")
	c.Flags().BoolVar(&o.Files, "diff", false, "name the changed files; mounts each filesystem read-only while it compares")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	c.Flags().StringVar(&o.From, "from", "", "the active `node` (default: the node that reports itself active)")
	out.AddTo(c)
	return c
}

// confirm shows the operator the planned change, and asks. Without a terminal, --yes
// is required.
func confirm(p *cli.Process, question string, show func(io.Writer) error) error {
	if yes, err := p.Confirm(question, show); yes || err != nil {
		return err
	}
	return &plan.Refusal{What: "not confirmed: nothing was changed", Advice: "answer y, or give --yes"}
}

// writeChanges prints the unreplicated changes.
func writeChanges(w io.Writer, r *rejoin.Result) error {
	var b strings.Builder
	for _, t := range r.Changes {
		changesLines(&b, r, t)
	}
	for _, name := range r.Orphans {
		fmt.Fprintf(&b, "%s: %s does not have this dataset; it stays\n", name, r.From)
	}
	for _, problem := range r.Problems {
		fmt.Fprintf(&b, "%s: rejoin can't fix this\n", problem)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func changesLines(b *strings.Builder, r *rejoin.Result, t *rejoin.Changes) {
	fmt.Fprintf(b, "%s: unreplicated: %s", t.Dataset, report.Bytes(t.Bytes))
	if n := len(t.Snapshots); n > 0 {
		fmt.Fprintf(b, " in %s, %s", counted(n, "snapshot"), span(t.Snapshots))
	}
	if t.Unsaved > 0 {
		fmt.Fprintf(b, ", %s of it in no snapshot yet", report.Bytes(t.Unsaved))
	}
	fmt.Fprintf(b, "; only on %s: %s\n", r.From, counted(t.Theirs, "snapshot"))
	switch t.How {
	case rejoin.Preserve:
		fmt.Fprintf(b, "  common: @%s of %s\n", t.Common, t.CommonAt.Local().Format("2006-01-02 15:04:05"))
	case rejoin.CloneRoot:
		fmt.Fprintf(b, "  snapshots move: %s; the next run sends it again, in full\n", t.Reason)
	default:
		fmt.Fprintf(b, "  set aside: %s; the next run sends it again, in full\n", t.Reason)
	}
	if t.Copy != "" {
		fmt.Fprintf(b, "  preserved as %s\n", t.Copy)
	}
	for _, name := range t.Along {
		fmt.Fprintf(b, "  moves along, and is not sent again: %s\n", name)
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

// span returns when the snapshots were taken.
func span(snaps []rejoin.Moment) string {
	first, last := snaps[0].At.Local().Format("2006-01-02 15:04:05"), snaps[len(snaps)-1].At.Local().Format("2006-01-02 15:04:05")
	if first == last {
		return first
	}
	return first + " to " + last
}

// writeRejoin prints the unreplicated changes, and how far they are preserved.
func writeRejoin(w io.Writer, r *rejoin.Result, failed bool) error {
	if err := writeChanges(w, r); err != nil {
		return err
	}
	done := 0
	for _, t := range r.Changes {
		if t.Done {
			done++
		}
	}
	var text string
	switch {
	case r.DryRun:
		text = "this was a dry run: nothing was changed\n"
	case failed:
		text = fmt.Sprintf("%d of %s done; run rejoin again to continue\n", done, counted(len(r.Changes), "dataset"))
	case len(r.Changes) == 0 && len(r.Problems) > 0:
		text = fmt.Sprintf("no unreplicated changes; the datasets that %s can't send are named above\n", r.From)
	case len(r.Changes) == 0 && len(r.Orphans) > 0:
		text = fmt.Sprintf("no unreplicated changes in replicated datasets: %s can send to this node\n", r.From)
	case len(r.Changes) == 0:
		text = fmt.Sprintf("no unreplicated changes: %s can send to this node\n", r.From)
	default:
		text = fmt.Sprintf("%s preserved; %s sends the missing snapshots with its next run\n", counted(done, "dataset"), r.From)
	}
	_, err := io.WriteString(w, text)
	return err
}
