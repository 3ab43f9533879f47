package machine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"sync"

	"github.com/understudy-ha/understudy/pkg/run"
)

// protocol is the first line from the other end. Everything that a login prints
// before is skipped.
const protocol = "understudy-setup 1"

// request is a request of this end: one of its fields is set.
type request struct {
	Look  bool   `json:"look,omitempty"`
	Run   *Call  `json:"run,omitempty"`
	Read  string `json:"read,omitempty"`
	Write string `json:"write,omitempty"` // the path of File
	File  *File  `json:"file,omitempty"`
}

// reply is a line from the other end: a line that a program printed, or the last
// reply, with the result.
type reply struct {
	Line   string   `json:"line,omitempty"`
	Done   bool     `json:"done,omitempty"`
	Facts  *Facts   `json:"facts,omitempty"`
	Output *Output  `json:"output,omitempty"`
	File   *File    `json:"file,omitempty"`
	Failed *failure `json:"failed,omitempty"`
}

// failure is an error as sent between the machines.
type failure struct {
	Text string     `json:"text"`
	Run  *run.Error `json:"run,omitempty"`
	// Op and Path are those of a FileError.
	Op   string `json:"op,omitempty"`
	Path string `json:"path,omitempty"`
	Gone bool   `json:"gone,omitempty"` // a program or file does not exist
}

func failed(err error) *failure {
	if err == nil {
		return nil
	}
	f := &failure{Text: err.Error(), Gone: errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist)}
	if failed, ok := errors.AsType[*run.Error](err); ok {
		plain := *failed
		f.Text, plain.Cause = fmt.Sprint(failed.Cause), nil
		f.Run = &plain
	}
	if failed, ok := errors.AsType[*FileError](err); ok {
		f.Text, f.Op, f.Path = failed.Err.Error(), failed.Op, failed.Path
	}
	return f
}

// error turns a failure back into an error.
func (f *failure) error() error {
	if f == nil {
		return nil
	}
	cause := errors.New(f.Text)
	switch {
	case f.Run != nil:
		if f.Run.Cause = cause; f.Gone {
			f.Run.Cause = fmt.Errorf("%w: %w", exec.ErrNotFound, cause)
		}
		return f.Run
	case f.Op != "":
		return &FileError{f.Op, f.Path, cause}
	}
	return cause
}

// Serve runs the requests from in on m, until in ends. Programs that it started end
// with it.
func Serve(ctx context.Context, m Machine, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if _, err := fmt.Fprintln(out, protocol); err != nil {
		return fmt.Errorf("write the first line: %w", err)
	}
	requests := make(chan request)
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		defer close(requests)
		decoder := json.NewDecoder(bufio.NewReader(in))
		for {
			var r request
			if err := decoder.Decode(&r); err != nil {
				ended <- err
				return
			}
			select {
			case requests <- r:
			case <-ctx.Done():
				ended <- nil
				return
			}
		}
	}()
	var mu sync.Mutex
	encoder := json.NewEncoder(out)
	send := func(r reply) error {
		mu.Lock()
		defer mu.Unlock()
		return encoder.Encode(r)
	}
	for r := range requests {
		if err := send(answer(ctx, m, r, send)); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	if err := <-ended; err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read requests: %w", err)
	}
	return nil
}

// answer runs one request.
func answer(ctx context.Context, m Machine, r request, send func(reply) error) reply {
	var err error
	last := reply{Done: true}
	switch {
	case r.Look:
		var f Facts
		f, err = m.Inspect(ctx)
		last.Facts = &f
	case r.Run != nil && len(r.Run.Argv) > 0:
		var o Output
		// If a line can't be sent, the session is ending.
		r.Run.Say = func(line string) { _ = send(reply{Line: line}) }
		o, err = m.Run(ctx, *r.Run)
		last.Output = &o
	case r.Read != "":
		var f File
		f, err = m.Read(ctx, r.Read)
		last.File = &f
	case r.Write != "" && r.File != nil:
		err = m.Write(ctx, r.Write, *r.File)
	default:
		err = errors.New("an unknown request: install the same release on both nodes")
	}
	last.Failed = failed(err)
	return last
}
