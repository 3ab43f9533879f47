package testengine

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Gate stands before a handler and lets through what is asked under a version that it
// accepts, without the version in the path.
type Gate struct {
	next http.Handler

	mu       sync.Mutex
	min, max int // N of 1.N
	header   bool
	calls    []string
}

// New returns a gate for the versions from min to max, such as "1.24" and "1.41".
func New(next http.Handler, min, max string) *Gate {
	g := &Gate{next: next, header: true}
	g.Upgrade(min, max)
	return g
}

// Upgrade makes another engine of it, on the same socket.
func (g *Gate) Upgrade(min, max string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.min, g.max = minor(min), minor(max)
}

// HideVersion leaves out the header by which an engine tells its newest version, as
// some filters between an engine and its callers do.
func (g *Gate) HideVersion() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.header = false
}

// Calls returns the paths that were asked for, as they were asked for, and forgets
// them.
func (g *Gate) Calls() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	calls := g.calls
	g.calls = nil
	return calls
}

var versioned = regexp.MustCompile(`^/v1\.(\d+)(/.*)$`)

// ServeHTTP answers as moby's middleware for versions does.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	refusal := g.refuses(w, r)
	switch {
	case refusal != "":
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": refusal})
	case strings.HasSuffix(r.URL.Path, "/_ping"):
		fmt.Fprint(w, "OK")
	default:
		g.next.ServeHTTP(w, r)
	}
}

// refuses returns why the engine refuses a request; "" when it does not. It takes the
// version out of the path.
func (g *Gate) refuses(w http.ResponseWriter, r *http.Request) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, r.URL.Path)
	if g.header {
		w.Header().Set("Api-Version", fmt.Sprintf("1.%d", g.max))
	}
	match := versioned.FindStringSubmatch(r.URL.Path)
	if match == nil {
		return ""
	}
	r.URL.Path = match[2]
	r.URL.RawPath = ""
	switch asked, _ := strconv.Atoi(match[1]); {
	case asked < g.min:
		return fmt.Sprintf("client version 1.%d is too old. Minimum supported API version is 1.%d, please upgrade your client to a newer version", asked, g.min)
	case asked > g.max:
		return fmt.Sprintf("client version 1.%d is too new. Maximum supported API version is 1.%d", asked, g.max)
	}
	return ""
}

// Serve has a handler answer on a socket until the test ends, and returns its path.
func Serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	// Not t.TempDir: its name may be too long for a socket.
	dir, err := os.MkdirTemp("", "engine")
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }() // it ends with the test
	t.Cleanup(func() {
		_ = server.Close()
		_ = os.RemoveAll(dir)
	})
	return socket
}

func minor(version string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(version, "1."))
	if err != nil {
		panic("no version: " + version)
	}
	return n
}
