package zfs

import (
	"context"
	"io"
	"syscall"

	"github.com/understudy-ha/understudy/pkg/run"
)

// simulated reports whether the programs are simulated. Streams then go through pipes
// in memory: fake time passes while a goroutine waits for them.
func (z *ZFS) simulated() bool {
	_, real := z.run.(*run.Runner)
	return !real
}

// readPipe starts a program and returns its output.
func (z *ZFS) readPipe(ctx context.Context, argv []string) (*Stream, error) {
	reader, writer := io.Pipe()
	process, err := z.run.Start(ctx, run.Command{Argv: argv, Stdout: writer})
	if err != nil {
		return nil, err
	}
	ours := struct {
		io.Reader
		io.Writer
		io.Closer
	}{reader, nil, reader}
	return &Stream{ours, closing(process, func() { writer.Close() })}, nil
}

// writePipe starts a program and returns its input.
func (z *ZFS) writePipe(ctx context.Context, argv []string) (*Stream, error) {
	reader, writer := io.Pipe()
	process, err := z.run.Start(ctx, run.Command{Argv: argv, Stdin: reader})
	if err != nil {
		return nil, err
	}
	ours := struct {
		io.Reader
		io.Writer
		io.Closer
	}{nil, writer, writer}
	return &Stream{ours, closing(process, func() { reader.CloseWithError(syscall.EPIPE) })}, nil
}

// closingProcess closes its end of a pipe when it ends, as the kernel does for a
// real process.
type closingProcess struct {
	run.Process
	ended chan struct{}
	err   error
}

func closing(p run.Process, closePipe func()) run.Process {
	c := &closingProcess{Process: p, ended: make(chan struct{})}
	go func() {
		c.err = p.Wait()
		closePipe()
		close(c.ended)
	}()
	return c
}

// Wait implements run.Process.
func (c *closingProcess) Wait() error {
	<-c.ended
	return c.err
}
