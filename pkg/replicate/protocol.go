package replicate

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/replicate/prune"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// The session protocol. The receiver prints preamble on its stdout; after that
// stdin and stdout carry a yamux session, opened by the sender. Each yamux
// stream is one call: a request as one JSON line, then what the call's comment
// says, then the reply as JSON lines. The first call is hello. Whatever does
// not fit ends the session.
const (
	preamble        = "understudy zfs-replicate receiver, protocol "
	protocolVersion = 1
	maxLine         = 4 << 20 // bytes of one message
	snapsPerLine    = 4000    // about 100 bytes each
	maxCalls        = 64      // under way at once
)

// The calls.
const (
	opHello     = "hello"     // who is there; reply: helloReply
	opInventory = "inventory" // reply: an inventoryLine a dataset, a last one with End
	opReceive   = "receive"   // followed by the stream, to the end of this direction; reply: ack
	opRename    = "rename"    // reply: ack
	opAbort     = "abort"     // drops a partial receive; reply: ack
	opContain   = "contain"   // makes a pool's root a container; reply: ack
	opPrune     = "prune"     // applies the receiver's own retention; reply: pruneReply
	opBye       = "bye"       // the run is over; reply: byeReply
)

// request is the first line of a call. Which fields count depends on Op.
type request struct {
	Op string `json:"op"`

	// hello
	Version int        `json:"version,omitempty"`
	Release string     `json:"release,omitempty"`
	Node    string     `json:"node,omitempty"`
	Role    state.Role `json:"role,omitempty"`
	Term    uint64     `json:"term,omitempty"`

	// inventory
	Roots []zfs.Root `json:"roots,omitempty"`

	// receive, rename (from Dataset to To), abort, contain
	Dataset  string            `json:"dataset,omitempty"`
	Type     zfs.Type          `json:"type,omitempty"`
	To       string            `json:"to,omitempty"`
	GUID     zfs.GUID          `json:"guid,omitempty"`
	Snapshot string            `json:"snapshot,omitempty"`
	TXG      uint64            `json:"txg,omitempty"` // the sender's, in which the snapshot was taken
	Origin   string            `json:"origin,omitempty"`
	Flags    string            `json:"flags,omitempty"`
	Compress string            `json:"compress,omitempty"`
	Set      map[string]string `json:"set,omitempty"`

	// bye: every dataset of the configuration is current on the standby
	Complete bool `json:"complete,omitempty"`
	// bye: dataset on the standby → what both sides have there that the other has not
	Conflicts map[string]string `json:"conflicts,omitempty"`

	// prune: dataset → guid of the newest common snapshot
	Protect map[string]zfs.GUID `json:"protect,omitempty"`

	// hello: nothing is going to be changed; prune: nothing may be
	DryRun bool `json:"dry_run,omitempty"`
}

// harmless says whether a call changes nothing.
func (r request) harmless() bool {
	return r.Op == opInventory || r.Op == opBye || r.Op == opPrune && r.DryRun
}

type helloReply struct {
	ack
	Version int        `json:"version"`
	Release string     `json:"release"`
	Node    string     `json:"node"`
	Role    state.Role `json:"role"`
	Term    uint64     `json:"term"`
	ZFS     string     `json:"zfs,omitempty"`
	Time    time.Time  `json:"time"`
}

// inventoryLine is one dataset, or more snapshots of the dataset before.
type inventoryLine struct {
	ack
	Dataset *zfs.Dataset `json:"dataset,omitempty"`
	Snaps   []zfs.Snap   `json:"snaps,omitempty"`
	End     bool         `json:"end,omitempty"`
}

type pruneReply struct {
	ack
	Pruned []prune.Result `json:"pruned,omitempty"`
}

type byeReply struct {
	ack
	Processes map[string]int `json:"processes"`
}

// ack is in every reply: what went wrong, or nothing.
type ack struct {
	Failure *RemoteError `json:"failure,omitempty"`
	Warning string       `json:"warning,omitempty"` // done, but not all of it as wanted
}

func (a ack) err() error {
	if a.Failure == nil {
		return nil
	}
	return a.Failure
}

// RemoteError is a failure at the other end.
type RemoteError struct {
	Node   string     `json:"node"`
	Text   string     `json:"text"`
	Advice string     `json:"hint,omitempty"`
	Code   int        `json:"code,omitempty"` // the exit code that it has, or would have, there
	Reason zfs.Reason `json:"reason,omitempty"`
}

func (e *RemoteError) Error() string { return fmt.Sprintf("on %s: %s", e.Node, e.Text) }

// Hint is what the other end advises.
func (e *RemoteError) Hint() string { return e.Advice }

// ExitCode is that of a refusal, or of a failure.
func (e *RemoteError) ExitCode() int {
	if e.Code == 0 {
		return 1
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

// writeLine sends one message.
func writeLine(w io.Writer, message any) error {
	line, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	if len(line) >= maxLine {
		return fmt.Errorf("message of %d bytes is over the limit of %d", len(line), maxLine)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// errOversized is a message longer than maxLine.
var errOversized = fmt.Errorf("message of over %d bytes", maxLine)

// readLine takes one message. Unknown fields and trailing text are errors.
func readLine(r *bufio.Reader, message any) error {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return errOversized
		}
		if err == nil {
			break
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(line)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(message); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	if decoder.More() {
		return errors.New("decode message: text after its end")
	}
	return nil
}

// muxConfig makes a dead link known to both ends within stall: a ping each
// quarter of it, and three quarters for an answer or for a write to go through.
// The window is larger than ssh's own (2 MiB), which bounds what a ping can be
// behind of; a smaller one makes the sender wait on busy machines.
func muxConfig(stall time.Duration, log io.Writer) *yamux.Config {
	c := yamux.DefaultConfig()
	c.EnableKeepAlive = true
	c.KeepAliveInterval = max(stall/4, time.Second)
	c.ConnectionWriteTimeout = max(stall*3/4, time.Second)
	c.MaxStreamWindowSize = 8 << 20
	c.StreamOpenTimeout = stall
	// A call's reply may come hours after the sender has closed its half.
	c.StreamCloseTimeout = 365 * 24 * time.Hour
	c.LogOutput = log
	return c
}
