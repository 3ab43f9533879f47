package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/images"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// syncFlags are the flags of image-sync itself.
type syncFlags struct {
	images.Options
	cli.Output
	scheduled bool
}

// New is image-sync's root command.
func New(p *cli.Process) *cobra.Command {
	var f syncFlags
	c := &cobra.Command{
		Use:   "image-sync",
		Short: "Bring a node what its projects need to start offline",
		Long: `Bring a node everything its projects need to start offline. image-sync fetches
the checkout of their files and fast-forwards it. On a standby it makes each image
the one that the active node runs, so that a takeover is never an upgrade. It pulls
an image from its registry by the active node's digest, or copies it from that
node. On the active node it pulls nothing without --update.

It is for cron on every node, and for use by hand. You can repeat it, and kill it
at any moment. Without a terminal it prints only changes.`,
		Example: `  image-sync
  image-sync --dry-run
  image-sync --update        # on the active node`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c, p) },
	}
	c.Flags().BoolVarP(&f.DryRun, "dry-run", "n", false, "print what would be done; change nothing")
	c.Flags().BoolVar(&f.Update, "update", false, "on the active node: pull what its registries have newer")
	c.Flags().StringVar(&f.From, "from", "", "follow this `node`, whatever its role")
	c.Flags().Int("keep", 0, "keep `N` superseded versions of each image (default: as configured)")
	c.Flags().BoolVar(&f.NoCheckout, "no-checkout", false, "leave the checkout alone")
	c.Flags().BoolVar(&f.scheduled, "scheduled", false, "for cron and timers: no error while another run is at work")
	f.AddTo(c)
	c.AddCommand(newStatus(p), cli.ConfigCommand(p))
	cli.AddCalled(c, newManifest(p), newExport(p))
	return c
}

func (f *syncFlags) run(c *cobra.Command, p *cli.Process) error {
	node, err := newNode(c.Context(), p, map[string]*pflag.Flag{"images.keep": c.Flags().Lookup("keep")})
	if err != nil {
		return err
	}
	f.Keep = node.Config.Images.Keep
	tell := newTeller(p, node)
	if !f.DryRun && !node.State.Held("images") {
		tell.heartbeat.Start(c.Context())
	}
	shown := newProgress(p)
	f.Progress = shown
	result, err := node.Sync(c.Context(), f.Options)
	shown.close()
	_, locked := errors.AsType[*state.LockedError](err)
	if locked && f.scheduled {
		p.Log.Info().Err(err).Msg("nothing to do")
		return nil
	}
	if !f.DryRun && !locked {
		tell.end(c.Context(), result, err)
	}
	if result == nil {
		return err
	}
	if f.JSON() {
		return errors.Join(err, cli.Printed(report.JSON(p.Stdout, result)))
	}
	logTroubles(p, result)
	if f.DryRun {
		return errors.Join(err, cli.Printed(writePlan(p.Stdout, result)))
	}
	return errors.Join(err, cli.Printed(writeResult(p.Stdout, result, p.StdoutTerminal || f.Given())))
}

// newNode loads the configuration and puts this node together.
func newNode(ctx context.Context, p *cli.Process, flags map[string]*pflag.Flag) (*images.Node, error) {
	cfg, self, dir, err := p.LoadNode(ctx, flags)
	if err != nil {
		return nil, err
	}
	return images.New(cfg, self, dir, run.New(p.Log), images.DockerDir(p.Getenv), p.Log, p.Now), nil
}
