package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/lab/internal/hub"
)

// The times after which operations count as failed; all far exceed a busy
// machine's.
const (
	bootTimeVM  = 4 * time.Minute
	bootTimeNS  = 30 * time.Second
	stopTime    = time.Minute
	requestTime = 30 * time.Second

	bootTimeSystemd, stopTimeSystemd = 8 * time.Minute, 5 * time.Minute
)

// machine is the Node of both kinds: their differences lie in the hub and in
// the node's init.
type machine struct {
	spec hub.NodeSpec
	lab  *Lab

	mu     sync.Mutex
	master *exec.Cmd // the ssh connection that commands share, while it lasts
}

func (m *machine) Name() string       { return m.spec.Name }
func (m *machine) Address() string    { return host(m.spec.Address) }
func (m *machine) Management() string { return host(m.spec.Management) }
func (m *machine) Kind() Kind         { return m.lab.spec.Kind }
func (m *machine) Console() string    { return m.lab.spec.Console(m.spec.Name) }

func (m *machine) Start(ctx context.Context) error {
	limit := bootTimeNS
	if m.Kind() == VM {
		limit = bootTimeVM
	}
	if m.lab.spec.Systemd {
		limit = bootTimeSystemd
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("node %s did not come up within %s", m.Name(), limit))
	defer cancel()
	if err := m.ask(ctx, "Start", hub.NodeArgs{}); err != nil {
		return err
	}
	if err := m.awaitReady(ctx); err != nil {
		return fmt.Errorf("start node %s: %w; the end of its console:\n%s", m.Name(), err, m.consoleTail())
	}
	if err := m.openMaster(ctx); err != nil {
		return fmt.Errorf("start node %s: %w", m.Name(), err)
	}
	return nil
}

// awaitReady follows the node's console, which costs an emulated processor
// nothing, until its init is ready.
func (m *machine) awaitReady(ctx context.Context) error {
	for {
		console, err := os.ReadFile(m.Console())
		if err != nil {
			return err
		}
		if strings.Contains(string(console), "lab-init: ready") {
			return nil
		}
		states, err := m.lab.hub.Status(ctx)
		if err != nil {
			return err
		}
		if states[m.Name()] == Off {
			return errors.New("it ended while it started")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (m *machine) consoleTail() string {
	console, err := os.ReadFile(m.Console())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(console), "\r\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

func (m *machine) Stop(ctx context.Context) error {
	// The node closes the connection while the command runs, so only the node's
	// state counts.
	argv, limit := Argv("kill", "-TERM", "1"), stopTime
	if m.lab.spec.Systemd { // which gives each service a minute and a half
		argv, limit = Argv("systemctl", "poweroff"), stopTimeSystemd
	}
	_, runErr := m.Run(ctx, argv)
	err := m.ask(ctx, "WaitOff", hub.NodeArgs{Timeout: limit})
	m.closeMaster()
	if err != nil {
		return fmt.Errorf("stop node %s: %w", m.Name(), errors.Join(err, runErr))
	}
	return nil
}

func (m *machine) PullPlug(ctx context.Context) error {
	defer m.closeMaster()
	return m.ask(ctx, "Kill", hub.NodeArgs{})
}

func (m *machine) Freeze(ctx context.Context) error { return m.ask(ctx, "Freeze", hub.NodeArgs{}) }
func (m *machine) Thaw(ctx context.Context) error   { return m.ask(ctx, "Thaw", hub.NodeArgs{}) }

func (m *machine) CutNetwork(ctx context.Context, direction Direction) error {
	return m.ask(ctx, "Cut", hub.NodeArgs{Direction: direction})
}

func (m *machine) RestoreNetwork(ctx context.Context) error {
	return m.ask(ctx, "Restore", hub.NodeArgs{})
}

func (m *machine) SetClock(ctx context.Context, offset time.Duration) error {
	if m.Kind() != VM {
		return &UnsupportedError{Node: m.Name(), Kind: m.Kind(), What: "setting the clock"}
	}
	// Computed last, so that the transfer delays it as little as possible.
	at := float64(time.Now().Add(offset).UnixMilli()) / 1000
	_, err := m.Run(ctx, Argv("date", "-s", fmt.Sprintf("@%.3f", at)))
	return err
}

// ask sends a request about this node to the hub.
func (m *machine) ask(ctx context.Context, method string, args hub.NodeArgs) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime+args.Timeout)
	defer cancel()
	args.Node = m.Name()
	return m.lab.hub.Node(ctx, method, args)
}

// host removes the prefix length from an address.
func host(prefix string) string {
	address, _, _ := strings.Cut(prefix, "/")
	return address
}
