package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/replicate/session"
)

func newReceiver(p *cli.Process) *cobra.Command {
	return &cobra.Command{
		Use:   "receiver",
		Short: "Serve one replication session on stdin and stdout (started over ssh)",
		Long: `Serve one replication session on stdin and stdout. The active node starts it on a
standby over ssh; in authorized_keys there:

  restrict,command="zfs-replicate receiver" ssh-ed25519 …

It receives only into datasets that this node's own configuration lists, only
while this node is a standby, and never by force.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			engine, err := newEngine(c.Context(), p, nil)
			if err != nil {
				return err
			}
			if p.StdoutTerminal {
				return cli.Usagef("receiver speaks to another zfs-replicate, not to a terminal")
			}
			receiver := &session.Receiver{
				Config: engine.Config, Node: engine.Self.Name, Release: engine.Release, State: engine.State,
				ZFS: engine.ZFS, Runner: engine.Runner, Log: p.Log, Now: p.Now,
			}
			conn, err := pipes(p.Stdin, p.Stdout)
			if err != nil {
				return err
			}
			return receiver.Serve(c.Context(), conn)
		},
	}
}

// pipeSize is what Linux gives without privileges, in bytes.
const pipeSize = 1 << 20

// conn is stdin and stdout as one connection.
type conn struct {
	in, out *os.File
}

func (c conn) Read(b []byte) (int, error)  { return c.in.Read(b) }
func (c conn) Write(b []byte) (int, error) { return c.out.Write(b) }
func (c conn) Close() error                { return errors.Join(c.out.Close(), c.in.Close()) }

// pipes makes reads from stdin end when this process closes it: Go's own standard
// files block in the kernel.
func pipes(stdin io.Reader, stdout io.Writer) (io.ReadWriteCloser, error) {
	in, ok := stdin.(*os.File)
	out, ok2 := stdout.(*os.File)
	if !ok || !ok2 {
		return nil, errors.New("receiver needs real files as stdin and stdout")
	}
	var c conn
	for _, f := range []struct {
		from *os.File
		to   **os.File
	}{{in, &c.in}, {out, &c.out}} {
		fd := int(f.from.Fd())
		// Best effort: where sshd gives a pipe, streams need not take turns
		// with it every 64 KiB.
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize)
		if err := syscall.SetNonblock(fd, true); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", f.from.Name(), err)
		}
		*f.to = os.NewFile(uintptr(fd), f.from.Name())
	}
	return c, nil
}
