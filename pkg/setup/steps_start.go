package setup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/setup/machine"
	"github.com/understudy-ha/understudy/pkg/state"
)

// peer is the part of a node's state that a setup needs.
type peer struct {
	Role     state.Role         `json:"role"`
	Eligible bool               `json:"eligible"`
	Reasons  []state.Ineligible `json:"reasons"`
}

// peerState asks a node for its state. A node that can't answer yet has none.
func (n *node) peerState(ctx context.Context) peer {
	var p peer
	out, err := n.Run(ctx, machine.Call{Argv: []string{"failover-notify", "peer", "-o", "json"}, Timeout: short})
	if err != nil || json.Unmarshal([]byte(out.Stdout), &p) != nil {
		return peer{}
	}
	return p
}

// WaitError is a node that did not reach the awaited state.
type WaitError struct {
	Node, Want string
	Role       state.Role
	Reasons    []state.Ineligible
}

func (e *WaitError) Error() string {
	text := fmt.Sprintf("%s is %s, not %s", e.Node, e.Role, e.Want)
	for _, r := range e.Reasons {
		text += "; " + r.Text
	}
	return text
}

// Hint says what to do next.
func (e *WaitError) Hint() string {
	return "on " + e.Node + ": failover-notify status; failover-notify status --transition; journalctl -u keepalived -u understudy -u understudy-join"
}

// await waits until a node is in a state.
func (s *Setup) await(ctx context.Context, n *node, want string, is func(peer) bool) error {
	deadline := time.Now().Add(s.Patience)
	for {
		p := n.peerState(ctx)
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

// start returns the step that starts both nodes. This node starts first, and so becomes
// active.
func (s *Setup) start() step {
	both := []*node{s.here, s.there}
	return step{
		name: "start",
		check: func(ctx context.Context) (stepState, error) {
			var waiting, roles []string
			byHand := false
			for _, n := range both {
				p := n.peerState(ctx)
				if p.Role == state.RoleUnknown || n.changed {
					waiting = append(waiting, n.name)
					byHand = byHand || s.NoStart || !n.Systemd
				}
				roles = append(roles, n.name+" is "+p.Role.String())
			}
			if len(waiting) == 0 {
				return stepState{done: true, summary: strings.Join(roles, ", ")}, nil
			}
			f := stepState{summary: "join, the watcher and keepalived on " + strings.Join(waiting, " and ")}
			if byHand {
				f.manual = s.startByHand()
				return f, nil
			}
			for _, n := range both {
				if slices.Contains(waiting, n.name) {
					f.detail += "on " + n.name + ": systemctl start " + strings.Join(startUnits, " ") + "; systemctl restart keepalived.service\n"
				}
			}
			if slices.Contains(waiting, s.here.name) && len(s.cfg.Services.Projects) > 0 {
				f.ask = "Start now? The projects of " + s.here.name + " stop for some seconds and start again."
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
	known := n.peerState(ctx).Role != state.RoleUnknown
	if known && !n.changed {
		return nil
	}
	verb := "restart"
	if known { // a reload keeps the virtual IP
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
	// If the other node is active already, this node becomes a standby.
	return s.await(ctx, n, "active", func(p peer) bool {
		return p.Role == state.RoleActive || p.Role == state.RoleStandby && s.there.peerState(ctx).Role == state.RoleActive
	})
}

// startByHand returns how to start the nodes by hand.
func (s *Setup) startByHand() []string {
	if s.here.Systemd && s.there.Systemd {
		return []string{"systemctl start " + strings.Join(startUnits, " ") + "; systemctl restart keepalived — on " + s.here.name + " first, then on " + s.there.name}
	}
	return []string{
		"at each boot of each node, in this order: failover-notify fence, before anything is mounted; the Docker Engine; failover-notify join; failover-notify watch, restarted when it ends; keepalived",
		"when you stop keepalived: failover-notify drain before, failover-notify stop after",
		"now, in the same order, without fence and the engine: on " + s.here.name + " first, then on " + s.there.name,
	}
}

// active returns the active node and its standby.
func (s *Setup) active(ctx context.Context) (active, standby *node) {
	if s.there.peerState(ctx).Role == state.RoleActive {
		return s.there, s.here
	}
	return s.here, s.there
}

// replication returns the step that replicates to the standby for the first time.
func (s *Setup) replication() step {
	argv := []string{"zfs-replicate", "run", "--log-level", "info", "--log-format", "console"}
	return step{
		name: "replication",
		check: func(ctx context.Context) (stepState, error) {
			active, standby := s.active(ctx)
			return stepState{summary: active.name + " to " + standby.name + "; the first run may take hours, and can be interrupted and repeated", detail: quoted(argv)}, nil
		},
		do: func(ctx context.Context) error {
			// A node that has just started may still be promoting.
			err := s.await(ctx, s.here, "active", func(p peer) bool {
				return p.Role == state.RoleActive || s.there.peerState(ctx).Role == state.RoleActive
			})
			if err != nil {
				return err
			}
			active, _ := s.active(ctx)
			return s.runLong(ctx, active, argv)
		},
	}
}

// images returns the step that copies the images to the standby.
func (s *Setup) images() step {
	argv := []string{"image-sync", "--log-level", "info", "--log-format", "console"}
	return step{
		name: "images",
		check: func(ctx context.Context) (stepState, error) {
			_, standby := s.active(ctx)
			return stepState{summary: "images of the projects, to " + standby.name, detail: quoted(argv)}, nil
		},
		do: func(ctx context.Context) error {
			_, standby := s.active(ctx)
			return s.runLong(ctx, standby, argv)
		},
	}
}

// runLong runs a long program and prints its log lines. It waits for a scheduled run
// that holds the lock.
func (s *Setup) runLong(ctx context.Context, n *node, argv []string) error {
	deadline := time.Now().Add(s.Patience)
	for {
		_, err := n.Run(ctx, machine.Call{Argv: argv, Timeout: long, Say: func(line string) { s.Dialog.say("      %s", line) }})
		failed, ok := errors.AsType[*run.Error](err)
		switch {
		case err == nil:
			return nil
		case !ok || failed.ExitCode != exit.Locked || time.Now().After(deadline):
			return fmt.Errorf("on %s: %w", n.name, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(s.Poll):
		}
	}
}

// standbyReady returns the step that waits until the standby is eligible.
func (s *Setup) standbyReady() step {
	return step{
		name: "standby ready",
		check: func(ctx context.Context) (stepState, error) {
			_, standby := s.active(ctx)
			p := standby.peerState(ctx)
			return stepState{checkOnly: true, done: p.Role == state.RoleStandby && p.Eligible, summary: standby.name + " can take over"}, nil
		},
		do: func(ctx context.Context) error {
			_, standby := s.active(ctx)
			return s.await(ctx, standby, "an eligible standby", func(p peer) bool { return p.Role == state.RoleStandby && p.Eligible })
		},
	}
}

// doctor returns the step that runs doctor on a node.
func (s *Setup) doctor(n *node) step {
	return step{
		name: "doctor on " + n.name,
		check: func(context.Context) (stepState, error) {
			return stepState{checkOnly: true, summary: "would a failover work now?", detail: "failover-notify doctor\n"}, nil
		},
		do: func(ctx context.Context) error {
			out, err := n.Run(ctx, machine.Call{Argv: []string{"failover-notify", "doctor"}, Timeout: medium})
			// Both nodes usually find the same: then only the summary is printed again.
			text := strings.TrimSpace(out.Stdout)
			findings, summary := "", text
			if i := strings.LastIndex(text, "\n\n"); i >= 0 {
				findings, summary = text[:i], text[i+2:]
			}
			if findings == s.diagnosis {
				text = summary
			}
			s.diagnosis = findings
			s.Dialog.detail("\n" + text + "\n\n")
			if err != nil {
				return fmt.Errorf("on %s: %w", n.name, err)
			}
			return nil
		},
	}
}
