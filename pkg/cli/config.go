package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/state"
)

// LoadConfig loads the configuration that --config, else the environment,
// names. flags maps the paths of config keys to the flags that set them, such
// as "replication.snapshot" to --snapshot; nil: none do.
func (p *Process) LoadConfig(flags map[string]*pflag.Flag) (*config.Config, error) {
	return config.Load(config.LoadOptions{File: p.ConfigFile, Env: p.Getenv, Flags: flags})
}

// LoadNode loads the configuration as LoadConfig does, and finds out which of its
// nodes this machine is and where that keeps its state.
func (p *Process) LoadNode(ctx context.Context, flags map[string]*pflag.Flag) (*config.Config, config.Node, *state.Dir, error) {
	cfg, err := p.LoadConfig(flags)
	if err != nil {
		return nil, config.Node{}, nil, err
	}
	self, err := cfg.Self(ctx, config.LocalAddresses)
	if err != nil {
		return nil, config.Node{}, nil, err
	}
	dir, err := state.Open(cfg.StateDir)
	return cfg, self, dir, err
}

// ConfigCommand returns the command "config" with "check" and "show", to be
// added to a program's root command.
func ConfigCommand(p *Process) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Check or show the configuration",
	}
	c.AddCommand(
		&cobra.Command{
			Use:   "check",
			Short: "Check the configuration and name every error with its line",
			Args:  cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return p.checkConfig(c)
			},
		},
		newShowConfig(p),
	)
	// Whatever the program's own codes are.
	SetExitStatus(c, standardExitStatus)
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usagef("%v", err) })
	return c
}

func (p *Process) checkConfig(c *cobra.Command) error {
	for _, text := range config.Misspelt(p.Environ) {
		p.Log.Warn().Msg(text)
	}
	loaded, err := p.LoadConfig(nil)
	if err != nil {
		return err
	}
	// A config may be checked on a machine that is none of its nodes.
	here := "none of the nodes"
	if self, err := loaded.Self(c.Context(), nil); err == nil {
		here = self.Name
	}
	_, err = fmt.Fprintf(p.Stdout, "%s: good\nnodes: %s\nthis machine: %s\ndatasets: %s\n",
		loaded.File(), nodeList(loaded.Nodes), here, datasetList(loaded.Replication.Datasets))
	return err
}

func newShowConfig(p *Process) *cobra.Command {
	format := "text"
	c := &cobra.Command{
		Use:   "show",
		Short: "Show every value in force and where it comes from",
		Long: `Show every value in force: as a configuration that could be used, with a comment at
each value that says where it comes from. Secrets are masked in it: whoever logs in
to a URL, and what is assigned to a password, token or key.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if format != "text" && format != "json" {
				return Usagef("--output %s: want text or json", format)
			}
			return p.showConfig(format == "json")
		},
	}
	c.Flags().StringVarP(&format, "output", "o", format, "output `format`: text or json")
	return c
}

func (p *Process) showConfig(asJSON bool) error {
	loaded, err := p.LoadConfig(nil)
	if err != nil {
		return err
	}
	write := loaded.YAML
	if asJSON {
		write = loaded.JSON
	}
	text, err := write()
	if err != nil {
		return err
	}
	_, err = p.Stdout.Write(text)
	return err
}

func nodeList(nodes []config.Node) string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = fmt.Sprintf("%s (%s)", n.Name, n.Address)
		if n.Local {
			list[i] = n.Name + " (local)"
		}
	}
	return strings.Join(list, ", ")
}

func datasetList(datasets []config.Dataset) string {
	if len(datasets) == 0 {
		return "none"
	}
	list := make([]string, len(datasets))
	for i, d := range datasets {
		list[i] = d.Name
		if d.Recursive {
			list[i] += " and below"
		}
	}
	return strings.Join(list, ", ")
}
