package hub

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// machine is one node in the hub: a process that can be started, killed and
// frozen.
type machine struct {
	spec NodeSpec
	kind driver

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{} // closed when cmd has ended
	frozen bool
}

// driver holds the differences between the kinds of node.
type driver interface {
	// prepare makes the files and links that a node needs before its first
	// start.
	prepare(ctx context.Context, node NodeSpec) error
	// start starts the node's first process.
	start(ctx context.Context, node NodeSpec, console *os.File) (*exec.Cmd, error)
	freeze(node NodeSpec, cmd *exec.Cmd) error
	thaw(node NodeSpec, cmd *exec.Cmd) error
	// ended cleans up after the first process has ended.
	ended(ctx context.Context, node NodeSpec)
}

// State of a node.
type State string

const (
	Off     State = "off"
	Running State = "running"
	Frozen  State = "frozen"
)

func (m *machine) state() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stateLocked()
}

func (m *machine) stateLocked() State {
	switch {
	case m.cmd == nil:
		return Off
	case m.frozen:
		return Frozen
	default:
		return Running
	}
}

func (m *machine) start(ctx context.Context, consolePath string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd != nil {
		return fmt.Errorf("start node %s: it is %s already", m.spec.Name, m.stateLocked())
	}
	console, err := os.OpenFile(consolePath, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("start node %s: %w", m.spec.Name, err)
	}
	defer console.Close()
	cmd, err := m.kind.start(ctx, m.spec, console)
	if err != nil {
		return fmt.Errorf("start node %s: %w", m.spec.Name, err)
	}
	exited := make(chan struct{})
	m.cmd, m.exited, m.frozen = cmd, exited, false
	go func() {
		// Its console explains its end; here only the end matters.
		_ = cmd.Wait()
		m.kind.ended(context.Background(), m.spec)
		m.mu.Lock()
		m.cmd, m.frozen = nil, false
		m.mu.Unlock()
		close(exited)
	}()
	return nil
}

// kill ends the node at once, as a power loss does. A node that is off stays
// off.
func (m *machine) kill(ctx context.Context) error {
	m.mu.Lock()
	cmd, exited := m.cmd, m.exited
	m.mu.Unlock()
	if cmd == nil {
		return nil
	}
	if err := cmd.Process.Kill(); err != nil && err != os.ErrProcessDone {
		return fmt.Errorf("pull the plug of node %s: %w", m.spec.Name, err)
	}
	return m.await(ctx, exited, commandTime)
}

// waitOff waits until the node is off.
func (m *machine) waitOff(ctx context.Context, timeout time.Duration) error {
	m.mu.Lock()
	cmd, exited := m.cmd, m.exited
	m.mu.Unlock()
	if cmd == nil {
		return nil
	}
	return m.await(ctx, exited, timeout)
}

func (m *machine) await(ctx context.Context, exited <-chan struct{}, timeout time.Duration) error {
	select {
	case <-exited:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(timeout):
		return fmt.Errorf("node %s is still running after %s; pull its plug", m.spec.Name, timeout)
	}
}

func (m *machine) setFrozen(frozen bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cmd == nil {
		return fmt.Errorf("freeze or thaw node %s: it is off; start it first", m.spec.Name)
	}
	change, verb := m.kind.thaw, "thaw"
	if frozen {
		change, verb = m.kind.freeze, "freeze"
	}
	if err := change(m.spec, m.cmd); err != nil {
		return fmt.Errorf("%s node %s: %w", verb, m.spec.Name, err)
	}
	m.frozen = frozen
	return nil
}
