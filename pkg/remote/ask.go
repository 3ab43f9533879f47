package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
)

// MaxAnswer bounds the bytes of an answer. An inventory of ten thousand snapshots
// has about one million.
const MaxAnswer = 16 << 20

// dialTimeout is how long a node may take to accept a connection before it counts
// as unreachable. ssh alone takes much longer to say so.
const dialTimeout = time.Second

// UnreachableError is a node that does not accept a connection.
type UnreachableError struct {
	Node, Address string
	Err           error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s (%s) can't be reached: %v", e.Node, e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// TooLargeError is an answer of more than Limit bytes.
type TooLargeError struct{ Limit int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the answer has more than %d bytes", e.Limit)
}

// Hint says where such an answer comes from.
func (e *TooLargeError) Hint() string {
	return "no release answers so much: look at what that key runs on the other node (authorized_keys)"
}

// Peers asks other nodes by the ssh settings of the configuration.
type Peers struct {
	Programs run.Programs
	SSH      config.SSH
}

// Over returns how a node is reached.
func Over(ssh config.SSH, node config.Node) SSH {
	return SSH{User: ssh.User, Host: node.Address, Port: ssh.Port, IdentityFile: ssh.IdentityFile,
		KnownHostsFile: ssh.KnownHostsFile, ConnectTimeout: ssh.ConnectTimeout, Options: ssh.Options}
}

// Reach returns an *UnreachableError unless the node accepts a connection at its
// ssh port within a second.
func (p Peers) Reach(ctx context.Context, node config.Node) error {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(node.Address, strconv.Itoa(p.SSH.Port)))
	if err != nil {
		return &UnreachableError{node.Name, node.Address, err}
	}
	return conn.Close()
}

// Output runs argv, one of our programs, on a node and returns what it prints, at
// most MaxAnswer bytes. The error is in its own words, or ssh's.
func (p Peers) Output(ctx context.Context, node config.Node, timeout time.Duration, argv ...string) ([]byte, error) {
	answer := &Answer{Limit: MaxAnswer}
	err := p.Run(ctx, node, timeout, answer, argv...)
	return answer.Bytes(), err
}

// Run is Output into an answer of the caller's.
func (p Peers) Run(ctx context.Context, node config.Node, timeout time.Duration, answer *Answer, argv ...string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answer.full = cancel
	how := Over(p.SSH, node)
	err := p.Programs.Run(ctx, run.Command{Argv: how.Argv(argv...), Timeout: timeout, Stdout: answer, Grace: time.Second})
	if tooLarge, ok := errors.AsType[*TooLargeError](context.Cause(ctx)); ok {
		return tooLarge
	}
	if err != nil {
		return how.Explain(argv[0], err)
	}
	return nil
}

// JSON decodes what argv prints on a node.
func (p Peers) JSON(ctx context.Context, node config.Node, timeout time.Duration, v any, argv ...string) error {
	output, err := p.Output(ctx, node, timeout, argv...)
	if err != nil {
		return err
	}
	return Decode(output, argv[0], v)
}

// Decode decodes the first JSON value of what a program printed.
func Decode(output []byte, program string, v any) error {
	if err := json.Unmarshal(output, v); err != nil {
		return fmt.Errorf("read the answer of %s: %w", program, err)
	}
	return nil
}

// Answer keeps what a program prints, up to a limit in bytes. Beyond it the
// program is ended.
type Answer struct {
	Limit int
	// First, if set, is called before the first byte is kept.
	First func()

	text []byte
	full context.CancelCauseFunc
}

var _ io.Writer = (*Answer)(nil)

func (a *Answer) Write(p []byte) (int, error) {
	if len(a.text) == 0 && a.First != nil {
		a.First()
	}
	if len(a.text)+len(p) > a.Limit {
		err := &TooLargeError{a.Limit}
		if a.full != nil {
			a.full(err)
		}
		return 0, err
	}
	a.text = append(a.text, p...)
	return len(p), nil
}

// Bytes returns what has been kept.
func (a *Answer) Bytes() []byte { return a.text }
