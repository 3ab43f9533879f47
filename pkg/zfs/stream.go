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

// pipeSize is asked for, so that zfs and the network need not take turns every
// 64 KiB.
const pipeSize = 1 << 20

// Send says which stream to make.
type Send struct {
	To    string // snapshot, full name
	From  string // base: snapshot, bookmark or origin, full name; "" is a full stream
	All   bool   // with every snapshot between (-I) instead of the last alone (-i)
	Flags string // of -L -c -e, as letters: "Lce"
	Raw   bool   // -w: encrypted data goes as it lies on disk
	Bare  bool   // without the dataset's properties
	Token string // resume this; all else is in the token
}

// argv is the command line; extra goes before the flags.
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

// Estimate asks how many bytes a stream will have, about.
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
	return 0, fmt.Errorf("zfs send -nvP %s: no size in %q", s.To, out)
}

// Stream is a running "zfs send" (to be read) or "zfs receive" (to be
// written). Finish must be called.
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

// feed starts a program that reads the bytes written to the stream.
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

// Receive says how to take a stream. It is never forced (-F), so that it can
// only add to the existing snapshots.
type Receive struct {
	Dataset string
	Type    Type
	Origin  string // snapshot, full name, for a clone
	Flags   string // the sender's flags, remembered in StreamProperty
	Resume  bool   // the stream resumes a partial receive
	First   bool   // the dataset is not there yet
	Set     map[string]string
}

func (r Receive) argv() []string {
	argv := []string{"zfs", "receive", "-s", "-u"}
	// With a token, OpenZFS takes -o as well: the properties must be the same
	// whether the stream was cut or not.
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

// Receive starts to take a stream. Closing the file ends the stream; a stream
// that breaks off leaves a resume token.
func (z *ZFS) Receive(ctx context.Context, r Receive) (*Stream, error) {
	return z.feed(ctx, r.argv())
}

// widen is best effort: the limit for a user without privileges may be lower.
// It is for the end that goes to the child: asking for a descriptor makes that
// end blocking.
func widen(pipe *os.File) {
	_, _ = unix.FcntlInt(pipe.Fd(), unix.F_SETPIPE_SZ, pipeSize)
}

// Finish closes the pipe, waits for the process and returns how it ended.
func (s *Stream) Finish() error {
	s.Close()
	return explain(s.process.Wait())
}

// Warnings is what the process has printed though it succeeded, such as
// properties that could not be set.
func (s *Stream) Warnings() string { return oneLine(s.process.Stderr()) }

// Kill ends the process; Finish still must be called.
func (s *Stream) Kill() { s.process.Kill() }

// AbortReceive drops a partial receive. What had been received completely
// stays; a dataset that the partial receive made goes away.
func (z *ZFS) AbortReceive(ctx context.Context, dataset string) error {
	_, err := z.output(ctx, "zfs", "receive", "-A", dataset)
	return err
}

// Token is what a resume token holds.
type Token struct {
	ToName   string // snapshot, full name, on the sender when it was sent
	ToGUID   GUID
	FromGUID GUID  // 0 for a full stream
	Bytes    int64 // received so far
}

// ErrStaleToken is a token that this machine can't resume.
var ErrStaleToken = errors.New("resume token is stale")

// DecodeToken asks zfs what a resume token holds. A token whose snapshot is
// gone is still decoded; one that can't be is ErrStaleToken.
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
	return Token{}, fmt.Errorf("%w: nothing in it is known", ErrStaleToken)
}

// parseToken reads what "zfs send -nvt" prints: an nvlist, one "name = value"
// a line, numbers in hexadecimal.
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
