// Package hooks owns the commands that must start fast: recording a request,
// telling what this node is, and the gate in front of another node's key. keepalived
// runs one for each change, and another node runs one before each change of its own.
//
// It must not know Compose, etcd, ZFS or notification services, nor import a
// package that does: loading their libraries takes longer than the command itself
// (see whole.go for the commands that need them).
package hooks

import (
	"context"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/self"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// newRoot returns failover-notify's root command with these commands alone.
func newRoot(p *cli.Process) *cobra.Command {
	c := &cobra.Command{Use: "failover-notify"}
	Add(c, p)
	return c
}

// Add adds these commands to failover-notify's root command.
func Add(c *cobra.Command, p *cli.Process) {
	cli.AddCalled(c,
		newEvent(p), newRequest(p, state.RequestMaster), newRequest(p, state.RequestBackup), newRequest(p, state.RequestFault), newRequest(p, state.RequestStop),
		newPeer(p), newGate(p),
	)
}

// defaultLog is log_file while the configuration can't be read.
const defaultLog = "/var/log/understudy.log"

// Load loads the configuration. A process whose stderr leads nowhere logs from
// here on where the configuration says.
func Load(p *cli.Process) (*config.Config, error) {
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

// Records loads the configuration and opens this node's records.
func Records(ctx context.Context, p *cli.Process) (*self.Records, error) {
	cfg, err := Load(p)
	if err != nil {
		return nil, err
	}
	node, err := cfg.Self(ctx, config.LocalAddresses)
	if err != nil {
		return nil, err
	}
	return self.Open(cfg, node, run.New(p.Log), p.Log)
}
