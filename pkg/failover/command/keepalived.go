package command

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/keepalived"
)

type keepalivedOptions struct {
	check bool
	node  string
}

// newKeepalived returns the command "keepalived".
func newKeepalived(p *cli.Process) *cobra.Command {
	var o keepalivedOptions
	c := &cobra.Command{
		Use:   "keepalived",
		Short: "Print this node's keepalived.conf, or check the installed file",
		Long: `Print the keepalived.conf that this node needs according to its configuration. With
--check, compare the installed file (keepalived.file, with all files that it
includes) and name each dangerous difference, with its effect and its fix.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return runKeepalived(c.Context(), p, o) },
	}
	c.Flags().BoolVar(&o.check, "check", false, "check the installed file; exit with 78 if a difference is dangerous")
	c.Flags().StringVar(&o.node, "node", "", "print the file of the node `name` (default this node)")
	return c
}

func runKeepalived(ctx context.Context, p *cli.Process, o keepalivedOptions) error {
	cfg, err := p.LoadConfig(nil)
	if err != nil {
		return err
	}
	self, err := chooseNode(ctx, cfg, o.node)
	if err != nil {
		return err
	}
	password, err := keepalived.ReadPassword(cfg.Keepalived.PasswordFile)
	if err != nil {
		return err
	}
	if o.check {
		return checkKeepalived(p.Stdout, cfg, self, password)
	}
	text, err := keepalived.Render(cfg, self, password)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(p.Stdout, text); err != nil {
		return fmt.Errorf("print keepalived's configuration: %w", err)
	}
	return nil
}

// chooseNode returns the node of that name, or this node if name is "".
func chooseNode(ctx context.Context, cfg *config.Config, name string) (config.Node, error) {
	if name == "" {
		return cfg.Self(ctx, nil)
	}
	for _, n := range cfg.Nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return config.Node{}, cli.Usagef("--node %q: no such node in the configuration", name)
}

func checkKeepalived(w io.Writer, cfg *config.Config, self config.Node, password string) error {
	file := cfg.Keepalived.File
	found, err := keepalived.CompareFile(file, cfg, self, password)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s: ok\n", file)
	if len(found) > 0 {
		text = ""
	}
	for _, d := range found {
		text += fmt.Sprintf("%s: %s\n  why: %s\n  fix: %s\n", d.Where, d.What, d.Why, d.Fix)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("print the differences: %w", err)
	}
	if len(found) > 0 {
		return &dangerError{file, len(found)}
	}
	return nil
}

// dangerError is an installed file with dangerous differences.
type dangerError struct {
	file  string
	count int
}

func (e *dangerError) Error() string {
	return fmt.Sprintf("check %s: dangerous differences: %d", e.file, e.count)
}

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *dangerError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *dangerError) Hint() string {
	return "correct the file, or replace it: failover-notify keepalived > " + e.file + "; then reload keepalived"
}
