package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/pkg/once"
)

// DefaultTimeout bounds each call: an engine that boots accepts connections and
// says nothing.
const DefaultTimeout = 5 * time.Second

// Engine is the Docker Engine behind a socket.
type Engine struct {
	socket string
	dial   once.Dial
	client *http.Client // for streams, which go both ways at the same time
	host   string       // the folder of this machine's files; "/" but in tests

	mu  sync.Mutex
	api string // the version of its API that was spoken last
}

// New returns the engine behind a unix socket. Nothing is asked yet.
func New(socket string) *Engine {
	dial := func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	stream := func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) }
	return &Engine{socket: socket, dial: dial, host: "/", client: &http.Client{Transport: &http.Transport{DialContext: stream, DisableKeepAlives: true}}}
}

// Socket is the path of the engine's socket.
func (e *Engine) Socket() string { return e.socket }

// Error is a call that the engine did not answer, or answered with an error.
type Error struct {
	Op     string // such as "list containers"
	Socket string
	// Status is the HTTP status of the answer; 0 when there was none.
	Status int
	Text   string // what the engine said
	Err    error
}

func (e *Error) Error() string {
	switch {
	case e.Status == http.StatusOK: // it had begun well
		return fmt.Sprintf("%s: %s", e.Op, e.Text)
	case errors.Is(e.Err, errAPI):
		return fmt.Sprintf("%s: the Docker Engine and this program share no API version: %s", e.Op, e.Text)
	case e.Status != 0:
		return fmt.Sprintf("%s: the Docker Engine says %d: %s", e.Op, e.Status, e.Text)
	case e.silent():
		return fmt.Sprintf("%s: the Docker Engine does not answer", e.Op)
	case errors.Is(e.Err, fs.ErrNotExist), errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("%s: the Docker Engine does not run (%s)", e.Op, e.Socket)
	}
	return fmt.Sprintf("%s: %v", e.Op, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Down reports whether there was no answer at all.
func (e *Error) Down() bool { return e.Status == 0 }

func (e *Error) silent() bool {
	return errors.Is(e.Err, context.DeadlineExceeded) || errors.Is(e.Err, os.ErrDeadlineExceeded)
}

// Hint says what to do next.
func (e *Error) Hint() string {
	switch {
	case errors.Is(e.Err, errAPI) && strings.Contains(e.Text, "client version"):
		return "install a newer release of Understudy, which knows more than API " + newestAPI + "; restarting docker does not help"
	case errors.Is(e.Err, errAPI):
		return "upgrade the Docker Engine to 20.10 or later; restarting it does not help"
	case e.silent():
		return "look at it with 'systemctl status docker' and 'journalctl -u docker'"
	case errors.Is(e.Err, fs.ErrPermission):
		return "run this as root, or as a user who may use " + e.Socket
	case e.Status == 0:
		return "start it ('systemctl start docker'), or name its socket under services.socket"
	}
	return ""
}

// IsDown reports whether err is an engine that did not answer.
func IsDown(err error) bool {
	failed, ok := errors.AsType[*Error](err)
	return ok && failed.Down()
}

// NotFound reports whether err is the engine's word that something is not there.
func NotFound(err error) bool { return status(err) == http.StatusNotFound }

// status is the engine's answer to a call that has failed; 0 for none.
func status(err error) int {
	if failed, ok := errors.AsType[*Error](err); ok {
		return failed.Status
	}
	return 0
}

// call asks the engine. The answer is decoded into out unless that is nil.
func (e *Engine) call(ctx context.Context, timeout time.Duration, op, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var data []byte
	if in != nil {
		var err error
		if data, err = json.Marshal(in); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	resp, err := e.negotiated(ctx, op, func(prefix string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, method, target(prefix, path, query), bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		if in != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		return e.roundTrip(req)
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return &Error{Op: op, Socket: e.socket, Err: err}
	}
	return nil
}

// roundTrip sends one small request over a connection of its own.
func (e *Engine) roundTrip(req *http.Request) (*http.Response, error) {
	return once.RoundTrip(req, e.dial)
}

// target is the address of a call under a version.
func target(prefix, path string, query url.Values) string {
	at := "http://docker" + prefix + path
	if len(query) > 0 {
		at += "?" + query.Encode()
	}
	return at
}

// refusal is what the engine says instead of doing it.
func (e *Engine) refusal(op string, resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // the status is what matters
	var said struct{ Message string }
	if json.Unmarshal(text, &said) == nil && said.Message != "" {
		text = []byte(said.Message)
	}
	return &Error{Op: op, Socket: e.socket, Status: resp.StatusCode, Text: strings.TrimSpace(string(text))}
}

// Ping reports whether the engine answers, and in a version of its API that this
// program speaks.
func (e *Engine) Ping(ctx context.Context) error {
	return e.call(ctx, DefaultTimeout, "ask the Docker Engine", http.MethodGet, "/_ping", nil, nil, nil)
}

// HasImage reports whether an image (a reference or an id) is here.
func (e *Engine) HasImage(ctx context.Context, ref string) (bool, error) {
	err := e.call(ctx, DefaultTimeout, "look for image "+ref, http.MethodGet, "/images/"+escape(ref)+"/json", nil, nil, nil)
	if NotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// escape keeps the slashes of a reference, which the engine's paths take.
func escape(ref string) string { return (&url.URL{Path: ref}).EscapedPath() }

// EnsureNetwork makes a bridge network of that name unless there is one. Two
// that do so at the same time make one.
func (e *Engine) EnsureNetwork(ctx context.Context, name string) (made bool, err error) {
	op := "make network " + name
	err = e.call(ctx, DefaultTimeout, op, http.MethodGet, "/networks/"+escape(name), nil, nil, nil)
	if err == nil || !NotFound(err) {
		return false, err
	}
	in := map[string]any{"Name": name, "CheckDuplicate": true, "Driver": "bridge"}
	err = e.call(ctx, 2*DefaultTimeout, op, http.MethodPost, "/networks/create", nil, in, nil)
	if failed, ok := errors.AsType[*Error](err); ok && failed.Status == http.StatusConflict {
		return false, nil
	}
	return err == nil, err
}

// Stop stops a container: SIGTERM (or what its image says), and SIGKILL after
// grace. One that does not run is fine.
func (e *Engine) Stop(ctx context.Context, id string, grace time.Duration) error {
	seconds := int(grace.Round(time.Second).Seconds())
	err := e.call(ctx, grace+2*DefaultTimeout, "stop container "+short(id), http.MethodPost, "/containers/"+id+"/stop", url.Values{"t": {strconv.Itoa(seconds)}}, nil, nil)
	if NotFound(err) {
		return nil
	}
	return err
}

// Kill ends a container at once. One that does not run is fine.
func (e *Engine) Kill(ctx context.Context, id string) error {
	err := e.call(ctx, DefaultTimeout, "kill container "+short(id), http.MethodPost, "/containers/"+id+"/kill", nil, nil, nil)
	if failed, ok := errors.AsType[*Error](err); ok && (failed.Status == http.StatusNotFound || failed.Status == http.StatusConflict) {
		return nil
	}
	return err
}

// Remove removes a container that does not run; one that is not there is fine.
// Its volumes stay.
func (e *Engine) Remove(ctx context.Context, id string) error {
	err := e.call(ctx, DefaultTimeout, "remove container "+short(id), http.MethodDelete, "/containers/"+id, nil, nil, nil)
	if NotFound(err) {
		return nil
	}
	return err
}

// short is how a container's id is shown to people.
func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}
