package command

import (
	"context"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/move"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/run"
	setup "github.com/understudy-ha/understudy/pkg/setup/command"
	"github.com/understudy-ha/understudy/pkg/state"
)

// New is failover-notify's root command.
func New(p *cli.Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "failover-notify",
		Short: "Make this node what keepalived asks it to be, and say what it is",
		Long: `Make this node what keepalived asks it to be, and say what it is.

keepalived's hooks only record what is asked for and return. The resident watcher
(failover-notify watch) acts on it: it takes the data over and starts the
services, or stops them and gives the data up. The newest request always wins.`,
	}
	c.AddCommand(
		newHold(p), newRelease(p), newSwitchover(p), newDrill(p), newResolve(p), newStatus(p), newDoctor(p), newHistory(p),
		newKeepalived(p), newTestNotification(p), setup.New(p), setup.NewNode(p), cli.ConfigCommand(p),
	)
	cli.AddCalled(c,
		newEvent(p), newRequest(p, state.RequestMaster), newRequest(p, state.RequestBackup), newRequest(p, state.RequestFault), newRequest(p, state.RequestStop),
		newReconcile(p), newWatch(p), newJoin(p), newFence(p), newDrain(p), newPeer(p), newGate(p), newDeliver(p),
	)
	return c
}

// defaultLog is log_file while the configuration can't be read.
const defaultLog = "/var/log/understudy.log"

// load loads the configuration. A process whose stderr leads nowhere logs from
// here on where the configuration says.
func load(p *cli.Process) (*config.Config, error) {
	// keepalived gives its hooks a umask of 0177, with which no folder that they
	// make can be used.
	syscall.Umask(0o022)
	cfg, err := p.LoadConfig(nil)
	if err != nil {
		p.KeepLog(defaultLog)
		return nil, err
	}
	p.KeepLog(cfg.LogFile)
	return cfg, nil
}

// newRecords loads the configuration and opens this node's records.
func newRecords(ctx context.Context, p *cli.Process) (*self.Records, error) {
	cfg, err := load(p)
	if err != nil {
		return nil, err
	}
	node, err := cfg.Self(ctx, config.LocalAddresses)
	if err != nil {
		return nil, err
	}
	return open(p, cfg, node)
}

// open opens the records of a node on this machine.
func open(p *cli.Process, cfg *config.Config, node config.Node) (*self.Records, error) {
	return self.Open(cfg, node, run.New(p.Log), p.Log)
}

// newNode loads the configuration and puts this node together.
func newNode(ctx context.Context, p *cli.Process) (*failover.Node, error) {
	records, err := newRecords(ctx, p)
	if err != nil {
		return nil, err
	}
	return failover.New(records), nil
}

// newMover loads the configuration and puts together what moves the active role.
func newMover(ctx context.Context, p *cli.Process) (*move.Mover, error) {
	node, err := newNode(ctx, p)
	if err != nil {
		return nil, err
	}
	return move.New(node), nil
}

// assemble puts a node together.
func assemble(p *cli.Process, cfg *config.Config, node config.Node) (*failover.Node, error) {
	records, err := open(p, cfg, node)
	if err != nil {
		return nil, err
	}
	return failover.New(records), nil
}
