package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

// Dialer starts the receiver of a standby and connects to it.
type Dialer interface {
	Dial(ctx context.Context, node config.Node) (*Link, error)
}

// Link is a connection to a receiver, before its first line.
type Link struct {
	io.ReadWriteCloser
	// Connect is how long the connection itself may still take.
	Connect time.Duration
	// End closes the connection and waits until the receiver has ended, for at most
	// grace. The error is why it ended, nil where it did so in good order.
	End func(grace time.Duration) error
}

// SSH starts receivers over ssh: one ssh process for each session.
type SSH struct {
	Programs run.Programs
	Config   config.SSH
}

// Dial implements Dialer.
func (s SSH) Dial(ctx context.Context, node config.Node) (*Link, error) {
	how := remote.Over(s.Config, node)
	toRemote, stdin, err := feedSSH()
	if err != nil {
		return nil, err
	}
	stdout, fromRemote, err := os.Pipe()
	if err != nil {
		toRemote.Close()
		stdin.Close()
		return nil, fmt.Errorf("make a pipe for ssh: %w", err)
	}
	// On SIGTERM ssh first writes out its buffers, which never ends on a dead link;
	// nothing of them is needed any more.
	process, err := s.Programs.Start(ctx, run.Command{Argv: how.Argv(s.Config.RemoteCommand, "receiver"), Stdin: toRemote, Stdout: fromRemote, Grace: time.Second})
	toRemote.Close()
	fromRemote.Close()
	if err != nil {
		stdin.Close()
		stdout.Close()
		return nil, err
	}
	end := func(grace time.Duration) error {
		stdin.Close()
		defer stdout.Close()
		// ssh ends when the receiver has; a dead link would keep it.
		timer := time.AfterFunc(grace, process.Kill)
		defer timer.Stop()
		return s.explain(how, node, process.Wait())
	}
	return &Link{pipeConn{stdout, &frameWriter{WriteCloser: stdin}}, how.ConnectTimeout, end}, nil
}

// explain returns why ssh ended: in the receiver's words, or in ssh's.
func (s SSH) explain(how remote.SSH, node config.Node, err error) error {
	if err == nil {
		return nil
	}
	explained := how.Explain(s.Config.RemoteCommand, err)
	if said, ok := errors.AsType[*remote.Error](explained); ok {
		return &RemoteError{Node: node.Name, Text: said.Text, Advice: said.Advice, Code: said.Code}
	}
	return explained
}

// feedSSH makes the connection to ssh's stdin, as a net.Conn: that can write several
// buffers at once.
func feedSSH() (*os.File, net.Conn, error) {
	input, output, err := run.Feed()
	if err != nil {
		return nil, nil, fmt.Errorf("feed ssh: %w", err)
	}
	defer output.Close() // FileConn has a descriptor of its own
	conn, err := net.FileConn(output)
	if err != nil {
		input.Close()
		return nil, nil, fmt.Errorf("feed ssh: %w", err)
	}
	return input, conn, nil
}

// Local serves sessions with a receiver in this process, over net.Pipe: for a
// standby that is another pool of this machine.
type Local struct{ Receiver *Receiver }

// Dial implements Dialer.
func (l Local) Dial(ctx context.Context, _ config.Node) (*Link, error) {
	here, there := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- l.Receiver.Serve(ctx, there) }()
	end := func(time.Duration) error {
		here.Close()
		return <-served
	}
	return &Link{here, time.Second, end}, nil
}

// pipeConn joins two pipes into one connection.
type pipeConn struct {
	io.ReadCloser
	io.WriteCloser
}

func (p pipeConn) Close() error { return errors.Join(p.WriteCloser.Close(), p.ReadCloser.Close()) }

// bufferedConn reads the bytes that were buffered with the preamble.
type bufferedConn struct {
	*bufio.Reader
	io.WriteCloser
}
