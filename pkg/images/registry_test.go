package images

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// flaky is a real registry before which something may stand.
type flaky struct {
	mu     sync.Mutex
	before http.HandlerFunc // nil: nothing
	asked  []string
	real   http.Handler
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.URL.Path)
	before := f.before
	f.mu.Unlock()
	if before != nil {
		before(w, r)
		return
	}
	f.real.ServeHTTP(w, r)
}

func TestRegistries(t *testing.T) {
	f := &flaky{real: fake.New(fake.Logger(log.New(io.Discard, "", 0)))}
	server := httptest.NewServer(f)
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	made, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(host + "/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, made); err != nil {
		t.Fatal(err)
	}
	want, err := made.Digest()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	asked := 0
	r := &registries{pauses: &pauses{}, insecure: []string{"127.0.0.0/8"}, now: func() time.Time { return now },
		credentials: func(context.Context, string) (authn.AuthConfig, error) { asked++; return authn.AuthConfig{}, nil }}
	target, err := parse(host + "/app:1")
	if err != nil {
		t.Fatal(err)
	}
	f.asked = nil
	for range 3 {
		if got, err := r.digest(t.Context(), target); err != nil || got != want.String() {
			t.Errorf("%s instead of %s, %v", got, want, err)
		}
	}
	if fmt.Sprint(f.asked) != "[GET /v2/ HEAD /v2/app/manifests/1 HEAD /v2/app/manifests/1 HEAD /v2/app/manifests/1]" || asked != 1 {
		t.Errorf("asked for %q, and %d times who we are", f.asked, asked)
	}
	f.before = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	}
	if _, err := r.digest(t.Context(), target); kindOf(err) != limited || r.pauses.left(host, now) != 7*time.Second {
		t.Errorf("%v, left %s", err, r.pauses.left(host, now))
	}
	f.before = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	f.asked = nil
	if _, err := r.digest(t.Context(), target); kindOf(err) != down || len(f.asked) != 1 {
		t.Errorf("%v, asked %q", err, f.asked)
	}
	f.before = nil
	if _, err := r.digest(t.Context(), target.at("none")); kindOf(err) != permanent {
		t.Errorf("%v", err)
	}
	hanging, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	f.before = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	if _, err := r.digest(hanging, target); kindOf(err) != down {
		t.Errorf("%v", err)
	}
	server.Close()
	if _, err := r.digest(t.Context(), target); kindOf(err) != down {
		t.Errorf("%v", err)
	}
}

func TestInsecureRegistries(t *testing.T) {
	r := &registries{insecure: []string{"127.0.0.0/8", "::1/128", "lan.example:5000", "192.168.0.0/16"}}
	for host, want := range map[string]bool{
		"127.0.0.1:5000": true, "localhost:5000": true, "[::1]:5000": true, "lan.example:5000": true, "192.168.1.2": true,
		"ghcr.io": false, "10.0.0.1:5000": false, "lan.example": false,
	} {
		if got := r.isInsecure(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}
