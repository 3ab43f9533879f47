package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/images"
	"github.com/understudy-ha/understudy/pkg/report"
)

// logTroubles names each thing that is not in order.
func logTroubles(p *cli.Process, r *images.Result) {
	for _, text := range r.Warnings {
		p.Log.Warn().Msg(text)
	}
	for _, text := range r.Problems {
		p.Log.Warn().Msg(text)
	}
	if c := r.Checkout; c != nil {
		switch {
		case c.Skipped != "":
			p.Log.Info().Str("directory", c.Directory).Msg("the checkout is not fetched: " + c.Skipped)
		case len(c.Dirty) > 0 && c.Left == "":
			p.Log.Warn().Str("directory", c.Directory).Strs("files", c.Dirty).Msg("files are changed here and not committed")
		}
	}
	for _, i := range r.Images {
		if i.Warning != "" {
			p.Log.Info().Str("image", i.Ref).Msg(i.Warning)
		}
		if i.Error != "" {
			p.Log.Warn().Str("image", i.Ref).Msg(i.Error)
		}
	}
}

// writeCheckout says what has come from the checkout's remote.
func writeCheckout(w io.Writer, c *images.Checkout) error {
	if c == nil || c.From == c.To {
		return nil
	}
	var b strings.Builder
	fmt.Fprintf(&b, "checkout %s: %s to %s\n", c.Directory, c.From[:12], c.To[:12])
	for _, commit := range c.Commits {
		fmt.Fprintf(&b, "  %s\n", commit)
	}
	for _, file := range c.Changed {
		fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(file, "\t", " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeResult says what was done; with all, also what was found in order.
func writeResult(w io.Writer, r *images.Result, all bool) error {
	if err := writeCheckout(w, r.Checkout); err != nil {
		return err
	}
	counts := map[images.Action]int{}
	failed := 0
	for _, i := range r.Images {
		if i.Error != "" {
			failed++
			continue
		}
		counts[i.Action]++
		if !i.Fetched() {
			continue
		}
		if _, err := fmt.Fprintln(w, done(i)); err != nil {
			return err
		}
	}
	for _, removed := range r.Removed {
		if _, err := fmt.Fprintf(w, "removed %s\n", removed); err != nil {
			return err
		}
	}
	if !all {
		return nil
	}
	_, err := fmt.Fprintf(w, "%d images: %d were here, %d pulled, %d copied, %d tagged, %d failed; %s in %s\n",
		len(r.Images), counts[images.Current], counts[images.Pull], counts[images.Copy], counts[images.Tag], failed, ready(r), report.Seconds(r.Seconds))
	return err
}

func ready(r *images.Result) string {
	if r.Complete {
		return "every project could start offline"
	}
	return "not every project could start offline"
}

// done is one line about an image that has come.
func done(i *images.Item) string {
	how := map[images.Action]string{images.Pull: "pulled", images.Copy: "copied", images.Tag: "tagged"}[i.Action]
	text := fmt.Sprintf("%s %s %s", how, i.Ref, shortID(i.ID))
	if i.From != "" {
		text += " from " + i.From
	}
	if i.Bytes > 0 {
		text += ", " + report.Bytes(i.Bytes)
	}
	return text + " in " + report.Seconds(i.Seconds)
}

// writePlan says what a run would do.
func writePlan(w io.Writer, r *images.Result) error {
	rows := [][]string{{"IMAGE", "ACTION", "ID", "PROJECTS", ""}}
	for _, i := range r.Images {
		rows = append(rows, []string{i.Ref, string(i.Action), shortID(i.ID), strings.Join(i.Projects, ","), i.Error})
	}
	return report.Table(w, rows)
}
