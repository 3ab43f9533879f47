package lab

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/lab/internal/hub"
)

// Kind is what nodes are made of.
type Kind = hub.Kind

const (
	// NS nodes are namespaces on this machine: native speed, ZFS simulated.
	NS = hub.NS
	// VM nodes are QEMU virtual machines with everything real.
	VM = hub.VM
)

// Direction of traffic, as the node sees it.
type Direction = hub.Direction

const (
	In   = hub.In
	Out  = hub.Out
	Both = hub.Both
)

// State of a node.
type State = hub.State

const (
	Off     = hub.Off
	Running = hub.Running
	Frozen  = hub.Frozen
)

// Node is one machine of a lab. Its methods may be called from several
// goroutines, and work whatever is cut: they use a network of their own.
type Node interface {
	// Name is the node's host name, which the other nodes can resolve.
	Name() string
	// Address is the node's IPv4 address on the lab's network.
	Address() string
	// Management is its address on the network that is never cut.
	Management() string
	// Kind is what the node is made of.
	Kind() Kind
	// Console is the host's file with what the kernel and the first process
	// wrote since the node's last start.
	Console() string

	// Start boots the node and returns when it answers. What it had written
	// before it was stopped, or its plug pulled, is there again.
	Start(ctx context.Context) error
	// Stop shuts the node down in order.
	Stop(ctx context.Context) error
	// PullPlug ends the node at once, without any of its programs noticing.
	PullPlug(ctx context.Context) error
	// Freeze stops every process of the node, and Thaw lets them go on.
	Freeze(ctx context.Context) error
	Thaw(ctx context.Context) error
	// CutNetwork drops the node's frames of that direction; the link itself
	// stays up, as when a switch further off fails. Cuts add up.
	CutNetwork(ctx context.Context, direction Direction) error
	// RestoreNetwork ends all cuts of the node.
	RestoreNetwork(ctx context.Context) error
	// SetClock sets the node's clock to the host's plus offset. For nodes that
	// have no clock of their own the error is an *UnsupportedError.
	SetClock(ctx context.Context, offset time.Duration) error

	// Run runs a program as root and waits for it. A program that ends with
	// an exit code other than 0 is an *ExitError beside its result.
	Run(ctx context.Context, cmd Command) (Result, error)
	// CopyTo copies a file of the host to the node, with its permissions; it
	// appears complete or not at all. Folders above it are made.
	CopyTo(ctx context.Context, hostPath, nodePath string) error
	// CopyFrom copies a file of the node to the host likewise.
	CopyFrom(ctx context.Context, nodePath, hostPath string) error
}

// Command is a program to run on a node.
type Command struct {
	// Argv is handed over as it is: no shell looks at it.
	Argv []string
	// Stdin may be nil.
	Stdin io.Reader
	// Stdout and Stderr, where not nil, get the output instead of the Result.
	Stdout, Stderr io.Writer
}

// Argv is a Command without streams.
func Argv(argv ...string) Command { return Command{Argv: argv} }

// Result is what a program left behind.
type Result struct {
	// Code is its exit code, -1 when there is none.
	Code           int
	Stdout, Stderr string
	// Took is the wall time, with the time to reach the node.
	Took time.Duration
}

// ExitError is a program's failure, as opposed to a failure to run it.
type ExitError struct {
	Node   string
	Argv   []string
	Code   int
	Stderr string
}

func (e *ExitError) Error() string {
	text := fmt.Sprintf("run %s on node %s: exit code %d", strings.Join(e.Argv, " "), e.Node, e.Code)
	if stderr := strings.TrimSpace(e.Stderr); stderr != "" {
		text += ": " + stderr
	}
	return text
}

// UnsupportedError is returned for what a kind of node can not do.
type UnsupportedError struct {
	Node string
	Kind Kind
	What string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s of node %s: not supported by nodes of kind %s; use a lab of kind %s", e.What, e.Node, e.Kind, VM)
}
