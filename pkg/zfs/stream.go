package zfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/understudy-ha/understudy/pkg/run"
)

// pipeSize is the requested size of a pipe, in bytes: with the default of 64 KiB, zfs
// and the network wait for each other.
const pipeSize = 1 << 20

// Send describes the stream to make.
type Send struct {
	To    string // snapshot, full name
	From  string // base: snapshot, bookmark or origin, full name; "" for a full stream
	All   bool   // with all intermediate snapshots (-I), not the last one alone (-i)
	Flags string // letters of -L -c -e, such as "Lce"
	Raw   bool   // -w: encrypted data as stored on disk
	Bare  bool   // without the dataset's properties
	Token string // resume token, which contains everything else
}

// argv returns the command line, with extra before the flags.
func (s Send) argv(extra ...string) []string {
	argv := append([]string{"zfs", "send"}, extra...)
	if s.Token != "" {
		return append(argv, "-t", s.Token)
	}
	if !s.Bare {
		argv = append(argv, "-p")
	}
	for _, flag := range s.Flags {
		argv = append(argv, "-"+string(flag))
	}
	if s.Raw {
		argv = append(argv, "-w")
	}
	if s.From != "" {
		how := "-i"
		if s.All {
			how = "-I"
		}
		argv = append(argv, how, s.From)
	}
	return append(argv, s.To)
}

// Estimate returns the approximate size of a stream in bytes.
func (z *ZFS) Estimate(ctx context.Context, s Send) (int64, error) {
	out, err := z.output(ctx, s.argv("-n", "-v", "-P")...)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(out)) {
		if size, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "size\t"); ok {
			return strconv.ParseInt(size, 10, 64)
		}
	}
	return 0, fmt.Errorf("parse zfs send -nvP %s: no size in %q", s.To, out)
}

// Stream is a running "zfs send" (to be read) or "zfs receive" (to be written). The
// caller must call Finish.
type Stream struct {
	io.ReadWriteCloser
	process run.Process
}

// Send starts a stream.
func (z *ZFS) Send(ctx context.Context, s Send) (*Stream, error) {
	if z.simulated() {
		return z.readPipe(ctx, s.argv())
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe for zfs send: %w", err)
	}
	widen(writer)
	process, err := z.run.Start(ctx, run.Command{Argv: s.argv(), Stdout: writer})
	writer.Close()
	if err != nil {
		reader.Close()
		return nil, err
	}
	return &Stream{reader, process}, nil
}

// feed starts a program that reads the stream.
func (z *ZFS) feed(ctx context.Context, argv []string) (*Stream, error) {
	if z.simulated() {
		return z.writePipe(ctx, argv)
	}
	reader, writer, err := run.Feed()
	if err != nil {
		return nil, fmt.Errorf("feed zfs receive: %w", err)
	}
	process, err := z.run.Start(ctx, run.Command{Argv: argv, Stdin: reader})
	reader.Close()
	if err != nil {
		writer.Close()
		return nil, err
	}
	return &Stream{writer, process}, nil
}

// Receive describes how to receive a stream. It never uses -F, so that it only adds to
// the existing snapshots.
type Receive struct {
	Dataset string
	Type    Type
	Origin  string // snapshot, full name, for a clone
	Flags   string // the sender's flags, stored in StreamProperty
	Resume  bool   // the stream resumes a partial receive
	First   bool   // the dataset does not exist yet
	Set     map[string]string
}

func (r Receive) argv() []string {
	argv := []string{"zfs", "receive", "-s", "-u"}
	// OpenZFS accepts -o for a resumed stream too: an interruption must not change the
	// properties.
	argv = append(argv, "-o", "readonly=on")
	if r.Type == Filesystem {
		argv = append(argv, "-o", "canmount=noauto")
	}
	argv = append(argv, "-o", StreamProperty+"="+r.Flags)
	for _, property := range slices.Sorted(maps.Keys(r.Set)) {
		argv = append(argv, "-o", property+"="+r.Set[property])
	}
	if r.Origin != "" {
		argv = append(argv, "-o", "origin="+r.Origin)
	}
	return append(argv, r.Dataset)
}

// Receive starts to receive a stream. Closing the returned Stream ends it; an
// interrupted stream leaves a resume token.
func (z *ZFS) Receive(ctx context.Context, r Receive) (*Stream, error) {
	return z.feed(ctx, r.argv())
}

// widen enlarges a pipe, at best effort: the limit of an unprivileged user may be
// lower. It takes the child's end, because Fd makes that end blocking.
func widen(pipe *os.File) {
	_, _ = unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, pipeSize)
}

// Finish closes the pipe, waits for the process and returns its error.
func (s *Stream) Finish() error {
	s.Close()
	return explain(s.process.Wait())
}

// Warnings returns the stderr of a process that succeeded, such as properties that
// could not be set.
func (s *Stream) Warnings() string { return oneLine(s.process.Stderr()) }

// Kill ends the process; the caller must still call Finish.
func (s *Stream) Kill() { s.process.Kill() }

// AbortReceive drops a partial receive. Complete snapshots stay; a dataset that the
// partial receive created is destroyed.
func (z *ZFS) AbortReceive(ctx context.Context, dataset string) error {
	_, err := z.output(ctx, "zfs", "receive", "-A", dataset)
	return err
}

// Token holds the contents of a resume token.
type Token struct {
	ToName   string // snapshot, full name, on the sender when it was sent
	ToGUID   GUID
	FromGUID GUID  // 0 for a full stream
	Bytes    int64 // received so far
}

// ErrStaleToken is the error of a token that this machine can't resume.
var ErrStaleToken = errors.New("resume token is stale")

// DecodeToken returns the contents of a resume token, even if its snapshot is gone. It
// returns ErrStaleToken for a token that zfs can't decode.
func (z *ZFS) DecodeToken(ctx context.Context, token string) (Token, error) {
	out, err := z.run.Output(ctx, z.timeout, "zfs", "send", "-n", "-v", "-t", token)
	if decoded, ok := parseToken(string(out)); ok {
		return decoded, nil
	}
	var e *run.Error
	if errors.As(err, &e) {
		if decoded, ok := parseToken(e.Stderr); ok {
			return decoded, nil
		}
		if e.ExitCode > 0 {
			return Token{}, fmt.Errorf("%w: %s", ErrStaleToken, oneLine(e.Stderr))
		}
	}
	if err != nil {
		return Token{}, err
	}
	return Token{}, fmt.Errorf("%w: it contains no known fields", ErrStaleToken)
}

// parseToken parses the output of "zfs send -nvt": an nvlist with one "name = value"
// per line and hexadecimal numbers.
func parseToken(text string) (Token, bool) {
	var t Token
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " = ")
		if !ok {
			continue
		}
		number, _ := strconv.ParseUint(strings.TrimPrefix(value, "0x"), 16, 64)
		switch name {
		case "toname":
			t.ToName = value
		case "toguid":
			t.ToGUID = GUID(number)
		case "fromguid":
			t.FromGUID = GUID(number)
		case "bytes":
			t.Bytes = int64(number)
		}
	}
	return t, t.ToName != "" && t.ToGUID != 0
}
