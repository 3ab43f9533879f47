package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// unpackTime is how long the engine may be silent while it unpacks, which is
// bound to the disk and not to the network.
const unpackTime = 10 * time.Minute

// Progress is told how a transfer gets on. Bytes and total are of one layer,
// or of the whole where layer is "".
type Progress func(layer string, bytes, total int64)

// Pull is an image to pull.
type Pull struct {
	// Repository and Tag name it; Tag may be a digest, sha256:….
	Repository, Tag string
	Platform        string // "" is the engine's own
	// Auth is the header X-Registry-Auth; "" is nobody.
	Auth string
	// Stall is how long a layer, or all of them, may stand still.
	Stall    time.Duration
	Progress Progress // may be nil
}

func (p Pull) String() string {
	if strings.Contains(p.Tag, ":") {
		return p.Repository + "@" + p.Tag
	}
	return p.Repository + ":" + p.Tag
}

// StallError is a transfer in which nothing moved any more.
type StallError struct {
	What  string // the image
	Layer string // "" when it is not one layer
	For   time.Duration
}

func (e *StallError) Error() string {
	if e.Layer != "" {
		return fmt.Sprintf("%s: layer %s stands still for %s", e.What, e.Layer, e.For)
	}
	return fmt.Sprintf("%s: nothing has moved for %s", e.What, e.For)
}

// Hint says what to do next.
func (e *StallError) Hint() string {
	return "see that the registry and the network to it work; images.stall is how long is waited"
}

// Pull has the engine pull an image. What fails within its answer, which begins
// with 200, is an *Error too.
func (e *Engine) Pull(ctx context.Context, p Pull) error {
	op := "pull " + p.String()
	query := url.Values{"fromImage": {p.Repository}, "tag": {p.Tag}}
	if p.Platform != "" {
		query.Set("platform", p.Platform)
	}
	header := http.Header{}
	if p.Auth != "" {
		header.Set("X-Registry-Auth", p.Auth)
	}
	w := newWatch(p.String(), p.Stall, p.Progress)
	ctx, stop := w.start(ctx)
	defer stop()
	resp, err := e.open(ctx, op, http.MethodPost, "/images/create", query, header, nil)
	if err != nil {
		return w.cause(ctx, err)
	}
	defer resp.Body.Close()
	_, err = e.follow(op, resp.Body, w)
	return w.cause(ctx, err)
}

// loaded is how the engine names what it has loaded.
var loaded = regexp.MustCompile(`(?m)^Loaded image(?: ID)?: (\S+)`)

// Load gives the engine an image as Save writes it, and returns by what ids or
// names it has it now. It ends when nothing moves for stall, once it has begun;
// in is closed then, if it can be, since nothing else ends a Read that hangs.
func (e *Engine) Load(ctx context.Context, what string, in io.Reader, stall time.Duration, progress Progress) ([]string, error) {
	op := "load " + what
	w := newWatch(what, stall, progress)
	ctx, stop := w.start(ctx)
	defer stop()
	if closer, ok := in.(io.Closer); ok {
		defer context.AfterFunc(ctx, func() { _ = closer.Close() })()
	}
	// Whoever saves it may be at work for long before the first byte.
	w.unpacking()
	header := http.Header{"Content-Type": {"application/x-tar"}}
	resp, err := e.open(ctx, op, http.MethodPost, "/images/load", url.Values{"quiet": {"0"}}, header, w.reader(in))
	if err != nil {
		return nil, w.cause(ctx, err)
	}
	defer resp.Body.Close()
	said, err := e.follow(op, resp.Body, w)
	if err != nil {
		return nil, w.cause(ctx, err)
	}
	var names []string
	for _, match := range loaded.FindAllStringSubmatch(said, -1) {
		names = append(names, match[1])
	}
	return names, nil
}

// Save writes an image, by its id, as "docker save" does. It ends when nothing
// moves for stall.
func (e *Engine) Save(ctx context.Context, id string, out io.Writer, stall time.Duration) error {
	op := "save image " + short(trim(id))
	w := newWatch(id, stall, nil)
	ctx, stop := w.start(ctx)
	defer stop()
	// The engine collects the image before it says the first byte.
	w.unpacking()
	resp, err := e.open(ctx, op, http.MethodGet, "/images/"+escape(id)+"/get", nil, nil, nil)
	if err != nil {
		return w.cause(ctx, err)
	}
	defer resp.Body.Close()
	if _, err := io.CopyBuffer(out, onlyReader{w.reader(resp.Body)}, make([]byte, 1<<20)); err != nil {
		return w.cause(ctx, fmt.Errorf("%s: %w", op, err))
	}
	return nil
}

// onlyReader hides all but Read, so that the buffer is used.
type onlyReader struct{ io.Reader }

// open asks the engine for a stream. Who calls closes it; ctx bounds it.
func (e *Engine) open(ctx context.Context, op, method, path string, query url.Values, header http.Header, body io.Reader) (*http.Response, error) {
	if body != nil {
		// It can be sent once only, so the version has to be right.
		if _, err := e.choose(ctx, op); err != nil {
			return nil, err
		}
	}
	return e.negotiated(ctx, op, func(prefix string) (*http.Response, error) {
		req, err := http.NewRequestWithContext(ctx, method, target(prefix, path, query), body)
		if err != nil {
			return nil, err
		}
		for name, values := range header {
			req.Header[name] = values
		}
		resp, err := e.client.Do(req)
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err
		}
		return resp, err
	})
}

// event is one line of the engine's answer.
type event struct {
	ID             string
	Status, Stream string
	ProgressDetail struct{ Current, Total int64 }
	Error          string
	ErrorDetail    struct {
		Code    int
		Message string
	}
}

// follow reads the engine's answer to its end and returns what it said in
// words.
func (e *Engine) follow(op string, body io.Reader, w *watch) (string, error) {
	var said strings.Builder
	lines := json.NewDecoder(body)
	for {
		var line event
		err := lines.Decode(&line)
		if errors.Is(err, io.EOF) {
			return said.String(), nil
		}
		if err != nil {
			return said.String(), &Error{Op: op, Socket: e.socket, Err: err}
		}
		if text := line.ErrorDetail.Message; text != "" || line.Error != "" {
			if text == "" {
				text = line.Error
			}
			return said.String(), &Error{Op: op, Socket: e.socket, Status: http.StatusOK, Text: strings.TrimSpace(text)}
		}
		said.WriteString(line.Stream)
		w.event(line)
	}
}
