package main

import (
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/understudy-ha/understudy/pkg/cli"
	failover "github.com/understudy-ha/understudy/pkg/failover/command"
	images "github.com/understudy-ha/understudy/pkg/images/command"
	lag "github.com/understudy-ha/understudy/pkg/lag/command"
	probe "github.com/understudy-ha/understudy/pkg/probe/command"
	replicate "github.com/understudy-ha/understudy/pkg/replicate/command"
)

// helpBlocks returns the help texts of all commands. The sources hold them too,
// but in pieces, and some are made when a program runs.
func helpBlocks() []block {
	var blocks []block
	for _, program := range []cli.NewCommand{failover.New, images.New, lag.New, probe.New, replicate.New} {
		blocks = append(blocks, commandBlocks(program(&cli.Process{Stdout: io.Discard, Stderr: io.Discard, Now: time.Now}))...)
	}
	return blocks
}

func commandBlocks(c *cobra.Command) []block {
	texts := []string{c.Short, c.Long}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { texts = append(texts, f.Usage) })
	var blocks []block
	for _, text := range texts {
		for _, b := range plainBlocks(text, 0) {
			// A help text has no lines of a file: the command stands in their place.
			b.lines = nil
			b.text = hide(b.text)
			b.name = c.CommandPath()
			blocks = append(blocks, b)
		}
	}
	for _, sub := range c.Commands() {
		if !strings.HasPrefix(sub.Name(), "completion") {
			blocks = append(blocks, commandBlocks(sub)...)
		}
	}
	return blocks
}
