package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// The versions of the Engine API that this package speaks. The oldest has all it
// needs, and is the newest of Docker 20.10. Up to the newest, no answer it reads has
// lost a field, by the API's version history.
//
// A path without a version would mean the engine's own newest one. Docker has
// deprecated such paths, and what a later version answers is not known.
const (
	oldestAPI = "1.41"
	newestAPI = "1.56"
)

// tooFar is how an engine refuses a version: it is too old or too new for it.
var tooFar = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`client version \S+ is too (?:old|new)`)
})

// errAPI marks an engine with which no version is shared.
var errAPI = errors.New("no version of the Engine API in common")

// IsRefused reports whether err is an engine that answers, but shares no version of
// its API with this program.
func IsRefused(err error) bool { return errors.Is(err, errAPI) }

// API returns the version of the Engine API that was spoken last; "" before the
// first call.
func (e *Engine) API() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.api
}

// SetAPI has the next call try a version that an earlier process spoke, so that it
// needs no question of its own. An engine that has been replaced since refuses it,
// and is asked then.
func (e *Engine) SetAPI(version string) {
	if minor(version) < minor(oldestAPI) || minor(version) > minor(newestAPI) {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.api = version
}

// minor returns N of version 1.N; -1 for anything else.
func minor(version string) int {
	text, found := strings.CutPrefix(version, "1.")
	if n, err := strconv.Atoi(text); found && err == nil && n >= 0 {
		return n
	}
	return -1
}

// negotiated sends a request under a version that the engine accepts. An engine may
// be upgraded while this process runs: when it refuses the version, it has done
// nothing yet, so the request is sent once more under another one.
func (e *Engine) negotiated(ctx context.Context, op string, send func(prefix string) (*http.Response, error)) (*http.Response, error) {
	version := e.API()
	if version == "" {
		var err error
		if version, err = e.choose(ctx, op); err != nil {
			return nil, err
		}
	}
	resp, err := e.answer(op, version, send)
	if refused, ok := errors.AsType[*Error](err); !ok || !refused.version() {
		return resp, err
	}
	next, chooseErr := e.choose(ctx, op)
	if chooseErr != nil {
		return nil, chooseErr
	}
	if next != version {
		resp, err = e.answer(op, next, send)
	}
	if refused, ok := errors.AsType[*Error](err); ok && refused.version() {
		refused.Err = errAPI
	}
	return resp, err
}

// answer sends a request and returns the answer, or as an error what the engine
// says instead of doing it.
func (e *Engine) answer(op, version string, send func(prefix string) (*http.Response, error)) (*http.Response, error) {
	resp, err := send("/v" + version)
	if err != nil {
		return nil, &Error{Op: op, Socket: e.socket, Err: err}
	}
	if resp.StatusCode < 300 || resp.StatusCode == http.StatusNotModified {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, e.refusal(op, resp)
}

// choose asks the engine for its newest version and returns the newest that both
// speak, which API returns from now on. The path has no version: engines of all ages
// answer there.
func (e *Engine) choose(ctx context.Context, op string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return "", fmt.Errorf("%s: %w", op, err)
	}
	resp, err := e.roundTrip(req)
	if err != nil {
		return "", &Error{Op: op, Socket: e.socket, Err: err}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10)) // the header is what matters
	_ = resp.Body.Close()
	// What stands between, such as a filter of calls, may leave the header out.
	newest := cmp.Or(resp.Header.Get("Api-Version"), oldestAPI)
	switch n := minor(newest); {
	case n >= 0 && n < minor(oldestAPI):
		return "", &Error{Op: op, Socket: e.socket, Status: http.StatusBadRequest, Err: errAPI,
			Text: fmt.Sprintf("it speaks API %s at most, which is too old: this program needs %s (Docker 20.10)", newest, oldestAPI)}
	case n < 0 || n > minor(newestAPI):
		newest = newestAPI
	}
	e.SetAPI(newest)
	return newest, nil
}

// version reports whether the engine has refused a call for the version it was made
// under.
func (e *Error) version() bool {
	return e.Status == http.StatusBadRequest && tooFar().MatchString(e.Text)
}
