package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/understudy-ha/understudy/pkg/exit"
)

// Process is what a command may use of its process. Run completes it before
// the command runs.
type Process struct {
	// Name is the program's name as it appears in messages.
	Name string

	Stdin  io.Reader
	Stdout io.Writer // the result
	Stderr io.Writer // the log, errors and progress

	// Log writes to Stderr as --log-level and --log-format say. Read it when
	// the command runs, not when it is constructed: the flags come between.
	Log zerolog.Logger

	// Getenv looks up an environment variable, as os.Getenv does.
	Getenv func(string) string
	// Environ are all variables, as os.Environ has them.
	Environ []string
	// Now is the current time.
	Now func() time.Time

	// StdoutTerminal and StderrTerminal report whether a terminal shows the output.
	StdoutTerminal, StderrTerminal bool

	// Unattended says that stderr leads nowhere: see KeepLog.
	Unattended bool
	kept       bool   // the log is kept elsewhere
	journal    string // the journal's socket; empty: the real one

	// ConfigFile is the value of --config; empty when it was not given.
	ConfigFile string
}

// NewCommand constructs a program's root command. The command's RunE must
// return errors instead of printing them.
type NewCommand func(*Process) *cobra.Command

// Main runs a program as this process and exits with its code. The first SIGINT
// or SIGTERM cancels the context of its command.
func Main(newCommand NewCommand) {
	MainIn(withSignals(context.Background()), newCommand)
}

// MainIn is Main in a given context, for a program that sees to signals itself.
func MainIn(ctx context.Context, newCommand NewCommand) {
	p := &Process{
		Name:           filepath.Base(os.Args[0]),
		Stdin:          os.Stdin,
		Stdout:         os.Stdout,
		Stderr:         os.Stderr,
		Getenv:         os.Getenv,
		Environ:        os.Environ(),
		Now:            time.Now,
		StdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())),
		StderrTerminal: term.IsTerminal(int(os.Stderr.Fd())),
		Unattended:     leadsNowhere(os.Stderr),
	}
	if err := errors.Join(completePath(), completeHome()); err != nil {
		fmt.Fprintf(os.Stderr, "%s: error: %v\n", p.Name, err)
		os.Exit(exit.Failed)
	}
	os.Exit(Run(ctx, os.Args[1:], p, newCommand))
}

// completeHome sets HOME to what the user database says: systemd gives root's
// services none, nor does keepalived give its hooks one, while Docker finds its
// settings there and Compose files speak of it.
func completeHome() error {
	if os.Getenv("HOME") != "" {
		return nil
	}
	who, err := user.Current()
	if err != nil || who.HomeDir == "" {
		return nil //nolint:nilerr // a user without a home has none to set
	}
	if err := os.Setenv("HOME", who.HomeDir); err != nil {
		return fmt.Errorf("complete HOME: %w", err)
	}
	return nil
}

// completePath adds the folders in which zfs, keepalived and their like live:
// the search paths of cron and of an ordinary login lack them. Parts that are
// not absolute go, since they depend on where the program was started.
func completePath() error {
	var path []string
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")),
		"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin") {
		if filepath.IsAbs(dir) && !slices.Contains(path, dir) {
			path = append(path, dir)
		}
	}
	if err := os.Setenv("PATH", strings.Join(path, string(os.PathListSeparator))); err != nil {
		return fmt.Errorf("complete PATH: %w", err)
	}
	return nil
}

// signalError is the cause of a context that a signal has cancelled.
type signalError struct {
	signal syscall.Signal
}

func (e signalError) Error() string {
	switch e.signal {
	case syscall.SIGINT:
		return "stopped by SIGINT"
	case syscall.SIGTERM:
		return "stopped by SIGTERM"
	}
	return "stopped by " + e.signal.String()
}

// withSignals returns a context that the first SIGINT or SIGTERM cancels. A
// second one finds the default action restored and ends the process at once.
// A pipe without a reader becomes a write error instead of the end: a log
// that nobody reads any more must not keep work from ending in order.
func withSignals(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	// Notify and not Ignore: an ignored signal would be inherited by every
	// program that is started.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		s := <-signals
		cancel(signalError{signal: s.(syscall.Signal)})
		signal.Reset(syscall.SIGINT, syscall.SIGTERM)
	}()
	return ctx
}
