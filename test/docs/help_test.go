package docs_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	failover "github.com/understudy-ha/understudy/pkg/failover/command"
	images "github.com/understudy-ha/understudy/pkg/images/command"
	lag "github.com/understudy-ha/understudy/pkg/lag/command"
	probe "github.com/understudy-ha/understudy/pkg/probe/command"
	replicate "github.com/understudy-ha/understudy/pkg/replicate/command"
)

// The help of every command fits a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	found := 0
	for _, program := range []cli.NewCommand{failover.New, images.New, lag.New, probe.New, replicate.New} {
		var check func(c *cobra.Command)
		check = func(c *cobra.Command) {
			found++
			var out, problems bytes.Buffer
			args := append(strings.Fields(c.CommandPath())[1:], "--help")
			if code := cli.Run(t.Context(), args, &cli.Process{Stdout: &out, Stderr: &problems, Now: time.Now}, program); code != 0 || out.Len() == 0 {
				t.Errorf("%s --help: %d\n%s", c.CommandPath(), code, problems.String())
			}
			for line := range strings.Lines(out.String()) {
				if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
					t.Errorf("%s --help: wider than 80 columns: %s", c.CommandPath(), line)
				}
			}
			for _, sub := range c.Commands() {
				check(sub)
			}
		}
		check(program(&cli.Process{Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}, Now: time.Now}))
	}
	if found < 50 {
		t.Errorf("only %d commands are found", found)
	}
}
