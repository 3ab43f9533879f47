package command

import (
	"fmt"
	"io"
	"regexp"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/images"
	"github.com/understudy-ha/understudy/pkg/report"
)

// newManifest returns the command "manifest".
func newManifest(p *cli.Process) *cobra.Command {
	var out cli.Output
	c := &cobra.Command{
		Use:   "manifest",
		Short: "List the images that this node's projects run",
		Long: `List the images that this node's projects run: id, digests, platform and names.
Other nodes ask for it over ssh, to get the same images.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			node, err := newNode(c.Context(), p, nil)
			if err != nil {
				return err
			}
			m, err := node.Manifest(c.Context())
			if err != nil {
				return err
			}
			if out.JSON() {
				return cli.Printed(report.JSON(p.Stdout, m))
			}
			return cli.Printed(writeManifest(p.Stdout, m))
		},
	}
	out.AddTo(c)
	return c
}

func writeManifest(w io.Writer, m images.Manifest) error {
	rows := [][]string{{"PROJECT", "IMAGE", "RUNS", "ID", "PLATFORM", "SIZE"}}
	for _, e := range m.Images {
		runs := "no"
		if e.Running {
			runs = "yes"
		}
		rows = append(rows, []string{e.Project, e.Ref, runs, shortID(e.ID), e.Platform, report.Bytes(e.Size)})
	}
	if err := report.Table(w, rows); err != nil {
		return err
	}
	for _, problem := range m.Problems {
		if _, err := fmt.Fprintln(w, "problem: "+problem); err != nil {
			return err
		}
	}
	return nil
}

// imageID is the only way in which an image is asked for: a name could stand
// for another one by then.
var imageID = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// newExport returns the command "export".
func newExport(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "export ID...",
		Short: "Write images to stdout, as docker save does",
		Long: `Write images, by their ids (sha256:…), to stdout, as docker save does. Other nodes
ask this over ssh, for images that no registry gives them. Of several images the
streams follow each other.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("an image's id is missing")
			}
			for _, id := range args {
				if !imageID.MatchString(id) {
					return cli.Usagef("%q is not an image's id: sha256: and 64 digits and letters a to f", id)
				}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if p.StdoutTerminal {
				return cli.Usagef("stdout is a terminal: send it into a file or a pipe")
			}
			node, err := newNode(c.Context(), p, nil)
			if err != nil {
				return err
			}
			for _, id := range args {
				if err := node.Engine.Save(c.Context(), id, p.Stdout, node.Config.Images.Stall); err != nil {
					return err
				}
			}
			return nil
		},
	}
}
