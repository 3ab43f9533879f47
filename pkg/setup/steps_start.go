package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/setup/machine"
	"github.com/understudy-ha/understudy/pkg/state"
)

// peer is what a node says of itself; the parts that matter here.
type peer struct {
	Role     state.Role         `json:"role"`
	Eligible bool               `json:"eligible"`
	Reasons  []state.Ineligible `json:"reasons"`
}

// says asks a node what it is. One that can't tell yet is nothing yet.
func (n *node) says(ctx context.Context) peer {
	var p peer
	out, err := n.Run(ctx, machine.Call{Argv: []string{"failover-notify", "peer", "-o", "json"}, Timeout: short})
	if err != nil || json.Unmarshal([]byte(out.Stdout), &p) != nil {
		return peer{}
	}
	return p
}

// WaitError is a node that did not become what it should.
type WaitError struct {
	Node, Want string
	Role       state.Role
	Reasons    []state.Ineligible
}

func (e *WaitError) Error() string {
	text := fmt.Sprintf("%s is %s, and not %s", e.Node, e.Role, e.Want)
	for _, r := range e.Reasons {
		text += "; " + r.Text
	}
	return text
}

// Hint says what to do next.
func (e *WaitError) Hint() string {
	return "on " + e.Node + ": failover-notify status; failover-notify status --transition; journalctl -u keepalived -u understudy -u understudy-join"
}

// await waits until a node is what it should be.
func (s *Setup) await(ctx context.Context, n *node, want string, is func(peer) bool) error {
	deadline := time.Now().Add(s.Patience)
	for {
		p := n.says(ctx)
		if is(p) {
			return nil
		}
		if time.Now().After(deadline) {
			return &WaitError{n.name, want, p.Role, p.Reasons}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.Poll):
		}
	}
}

// start is the step that starts both nodes, this one first: it is then the one
// that is active.
func (s *Setup) start() step {
	both := []*node{s.here, s.there}
	return step{
		name: "start",
		look: func(ctx context.Context) (found, error) {
			var waiting, roles []string
			byHand := false
			for _, n := range both {
				p := n.says(ctx)
				if p.Role == state.RoleUnknown || n.changed {
					waiting = append(waiting, n.name)
					byHand = byHand || s.NoStart || !n.Systemd
				}
				roles = append(roles, n.name+" is "+p.Role.String())
			}
			if len(waiting) == 0 {
				return found{done: true, says: strings.Join(roles, ", ")}, nil
			}
			f := found{says: "join, the watcher and keepalived on " + strings.Join(waiting, " and ")}
			if byHand {
				f.byHand = s.startByHand()
				return f, nil
			}
			for _, n := range both {
				if slices.Contains(waiting, n.name) {
					f.detail += "on " + n.name + ": systemctl start " + strings.Join(startUnits, " ") + "; systemctl restart keepalived.service\n"
				}
			}
			if slices.Contains(waiting, s.here.name) && len(s.cfg.Services.Projects) > 0 {
				f.ask = "Start now? The projects of " + s.here.name + " stop, and start again some seconds later."
			}
			return f, nil
		},
		do: func(ctx context.Context) error {
			for _, n := range both {
				if err := s.startNode(ctx, n); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

var startUnits = []string{"understudy-join.service", "understudy.service"}

func (s *Setup) startNode(ctx context.Context, n *node) error {
	known := n.says(ctx).Role != state.RoleUnknown
	if known && !n.changed {
		return nil
	}
	verb := "restart"
	if known { // keepalived gives nothing up for a new configuration
		verb = "reload-or-restart"
	}
	if _, err := call(ctx, n, medium, append([]string{"systemctl", "start"}, startUnits...)...); err != nil {
		return err
	}
	if _, err := call(ctx, n, medium, "systemctl", verb, "keepalived.service"); err != nil {
		return err
	}
	n.changed = false
	if n != s.here {
		return s.await(ctx, n, "a standby", func(p peer) bool { return p.Role != state.RoleUnknown })
	}
	// Where the other one is active already, this one becomes a standby.
	return s.await(ctx, n, "active", func(p peer) bool {
		return p.Role == state.RoleActive || p.Role == state.RoleStandby && s.there.says(ctx).Role == state.RoleActive
	})
}

// startByHand says how the nodes are started where systemd does not do it.
func (s *Setup) startByHand() []string {
	if s.here.Systemd && s.there.Systemd {
		return []string{"systemctl start " + strings.Join(startUnits, " ") + "; systemctl restart keepalived — on " + s.here.name + " first, then on " + s.there.name}
	}
	return []string{
		"at each boot of each node, in this order: failover-notify fence, before anything is mounted; the Docker Engine; failover-notify join; failover-notify watch, started again when it ends; keepalived",
		"when keepalived is to stop: failover-notify drain before it, failover-notify stop after it",
		"start it now in this order, without fence and the engine, on " + s.here.name + " first, then on " + s.there.name,
	}
}

// active returns the node that is active, and the other one.
func (s *Setup) active(ctx context.Context) (active, standby *node) {
	if s.there.says(ctx).Role == state.RoleActive {
		return s.there, s.here
	}
	return s.here, s.there
}

// replication is the step that sends everything to the standby.
func (s *Setup) replication() step {
	argv := []string{"zfs-replicate", "run", "--log-level", "info", "--log-format", "console"}
	return step{
		name: "replication",
		look: func(ctx context.Context) (found, error) {
			active, standby := s.active(ctx)
			return found{says: active.name + " to " + standby.name + "; the first time this may take long, and can be stopped and repeated", detail: shown(argv)}, nil
		},
		do: func(ctx context.Context) error {
			// A node that has just been started may still be on its way.
			err := s.await(ctx, s.here, "active", func(p peer) bool {
				return p.Role == state.RoleActive || s.there.says(ctx).Role == state.RoleActive
			})
			if err != nil {
				return err
			}
			active, _ := s.active(ctx)
			return s.running(ctx, active, argv)
		},
	}
}

// images is the step that brings the images to the standby.
func (s *Setup) images() step {
	argv := []string{"image-sync", "--log-level", "info", "--log-format", "console"}
	return step{
		name: "images",
		look: func(ctx context.Context) (found, error) {
			_, standby := s.active(ctx)
			return found{says: "those that the projects run, to " + standby.name, detail: shown(argv)}, nil
		},
		do: func(ctx context.Context) error {
			_, standby := s.active(ctx)
			return s.running(ctx, standby, argv)
		},
	}
}

// locked is the exit code of a run that found another one at work.
const locked = 75

// running runs something long, and says what it says. A scheduled run that is
// at work is waited for.
func (s *Setup) running(ctx context.Context, n *node, argv []string) error {
	deadline := time.Now().Add(s.Patience)
	for {
		_, err := n.Run(ctx, machine.Call{Argv: argv, Timeout: long, Say: func(line string) { s.Talk.say("      %s", line) }})
		failed, ok := errors.AsType[*run.Error](err)
		switch {
		case err == nil:
			return nil
		case !ok || failed.ExitCode != locked || time.Now().After(deadline):
			return fmt.Errorf("on %s: %w", n.name, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.Poll):
		}
	}
}

// rest is the step that waits until the standby may take over.
func (s *Setup) rest() step {
	return step{
		name: "the standby may take over",
		look: func(ctx context.Context) (found, error) {
			_, standby := s.active(ctx)
			p := standby.says(ctx)
			return found{looks: true, done: p.Role == state.RoleStandby && p.Eligible, says: standby.name + " has everything and is eligible"}, nil
		},
		do: func(ctx context.Context) error {
			_, standby := s.active(ctx)
			return s.await(ctx, standby, "a standby that may take over", func(p peer) bool { return p.Role == state.RoleStandby && p.Eligible })
		},
	}
}

// doctor is the step that looks at the pair as one of its nodes sees it.
func (s *Setup) doctor(n *node) step {
	return step{
		name: "doctor on " + n.name,
		look: func(context.Context) (found, error) {
			return found{looks: true, says: "would a failover work?", detail: "failover-notify doctor\n"}, nil
		},
		do: func(ctx context.Context) error {
			out, err := n.Run(ctx, machine.Call{Argv: []string{"failover-notify", "doctor"}, Timeout: medium})
			// Both nodes mostly find the same: then only the sum of it is said again.
			text := strings.TrimSpace(out.Stdout)
			findings, sum := "", text
			if i := strings.LastIndex(text, "\n\n"); i >= 0 {
				findings, sum = text[:i], text[i+2:]
			}
			if findings == s.diagnosis {
				text = sum
			}
			s.diagnosis = findings
			s.Talk.detail("\n" + text + "\n\n")
			if err != nil {
				return fmt.Errorf("on %s: %w", n.name, err)
			}
			return nil
		},
	}
}
