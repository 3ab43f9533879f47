package lab

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/lab/internal/hub"
)

// Kind is the kind of a node.
type Kind = hub.Kind

const (
	// NS nodes are namespaces on this machine: native speed, ZFS simulated.
	NS = hub.NS
	// VM nodes are QEMU virtual machines with everything real.
	VM = hub.VM
)

// Direction is a direction of traffic, as the node sees it.
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
// goroutines. They work whatever is cut, since they use a separate network.
type Node interface {
	// Name is the node's host name, which the other nodes can resolve.
	Name() string
	// Address is the node's IPv4 address on the lab's network.
	Address() string
	// Management is its address on the network that is never cut.
	Management() string
	// Kind is the kind of the node.
	Kind() Kind
	// Console is the host's file with the output of the kernel and the first
	// process since the node's last start.
	Console() string

	// Start boots the node and returns when it answers. Files written before a
	// stop or a power loss are there again.
	Start(ctx context.Context) error
	// Stop shuts the node down in order.
	Stop(ctx context.Context) error
	// PullPlug ends the node at once, without notice to its programs.
	PullPlug(ctx context.Context) error
	// Freeze stops every process of the node; Thaw continues them.
	Freeze(ctx context.Context) error
	Thaw(ctx context.Context) error
	// CutNetwork drops the node's frames of that direction. The link stays up,
	// as when a remote switch fails. Cuts add up.
	CutNetwork(ctx context.Context, direction Direction) error
	// RestoreNetwork ends all cuts of the node.
	RestoreNetwork(ctx context.Context) error
	// SetClock sets the node's clock to the host's plus offset. Nodes without a
	// clock of their own return an *UnsupportedError.
	SetClock(ctx context.Context, offset time.Duration) error

	// Run runs a program as root and waits for it. For an exit code other than
	// 0 it returns the result and an *ExitError.
	Run(ctx context.Context, cmd Command) (Result, error)
	// CopyTo copies a file of the host to the node, with its permissions. It
	// appears completely or not at all. Missing folders are made.
	CopyTo(ctx context.Context, hostPath, nodePath string) error
	// CopyFrom copies a file of the node to the host likewise.
	CopyFrom(ctx context.Context, nodePath, hostPath string) error
}

// Command is a program to run on a node.
type Command struct {
	// Argv is passed unchanged: no shell interprets it.
	Argv []string
	// Stdin may be nil.
	Stdin io.Reader
	// Stdout and Stderr, where not nil, receive the output instead of the
	// Result.
	Stdout, Stderr io.Writer
}

// Argv is a Command without streams.
func Argv(argv ...string) Command { return Command{Argv: argv} }

// Result is the outcome of a program.
type Result struct {
	// Code is the exit code, -1 when there is none.
	Code           int
	Stdout, Stderr string
	// Took is the wall time, including the time to reach the node.
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

// UnsupportedError is returned for operations that a kind of node does not
// support.
type UnsupportedError struct {
	Node string
	Kind Kind
	What string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s of node %s: not supported by nodes of kind %s; use a lab of kind %s", e.What, e.Node, e.Kind, VM)
}
