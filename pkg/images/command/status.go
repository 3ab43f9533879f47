package command

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/images"
	"github.com/understudy-ha/understudy/pkg/images/record"
	"github.com/understudy-ha/understudy/pkg/report"
)

// newStatus returns the command "status".
func newStatus(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "status",
		Short: "Show which image each project wants and which one is here",
		Long: `Show, for each project, the images that it wants, as the last run found them, and
which ones are here now. It asks no other node. Some that are missing give the
exit code 3.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p, nil)
			if err != nil {
				return err
			}
			status, err := node.Status(c.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return errors.Join(status.Err(), cli.Printed(report.JSON(p.Stdout, status)))
			}
			return errors.Join(status.Err(), cli.Printed(writeStatus(p.Stdout, status)))
		},
	}
	out.AddTo(c)
	return c
}

func writeStatus(w io.Writer, s images.Status) error {
	if s.Never {
		return nil // the error says it
	}
	rows := [][]string{{"PROJECT", "IMAGE", "HERE", "WANTED", "SINCE", ""}}
	for _, one := range s.Projects {
		rows = append(rows, []string{one.Project, one.Ref, hereText(one), shortID(one.ID), one.WantedSince.Local().Format(time.DateTime), note(one)})
	}
	if err := report.Table(w, rows); err != nil {
		return err
	}
	source := "no active node was known"
	if s.Active != "" {
		source = "as " + s.Active + " has them"
	}
	_, err := fmt.Fprintf(w, "\nlast run %s, %s\n", s.Time.Local().Format(time.DateTime), source)
	return err
}

// hereText is what is here: the wanted image, another one, or none.
func hereText(s record.Image) string {
	switch {
	case s.Here:
		return "yes"
	case s.HereID != "":
		return shortID(s.HereID)
	}
	return "no"
}

func note(s record.Image) string {
	switch {
	case s.Why != "" && !s.Here:
		return s.Why
	case s.Optional:
		return "profile off"
	case record.Pinned(s.Ref):
		return "can only be pulled, never copied: its name has a digest"
	}
	return ""
}

// shortID is how an image's id is shown to people.
func shortID(id string) string {
	const length = len("sha256:") + 12
	if len(id) > length {
		return id[len("sha256:"):length]
	}
	return id
}
