package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// fault is one kind of failure.
type fault struct {
	// Match is a regular expression for "METHOD /path".
	Match string `json:"match"`
	// Times is the number of failures; 0 stands for always.
	Times int `json:"times"`
	// Status is the status of the answer, with RetryAfter if set.
	Status     int    `json:"status"`
	RetryAfter string `json:"retry_after"`
	// Hang sends no answer, or After bytes of it.
	Hang  bool  `json:"hang"`
	After int64 `json:"after"`
	// Corrupt changes the last byte of the answer.
	Corrupt bool `json:"corrupt"`
	// Rate limits the bytes per second; 0 stands for no limit.
	Rate int `json:"rate"`

	expression *regexp.Regexp
	left       int
}

// server is the registry with its faults.
type server struct {
	listen, login string
	program       []byte
	real          http.Handler

	mu     sync.Mutex
	faults []*fault
	log    []string
}

func newServer(listen, program, login string) (*server, error) {
	s := &server{listen: listen, login: login, real: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	if program != "" {
		var err error
		if s.program, err = os.ReadFile(program); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *server) set(faults []*fault) error {
	for _, f := range faults {
		var err error
		if f.expression, err = regexp.Compile(f.Match); err != nil {
			return err
		}
		f.left = f.Times
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = faults
	return nil
}

func (s *server) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := s.log
	s.log = nil
	return lines
}

// next returns the fault for a request; nil when there is none.
func (s *server) next(what string) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log = append(s.log, what)
	for _, f := range s.faults {
		if !f.expression.MatchString(what) || f.Times > 0 && f.left == 0 {
			continue
		}
		f.left--
		return f
	}
	return nil
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/lab/") {
		s.lab(w, r)
		return
	}
	if user, password, _ := r.BasicAuth(); s.login != "" && user+":"+password != s.login {
		w.Header().Set("WWW-Authenticate", `Basic realm="lab"`)
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
		return
	}
	// containerd asks for the rest of a blob, which the library refuses. A
	// server may answer with the whole blob instead.
	if strings.HasSuffix(r.Header.Get("Range"), "-") {
		r.Header.Del("Range")
	}
	f := s.next(r.Method + " " + r.URL.Path)
	switch {
	case f == nil:
		s.real.ServeHTTP(w, r)
	case f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		w.WriteHeader(f.Status)
		fmt.Fprint(w, `{"errors":[{"code":"`+code(f.Status)+`","message":"as the lab wants it"}]}`)
	default:
		s.spoil(w, r, f)
	}
}

func code(status int) string {
	if status == http.StatusTooManyRequests {
		return "TOOMANYREQUESTS"
	}
	return "UNKNOWN"
}

// spoil sends the correct answer in a faulty way.
func (s *server) spoil(w http.ResponseWriter, r *http.Request, f *fault) {
	good := httptest.NewRecorder()
	s.real.ServeHTTP(good, r)
	body := good.Body.Bytes()
	if f.Corrupt && len(body) > 0 {
		body = bytes.Clone(body)
		body[len(body)-1] ^= 1
	}
	if f.Hang && f.After == 0 {
		<-r.Context().Done()
		return
	}
	for key, values := range good.Header() {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(good.Code)
	if f.Hang {
		send(w, body[:min(int(f.After), len(body))])
		<-r.Context().Done()
		return
	}
	if f.Rate == 0 {
		send(w, body)
		return
	}
	for len(body) > 0 && r.Context().Err() == nil {
		n := min(len(body), max(1, f.Rate/20))
		send(w, body[:n])
		body = body[n:]
		time.Sleep(50 * time.Millisecond)
	}
}

func send(w http.ResponseWriter, b []byte) {
	_, _ = w.Write(b) // who has gone is not our trouble
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
}

// make makes an image and stores it.
func (s *server) make(q url.Values) error {
	seed, err := strconv.ParseInt(q.Get("seed"), 10, 64)
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	size, err := strconv.ParseInt(q.Get("bytes"), 10, 64)
	if err != nil {
		return fmt.Errorf("bytes: %w", err)
	}
	ref, err := name.ParseReference(s.listen + "/" + q.Get("ref"))
	if err != nil {
		return err
	}
	image, err := makeImage(s.program, seed, size)
	if err != nil {
		return err
	}
	return remote.Write(ref, image, remote.WithTransport(direct{s.real}))
}

// direct answers requests without network and faults.
type direct struct{ handler http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	d.handler.ServeHTTP(w, r)
	resp := w.Result()
	resp.Request = r
	return resp, nil
}
