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
		Short: "List, show or drop preserved copies",
		Long: `List, show or drop the preserved copies of rejoin: changes that were written on this
node and never replicated. They are in POOL/understudy-kept/DATE/…, read-only.`,
	}
	c.AddCommand(newKeptList(p), newKeptShow(p), newKeptDrop(p))
	return c
}

func newKeptList(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "list",
		Short: "List preserved copies, with dates and sizes",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			kept, err := node.Copies(c.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, kept))
			}
			if len(kept) == 0 {
				_, err := fmt.Fprintln(p.Stdout, "no preserved copies")
				return cli.Printed(err)
			}
			rows := [][]string{{"COPY", "OF", "WHEN", "SIZE", "SNAPSHOTS"}}
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
		Short: "Show preserved copies in detail, and how to open them",
		Long: `Show preserved copies in detail, and how to open them. NAME is a preserved copy, the
dataset that it was copied from, or a date.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			found, err := findCopies(c, node, names)
			if err != nil {
				return err
			}
			for i := range found {
				if files {
					if err := node.ListFiles(c.Context(), &found[i]); err != nil {
						return err
					}
				}
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, found))
			}
			return cli.Printed(writeCopies(p.Stdout, found))
		},
	}
	c.Flags().BoolVar(&files, "diff", false, "name the changed files; mounts the copy read-only while it compares")
	out.AddTo(c)
	return c
}

func newKeptDrop(p *cli.Process) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "drop NAME...",
		Short: "Destroy preserved copies, for ever",
		Long: `Destroy preserved copies, for ever: this data exists nowhere else. NAME is a
preserved copy, the dataset that it was copied from, or a date.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			node, err := newNode(c.Context(), p)
			if err != nil {
				return err
			}
			found, err := findCopies(c, node, names)
			if err != nil {
				return err
			}
			if !yes {
				show := func(w io.Writer) error { return writeCopies(w, found) }
				if err := confirm(p, "destroy this for ever?", show); err != nil {
					return err
				}
			}
			gone, err := node.Drop(c.Context(), found)
			for _, name := range gone {
				if _, writeErr := fmt.Fprintf(p.Stdout, "dropped %s\n", name); writeErr != nil {
					err = errors.Join(err, cli.Printed(writeErr))
				}
			}
			if err != nil {
				return err
			}
			return writeRemainders(c, p, node, found)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

// writeRemainders names the content that still takes space, and how to free it: no
// command of the project deletes files.
func writeRemainders(c *cobra.Command, p *cli.Process, node *rejoin.Node, dropped []rejoin.Copy) error {
	left, err := node.Remainders(c.Context(), dropped)
	if err != nil {
		return err
	}
	for _, r := range left {
		_, err := fmt.Fprintf(p.Stdout, `%[1]s itself still holds %[2]s. A pool's root can't be destroyed, so its old content
stays, out of sight. To free that space, delete it by hand:
  mkdir -p /run/%[1]s-root && mount -t zfs -o zfsutil,rw %[1]s /run/%[1]s-root
  (delete the files in there), then: umount /run/%[1]s-root
`, r.Pool, report.Bytes(r.Bytes))
		if err != nil {
			return cli.Printed(err)
		}
	}
	return nil
}

// findCopies returns the preserved copies with any of the names, each once.
func findCopies(c *cobra.Command, node *rejoin.Node, names []string) ([]rejoin.Copy, error) {
	var found []rejoin.Copy
	seen := map[string]bool{}
	for _, name := range names {
		kept, err := node.Find(c.Context(), name)
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

func writeCopies(w io.Writer, all []rejoin.Copy) error {
	var b strings.Builder
	for _, k := range all {
		copyLines(&b, k)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func copyLines(b *strings.Builder, k rejoin.Copy) {
	fmt.Fprintf(b, "%s\n", k.Dataset)
	fmt.Fprintf(b, "  of         %s, preserved %s\n", k.Of, k.At.Local().Format("2006-01-02 15:04:05"))
	if k.Base != "" {
		fmt.Fprintf(b, "  continues  %s\n", k.Base)
	}
	fmt.Fprintf(b, "  size       %s of its own, %s readable\n", report.Bytes(k.Bytes), report.Bytes(k.Readable))
	if len(k.Snapshots) > 0 {
		fmt.Fprintf(b, "  snapshots  %d, %s\n", len(k.Snapshots), span(k.Snapshots))
	}
	for _, name := range k.Below {
		fmt.Fprintf(b, "  contains   %s\n", name)
	}
	switch {
	case k.Mounted:
		fmt.Fprintf(b, "  open       %s\n", k.Mountpoint)
	case k.KeyNeeded:
		fmt.Fprintf(b, "  open       zfs load-key %s, then zfs mount %s\n", k.KeyOf, k.Dataset)
	case k.Mountpoint != "":
		fmt.Fprintf(b, "  open       zfs mount %s, then %s\n", k.Dataset, k.Mountpoint)
	}
	fileLines(b, k.Files, k.NoFiles)
}
