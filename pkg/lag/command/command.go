package command

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/lag"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// exitStatus replaces the usual codes: they are those of Nagios's plugins.
const exitStatus = `  0  ok
  1  warning: a lag is over its lower limit, or a node can't be asked
  2  critical: a lag is over its upper limit, a replica is missing or diverged
  3  unknown: it could not be told, or the command line or config is wrong`

// verdict ends the process with a level's code. Everything is printed before.
type verdict struct{ level lag.Level }

func (v *verdict) Error() string { return v.level.String() }

// ExitCode is Nagios's.
func (v *verdict) ExitCode() int { return int(v.level) }

// unknownError gives every failure the code 3.
type unknownError struct{ err error }

func (e *unknownError) Error() string { return e.err.Error() }
func (e *unknownError) Unwrap() error { return e.err }

// ExitCode is 3: Nagios takes any other for a statement about the data.
func (e *unknownError) ExitCode() int { return int(lag.Unknown) }

// New is lag-check's command.
func New(p *cli.Process) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "lag-check",
		Short: "Show the data at risk if the active node failed now",
		Long: `Show how far each standby is behind: for every dataset the age of the newest
common snapshot, compared by guid, and the bytes written since. A dataset without
writes is never behind, however old its snapshots are.

It runs on any node and asks the others over ssh. If a node does not answer,
lag-check says so and shows the last known figures. The limits are lag.warning
and lag.critical.

lag-check records each run: see lag-check history.`,
		Example: `  lag-check                    one line for Nagios and similar monitors
  lag-check -o text            a table
  lag-check --textfile /var/lib/prometheus/node-exporter`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return &unknownError{cli.Usagef("unknown command %q", args[0])}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			// The end on a signal is Guard's, with the right code.
			return o.run(context.WithoutCancel(c.Context()), p)
		},
	}
	c.SetFlagErrorFunc(func(at *cobra.Command, err error) error {
		if at != c { // Nagios calls none of those below
			return cli.Usagef("%v", err)
		}
		return &unknownError{cli.Usagef("%v", err)}
	})
	c.Flags().StringVarP(&o.format, "output", "o", "nagios", "output `format`: nagios, text or json (seconds and bytes)")
	c.Flags().BoolVar(&o.local, "local", false, "ask no other node: show the last known figures")
	c.Flags().StringVar(&o.textfile, "textfile", "", "also write metrics into this `folder` (default: metrics.textfile_dir)")
	c.Flags().BoolVar(&o.scheduled, "scheduled", false, "for cron and timers: exit with 0 unless the check itself failed, and print only what no notification reports")
	cli.SetExitStatus(c, exitStatus)
	c.AddCommand(newHistory(p), cli.ConfigCommand(p))
	cli.AddCalled(c, newInventory(p))
	return c
}

// newChecker loads the config and puts together what measures.
func newChecker(ctx context.Context, p *cli.Process) (*lag.Checker, error) {
	cfg, self, dir, err := p.LoadNode(ctx, nil)
	if err != nil {
		return nil, err
	}
	if len(cfg.Replication.Datasets) == 0 {
		return nil, cli.Usagef("no datasets are replicated: see replication.datasets in %s", cfg.File())
	}
	runner := run.New(p.Log)
	spool := notify.Open(cfg, dir)
	return &lag.Checker{
		Config: cfg, Self: self, State: dir, ZFS: zfs.New(runner, cfg.Replication.Timeouts.ZFS),
		Peers: lag.SSHPeers{Config: cfg, Runner: runner, Now: p.Now}, Log: p.Log, Now: p.Now, Told: spool.Told(),
	}, nil
}

// newInventory returns the command "inventory".
func newInventory(p *cli.Process) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "inventory",
		Short: "List the datasets of this node, for lag-check on the other nodes",
		Long:  `Print this node's role, datasets and snapshots, as JSON. lag-check on the other nodes asks for it over ssh.`,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if format != "json" {
				return cli.Usagef("--output %s: want json", format)
			}
			checker, err := newChecker(c.Context(), p)
			if err != nil {
				return err
			}
			inventory, err := checker.Take(c.Context(), true)
			if err != nil {
				return err
			}
			if err := json.NewEncoder(p.Stdout).Encode(inventory); err != nil {
				return fmt.Errorf("write the inventory: %w", err)
			}
			return nil
		},
	}
	c.Flags().StringVarP(&format, "output", "o", "json", "output `format`: json")
	cli.SetExitStatus(c, "  0  done\n  1  failed\n  3  the config is wrong")
	return c
}
