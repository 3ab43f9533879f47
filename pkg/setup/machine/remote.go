package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Remote is a machine at the other end of a session.
type Remote struct {
	name    string
	in      io.WriteCloser
	replies chan reply
	ended   error // why replies ended; read it once replies is closed
	end     func() error
}

// slack is added to a call's own deadline before the session counts as lost.
const slack = 30 * time.Second

// shortCall bounds calls that have no deadline of their own.
const shortCall = 2 * time.Minute

// LostError is a session that ended unexpectedly.
type LostError struct {
	Host string
	Err  error
}

func (e *LostError) Error() string {
	return fmt.Sprintf("lost the session with %s: %v", e.Host, e.Err)
}
func (e *LostError) Unwrap() error { return e.Err }

// Hint says what to do next.
func (e *LostError) Hint() string {
	return "run it again: finished steps remain, and it continues from there"
}

// NewRemote returns the machine at the other end of in and out, once its first line has
// arrived. end closes the connection and returns why it ended.
func NewRemote(ctx context.Context, name string, in io.WriteCloser, out io.Reader, end func() error) (*Remote, error) {
	r := &Remote{name: name, in: in, replies: make(chan reply), end: end}
	lines := bufio.NewReaderSize(out, 64<<10)
	greeted := make(chan error, 1)
	go func() {
		for {
			line, err := lines.ReadString('\n')
			if err != nil || strings.TrimSpace(line) == protocol {
				greeted <- err
				return
			}
		}
	}()
	select {
	case err := <-greeted:
		if errors.Is(err, io.EOF) {
			err = errors.New("the program there is not failover-notify of this release")
		}
		if err != nil {
			return nil, r.why(err)
		}
	case <-ctx.Done():
		return nil, r.why(ctx.Err())
	}
	go r.receive(json.NewDecoder(lines))
	return r, nil
}

// Close ends the session.
func (r *Remote) Close() error {
	err := r.in.Close()
	go func() { // discard further replies
		for range r.replies {
		}
	}()
	return errors.Join(err, r.end())
}

func (r *Remote) receive(from *json.Decoder) {
	defer close(r.replies)
	for {
		var got reply
		if err := from.Decode(&got); err != nil {
			r.ended = err
			return
		}
		r.replies <- got
	}
}

// why returns the reason why the connection ended, or err.
func (r *Remote) why(err error) error {
	if why := r.end(); why != nil {
		return why
	}
	return err
}

// lost returns the error of a lost session.
func (r *Remote) lost(err error) error { return &LostError{r.name, r.why(err)} }

// call sends a request and returns its last reply.
func (r *Remote) call(ctx context.Context, ask request, timeout time.Duration, say func(string)) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+slack)
	defer cancel()
	if err := json.NewEncoder(r.in).Encode(ask); err != nil {
		return reply{}, r.lost(err)
	}
	for {
		select {
		case got, more := <-r.replies:
			switch {
			case !more:
				return reply{}, r.lost(r.ended)
			case got.Done:
				return got, got.Failed.error()
			case say != nil:
				say(got.Line)
			}
		case <-ctx.Done():
			return reply{}, r.lost(ctx.Err())
		}
	}
}

// Inspect returns the facts of the machine.
func (r *Remote) Inspect(ctx context.Context) (Facts, error) {
	got, err := r.call(ctx, request{Look: true}, shortCall, nil)
	if got.Facts == nil {
		got.Facts = &Facts{}
	}
	return *got.Facts, err
}

// Run runs a program on the machine.
func (r *Remote) Run(ctx context.Context, c Call) (Output, error) {
	got, err := r.call(ctx, request{Run: &c}, c.Timeout, c.Say)
	if got.Output == nil {
		got.Output = &Output{}
	}
	return *got.Output, err
}

// Read reads a file of the machine.
func (r *Remote) Read(ctx context.Context, path string) (File, error) {
	got, err := r.call(ctx, request{Read: path}, shortCall, nil)
	if got.File == nil {
		got.File = &File{}
	}
	return *got.File, err
}

// Write replaces a file of the machine.
func (r *Remote) Write(ctx context.Context, path string, f File) error {
	_, err := r.call(ctx, request{Write: path, File: &f}, shortCall, nil)
	return err
}
