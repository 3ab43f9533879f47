package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/replicate/rejoin"
	"github.com/understudy-ha/understudy/pkg/report"
)

func newKept(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "kept",
		Short: "List, show or drop what rejoin has kept",
		Long: `List, show or drop what rejoin has kept: tails that were written here and that the
active node never had. They lie in POOL/understudy-kept/DATE/…, read-only.`,
	}
	c.AddCommand(newKeptList(p), newKeptShow(p), newKeptDrop(p))
	return c
}

func newKeptList(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "list",
		Short: "List what is kept, with dates and sizes",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			kept, err := node.Kept(c.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, kept))
			}
			if len(kept) == 0 {
				_, err := fmt.Fprintln(p.Stdout, "nothing is kept")
				return cli.Printed(err)
			}
			rows := [][]string{{"KEPT", "OF", "WHEN", "SIZE", "SNAPSHOTS"}}
			for _, k := range kept {
				rows = append(rows, []string{k.Dataset, k.Of, k.At.Local().Format("2006-01-02 15:04"), report.Bytes(k.Bytes), fmt.Sprint(len(k.Snapshots))})
			}
			return cli.Printed(report.Table(p.Stdout, rows))
		},
	}
	out.AddTo(c)
	return c
}

func newKeptShow(p *cli.Process) *cobra.Command {
	var out cli.Output
	var files bool
	c := &cobra.Command{
		Use:   "show NAME...",
		Short: "Show what is kept in detail, and how to look into it",
		Long: `Show what is kept in detail, and how to look into it. NAME is a kept dataset, the
dataset that it was kept of, or a date.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			found, err := findKept(c, node, names)
			if err != nil {
				return err
			}
			for i := range found {
				if files {
					if err := node.ListKeptFiles(c.Context(), &found[i]); err != nil {
						return err
					}
				}
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, found))
			}
			return cli.Printed(writeKept(p.Stdout, found))
		},
	}
	c.Flags().BoolVar(&files, "diff", false, "name the files that it changed; it is mounted read-only while they are looked for")
	out.AddTo(c)
	return c
}

func newKeptDrop(p *cli.Process) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "drop NAME...",
		Short: "Destroy what is kept, for ever",
		Long: `Destroy what is kept, for ever: it exists nowhere else. NAME is a kept dataset, the
dataset that it was kept of, or a date.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			found, err := findKept(c, node, names)
			if err != nil {
				return err
			}
			if !yes {
				show := func(w io.Writer) error { return writeKept(w, found) }
				if err := confirm(p, "destroy this for ever?", show); err != nil {
					return err
				}
			}
			gone, err := node.DropKept(c.Context(), found)
			for _, name := range gone {
				if _, writeErr := fmt.Fprintf(p.Stdout, "dropped %s\n", name); writeErr != nil {
					err = errors.Join(err, cli.Printed(writeErr))
				}
			}
			if err != nil {
				return err
			}
			return sayRemainders(c, p, node, found)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// findKept returns what is kept under any of the names, each once.
// sayRemainders says what goes on taking room, and how to free it: nothing of ours
// deletes files.
func sayRemainders(c *cobra.Command, p *cli.Process, node *rejoin.Node, dropped []rejoin.Kept) error {
	left, err := node.Remainders(c.Context(), dropped)
	if err != nil {
		return err
	}
	for _, r := range left {
		_, err := fmt.Fprintf(p.Stdout, `%[1]s itself still holds %[2]s: a pool's root can't be destroyed, so what lay in it is
there, out of sight. To free that, delete it by hand:
  mkdir -p /run/%[1]s-root && mount -t zfs -o zfsutil,rw %[1]s /run/%[1]s-root
  (delete what lies in there), then: umount /run/%[1]s-root
`, r.Pool, report.Bytes(r.Bytes))
		if err != nil {
			return cli.Printed(err)
		}
	}
	return nil
}

func findKept(c *cobra.Command, node *rejoin.Node, names []string) ([]rejoin.Kept, error) {
	var found []rejoin.Kept
	seen := map[string]bool{}
	for _, name := range names {
		kept, err := node.FindKept(c.Context(), name)
		if err != nil {
			return nil, err
		}
		for _, k := range kept {
			if !seen[k.Dataset] {
				found = append(found, k)
			}
			seen[k.Dataset] = true
		}
	}
	return found, nil
}

func writeKept(w io.Writer, all []rejoin.Kept) error {
	var b strings.Builder
	for _, k := range all {
		keptLines(&b, k)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func keptLines(b *strings.Builder, k rejoin.Kept) {
	fmt.Fprintf(b, "%s\n", k.Dataset)
	fmt.Fprintf(b, "  of         %s, kept %s\n", k.Of, k.At.Local().Format("2006-01-02 15:04:05"))
	if k.Base != "" {
		fmt.Fprintf(b, "  goes on    from %s\n", k.Base)
	}
	fmt.Fprintf(b, "  size       %s of its own, %s readable\n", report.Bytes(k.Bytes), report.Bytes(k.Readable))
	if len(k.Snapshots) > 0 {
		fmt.Fprintf(b, "  snapshots  %d, %s\n", len(k.Snapshots), span(k.Snapshots))
	}
	for _, name := range k.Below {
		fmt.Fprintf(b, "  holds      %s\n", name)
	}
	switch {
	case k.Mounted:
		fmt.Fprintf(b, "  look at    %s\n", k.Mountpoint)
	case k.KeyNeeded:
		fmt.Fprintf(b, "  look at    zfs load-key %s, then zfs mount %s\n", k.KeyOf, k.Dataset)
	case k.Mountpoint != "":
		fmt.Fprintf(b, "  look at    zfs mount %s, then %s\n", k.Dataset, k.Mountpoint)
	}
	fileLines(b, k.Files, k.NoFiles)
}
