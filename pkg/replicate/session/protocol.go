package session

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// The session protocol. The receiver prints the preamble on its stdout; after that
// stdin and stdout carry a yamux session, opened by the sender. Each yamux stream is
// one call (calls.go): one JSON line, then what the call's comment says, then the
// reply as JSON lines. The first call is hello. Anything else ends the session.
const (
	preamble        = "understudy zfs-replicate receiver, protocol "
	protocolVersion = 1
	maxLine         = 4 << 20 // bytes of one message
	snapsPerLine    = 4000    // about 100 bytes each
	maxCalls        = 64      // at the same time
)

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
	line, err := rawLine(r)
	if err != nil {
		return err
	}
	return decode(line, message, true)
}

// readCall takes the first line of a stream.
func readCall(r *bufio.Reader) (call, error) {
	line, err := rawLine(r)
	if err != nil {
		return nil, err
	}
	var o operation
	if err := decode(line, &o, false); err != nil {
		return nil, err
	}
	c := newCall(o.Op)
	if c == nil {
		return nil, fmt.Errorf("unknown call %q", shorten(o.Op, 20))
	}
	return c, decode(line, c, true)
}

// rawLine takes one line with its end.
func rawLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, errOversized
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

// decode decodes a line; a strict one has no unknown fields.
func decode(line []byte, message any, strict bool) error {
	decoder := json.NewDecoder(bytes.NewReader(line))
	if strict {
		decoder.DisallowUnknownFields()
	}
	if err := decoder.Decode(message); err != nil {
		return fmt.Errorf("decode message: %w", err)
	}
	if decoder.More() {
		return errors.New("decode message: text after its end")
	}
	return nil
}

// muxConfig makes both ends notice a dead link within stall: a ping each quarter of it,
// and three quarters for an answer or a write. The window is larger than ssh's own
// (2 MiB), so that the sender does not wait on busy machines. ssh's window bounds the
// bytes in front of a ping.
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

// lastLine keeps the end of yamux's log.
type lastLine struct {
	mu   sync.Mutex
	text string
}

func (l *lastLine) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = l.text + string(p)
	if over := len(l.text) - 2000; over > 0 {
		l.text = l.text[over:]
	}
	return len(p), nil
}

func (l *lastLine) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}
