package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
)

// Run runs a program with the given arguments (without its name) and returns
// its exit code. Main is Run on the real process; a test gives a Process of
// its own. Fields of p that are not set are filled in with what touches
// nothing: no input, no environment, the real time.
func Run(ctx context.Context, args []string, p *Process, newCommand NewCommand) (code int) {
	p.complete()
	defer func() {
		if r := recover(); r != nil {
			fmt.Fprintf(p.Stderr, "%s: error: this is a bug in %s %s: %v\n", p.Name, p.Name, Version(), r)
			fmt.Fprintf(p.Stderr, "hint: please report it with the lines below\n\n%s", debug.Stack())
			code = exit.Failed
		}
	}()
	root := newCommand(p)
	p.Name = root.Name()
	var log logFlags
	ran := false
	p.prepare(root, &log, &ran)
	root.SetArgs(args)

	command, err := root.ExecuteContextC(ctx)
	if err != nil && !ran {
		err = asUsage(err)
	}
	if usage, ok := errors.AsType[*UsageError](err); ok && usage.Command == "" {
		usage.Command = command.CommandPath()
	}
	return p.finish(ctx, err)
}

// asUsage makes a usage error of what cobra finds wrong before any command
// has run: cobra's own errors have no type.
func asUsage(err error) error {
	if exit.Coded(err) {
		return err
	}
	return Usagef("%s", strings.TrimSpace(err.Error()))
}

func (p *Process) complete() {
	if p.Stdin == nil {
		p.Stdin = strings.NewReader("")
	}
	if p.Stdout == nil {
		p.Stdout = io.Discard
	}
	if p.Stderr == nil {
		p.Stderr = io.Discard
	}
	if p.Getenv == nil {
		p.Getenv = func(string) string { return "" }
	}
	if p.Now == nil {
		p.Now = time.Now
	}
}

// prepare gives the program's commands what all programs have alike.
func (p *Process) prepare(root *cobra.Command, log *logFlags, ran *bool) {
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.DisableAutoGenTag = true
	// No templates: what they need is a fourteenth of a run of track-traefik.
	root.SetUsageFunc(usage)
	root.SetHelpFunc(help)

	flags := root.PersistentFlags()
	flags.StringVar(&p.ConfigFile, "config", "", "configuration `file` (default "+config.DefaultFile+"; $UNDERSTUDY_CONFIG)")
	log.add(flags)
	version := root.Flags().Bool("version", false, "print the version and exit")

	p.addMan(root)
	root.InitDefaultCompletionCmd()
	p.prepareTree(root, log, ran)
	run := root.RunE
	root.RunE = func(c *cobra.Command, args []string) error {
		if *version {
			_, err := fmt.Fprintln(p.Stdout, c.Name(), Version())
			return err
		}
		return run(c, args)
	}
}

// prepareTree sets the commands up, from c down.
func (p *Process) prepareTree(c *cobra.Command, log *logFlags, ran *bool) {
	c.SuggestionsMinimumDistance = 2
	switch {
	case c.HasSubCommands() && !c.Runnable():
		// Cobra would print the help and exit 0 for a mistyped command of a
		// group; a script must be able to notice.
		c.Args = cobra.ArbitraryArgs
		c.RunE = runGroup
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[groupKey] = "true"
	default:
		run := c.RunE
		if run == nil && c.Run != nil {
			plain := c.Run
			run = func(c *cobra.Command, args []string) error { plain(c, args); return nil }
		}
		c.Run = nil
		c.RunE = func(c *cobra.Command, args []string) error {
			logger, err := log.logger(p, c)
			if err != nil {
				return err
			}
			p.Log = logger
			*ran = true
			return run(c, args)
		}
	}
	for _, sub := range c.Commands() {
		p.prepareTree(sub, log, ran)
	}
}

// runGroup answers a command line that names no command of a group.
func runGroup(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		c.SetOut(c.ErrOrStderr())
		if err := c.Usage(); err != nil {
			return err
		}
		return Usagef("a command is missing")
	}
	text := fmt.Sprintf("unknown command %q", args[0])
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return Usagef("%s", text)
}
