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

// dangerError says that the installed configuration differs where it matters.
type dangerError struct {
	file  string
	count int
}

func (e *dangerError) Error() string {
	return fmt.Sprintf("compare %s: %d dangerous difference(s)", e.file, e.count)
}

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *dangerError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *dangerError) Hint() string {
	return "correct them, or write the file again: failover-notify keepalived > " + e.file + "; then reload keepalived"
}

// newKeepalived returns the command "keepalived", which renders this node's
// keepalived.conf or compares the installed one with it.
func newKeepalived(p *cli.Process) *cobra.Command {
	check := false
	node := ""
	c := &cobra.Command{
		Use:   "keepalived",
		Short: "Print this node's keepalived.conf, or check the installed one",
		Long: `Print the keepalived.conf that this node needs, as the configuration has it. With
--check, compare the installed one with it (keepalived.file, and all that it
includes) and name every difference that is dangerous, why, and what to do.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.LoadConfig(nil)
			if err != nil {
				return err
			}
			self, err := chooseNode(c.Context(), cfg, node)
			if err != nil {
				return err
			}
			password, err := keepalived.ReadPassword(cfg.Keepalived.PasswordFile)
			if err != nil {
				return err
			}
			if check {
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
		},
	}
	c.Flags().BoolVar(&check, "check", false, "compare the installed configuration instead; 78 when something is dangerous")
	c.Flags().StringVar(&node, "node", "", "`name` of the node to render for (default this one)")
	return c
}

// chooseNode returns the node of that name, or this one.
func chooseNode(ctx context.Context, cfg *config.Config, name string) (config.Node, error) {
	if name == "" {
		return cfg.Self(ctx, nil)
	}
	for _, n := range cfg.Nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return config.Node{}, cli.Usagef("--node %q is none of the nodes", name)
}

func checkKeepalived(w io.Writer, cfg *config.Config, self config.Node, password string) error {
	file := cfg.Keepalived.File
	found, err := keepalived.CompareFile(file, cfg, self, password)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s: good\n", file)
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
