package setup

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/understudy-ha/understudy/pkg/keepalived"
	"github.com/understudy-ha/understudy/pkg/run"
)

// candidate is the path of a keepalived configuration that is being checked.
const candidate = "/run/understudy/keepalived.conf.new"

// keepalived returns the step that installs a node's keepalived.conf, once keepalived
// has accepted it.
func (s *Setup) keepalived(n *node) step {
	var text string
	one := func() []file {
		return []file{{path: n.cfg.Keepalived.File, text: text, mode: 0o644}}
	}
	return step{
		name: "keepalived on " + n.name,
		check: func(ctx context.Context) (stepState, error) {
			password, err := n.Read(ctx, n.cfg.Keepalived.PasswordFile)
			if n.cfg.Keepalived.PasswordFile == "" {
				password.Text, err = "", nil
			}
			if err != nil {
				return stepState{}, err
			}
			if text, err = keepalived.Render(n.cfg, n.self, strings.TrimRight(password.Text, "\n")); err != nil {
				return stepState{}, err
			}
			st, err := compare(ctx, n, one())
			return st.stepState(), err
		},
		do: func(ctx context.Context) error {
			if err := n.accepts(ctx, text); err != nil {
				return err
			}
			n.changed = true
			st, err := compare(ctx, n, one())
			if err != nil {
				return err
			}
			return st.apply(ctx, n)
		},
	}
}

// accepts has keepalived itself check a configuration.
func (n *node) accepts(ctx context.Context, text string) error {
	if err := (file{path: candidate, text: text, mode: 0o600}).write(ctx, n); err != nil {
		return err
	}
	_, err := call(ctx, n, short, "keepalived", "--config-test", "--use-file", candidate)
	if failed, ok := errors.AsType[*run.Error](err); ok && failed.ExitCode > 0 {
		return &RefusedError{n.name, failed.LastLine()}
	}
	return err
}

// RefusedError is a configuration that keepalived refuses.
type RefusedError struct{ Node, Text string }

func (e *RefusedError) Error() string {
	return fmt.Sprintf("keepalived on %s refuses the new configuration, which was not installed: %s", e.Node, e.Text)
}

// Hint says what to do next.
func (e *RefusedError) Hint() string {
	return "test it with: keepalived --config-test --use-file " + candidate + "; it follows from /etc/understudy/config.yaml and the folder of the programs"
}
