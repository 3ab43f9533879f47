package session

import (
	"errors"
	"fmt"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// RemoteError is a failure at the other end.
type RemoteError struct {
	Node   string     `json:"node"`
	Text   string     `json:"text"`
	Advice string     `json:"hint,omitempty"`
	Code   int        `json:"code,omitempty"` // the exit code that it has, or would have, there
	Reason zfs.Reason `json:"reason,omitempty"`
}

func (e *RemoteError) Error() string { return fmt.Sprintf("on %s: %s", e.Node, e.Text) }

// Hint is the other end's hint.
func (e *RemoteError) Hint() string { return e.Advice }

// ExitCode is that of a refusal, or of a failure.
func (e *RemoteError) ExitCode() int {
	if e.Code == 0 {
		return exit.Failed
	}
	return e.Code
}

// Is makes errors.Is(err, zfs.NoSpace) and the like work.
func (e *RemoteError) Is(target error) bool {
	reason, ok := target.(zfs.Reason)
	return ok && reason == e.Reason
}

// failure makes err fit to be sent to the other end.
func failure(node string, err error) *RemoteError {
	if err == nil {
		return nil
	}
	e := &RemoteError{Node: node, Text: err.Error()}
	var z *zfs.Error
	if errors.As(err, &z) {
		e.Reason = z.Reason
	}
	e.Advice, e.Code = exit.Hint(err), exit.Code(err)
	return e
}

// Unexpected is another program's text in place of the receiver's first line.
type Unexpected struct{ Node, Line string }

func (e *Unexpected) Error() string {
	return fmt.Sprintf("%s: the other end said %q instead of the receiver's first line", e.Node, shorten(e.Line, 80))
}

// Hint names the usual causes.
func (e *Unexpected) Hint() string {
	return "nothing may print at a login without a terminal (~/.bashrc there), and ssh.remote_command must be zfs-replicate"
}

// VersionError is a receiver of another protocol version.
type VersionError struct{ Node, Theirs string }

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s: its zfs-replicate speaks protocol %s, this node's speaks %d", e.Node, shorten(e.Theirs, 20), protocolVersion)
}

// Hint says how to fix it.
func (e *VersionError) Hint() string { return "install the same release of understudy on both nodes" }

// LostError is a link or a receiver that broke off in the middle of a session.
type LostError struct {
	Node  string
	Cause error
}

func (e *LostError) Error() string { return fmt.Sprintf("connection to %s lost: %v", e.Node, e.Cause) }
func (e *LostError) Unwrap() error { return e.Cause }

// Hint says how the streams continue.
func (e *LostError) Hint() string {
	return "the next run resumes the streams; check that the node is up and that the network between the nodes works"
}

// writtenTo is a target that ZFS refuses to receive into because it was written to.
type writtenTo struct {
	node string
	err  error
}

func (e *writtenTo) Error() string { return e.err.Error() }
func (e *writtenTo) Unwrap() error { return e.err }

// Hint says what to do next.
func (e *writtenTo) Hint() string {
	return fmt.Sprintf("run 'zfs-replicate rejoin' on %s: it preserves the changes written there", e.node)
}
func shorten(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}
