package command

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/replicate"
	"github.com/understudy-ha/understudy/pkg/replicate/rejoin"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// New is zfs-replicate's root command.
func New(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "zfs-replicate",
		Short: "Replicate ZFS datasets to the standbys of a pair",
		Long: `Replicate ZFS datasets from the active node to every standby.

Each run takes one atomic snapshot of the changes. It sends each standby the
snapshots that the standby lacks, over one ssh session. A run never rolls back
or destroys data on a standby by force: if both sides were written to, it names
the dataset and leaves it alone.`,
	}
	c.AddCommand(newRun(p), newPlan(p), newStatus(p), newPrune(p), newRejoin(p), newKept(p), cli.ConfigCommand(p))
	cli.AddCalled(c, newReceiver(p), newInventory(p))
	return c
}

// newEngine loads the config and puts the sending side together.
func newEngine(ctx context.Context, p *cli.Process, flags map[string]*pflag.Flag) (*replicate.Engine, error) {
	cfg, self, dir, err := p.LoadNode(ctx, flags)
	if err != nil {
		return nil, err
	}
	programs := run.New(p.Log)
	return &replicate.Engine{
		Config: cfg, Self: self, Release: cli.Version(), State: dir,
		ZFS: zfs.New(programs, cfg.Replication.Timeouts.ZFS), Runner: programs, Log: p.Log, Now: p.Now,
		Dialer: session.SSH{Programs: programs, Config: cfg.SSH},
	}, nil
}

// newNode loads the config for a rejoin, or for its preserved copies.
func newNode(ctx context.Context, p *cli.Process) (*rejoin.Node, error) {
	cfg, self, dir, err := p.LoadNode(ctx, nil)
	if err != nil {
		return nil, err
	}
	programs := run.New(p.Log)
	return &rejoin.Node{
		Config: cfg, Self: self, State: dir,
		ZFS: zfs.New(programs, cfg.Replication.Timeouts.ZFS), Programs: programs, Log: p.Log, Now: p.Now,
	}, nil
}
