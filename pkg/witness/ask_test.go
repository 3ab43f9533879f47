package witness_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/witness"
)

// silent listens and never accepts: a connection is established by the kernel, but an
// HTTP request gets no answer.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// closed returns an address on which no process listens.
func closed(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return address
}

func TestNoTargets(t *testing.T) {
	got := witness.Ask(t.Context(), nil, time.Second)
	if got.Configured || !got.Reachable {
		t.Errorf("%+v", got)
	}
}

func TestTargets(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	defer broken.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	defer untrusted.Close()
	open, hangs := "tcp://"+silent(t), "http://"+silent(t)
	for _, c := range []struct {
		name    string
		targets []string
		by      string // empty: none answers
	}{
		{"ping", []string{"ping://127.0.0.1"}, "ping://127.0.0.1"},
		{"a host by its name", []string{"ping://localhost"}, "ping://localhost"},
		{"open port", []string{open}, open},
		{"closed port: the host is there", []string{"tcp://" + closed(t)}, "tcp://"},
		{"HTTP error: the host is there", []string{broken.URL}, broken.URL},
		{"unknown certificate: the host is there", []string{untrusted.URL}, untrusted.URL},
		{"first answer counts", []string{hangs, "ping://127.0.0.1"}, "ping://127.0.0.1"},
		{"hangs", []string{hangs}, ""},
		{"an address without a route", []string{"ping://255.255.255.255", "tcp://255.255.255.255:1"}, ""},
		{"no such scheme", []string{"carrier-pigeon://x"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := time.Now()
			got := witness.Ask(t.Context(), c.targets, 300*time.Millisecond)
			if took := time.Since(began); took > 600*time.Millisecond {
				t.Errorf("took %s", took)
			}
			if got.Reachable != (c.by != "") || !strings.HasPrefix(got.By, c.by) {
				t.Errorf("%+v, want an answer by %q", got, c.by)
			}
			if !got.Reachable && len(got.Failures) != len(c.targets) {
				t.Errorf("failures %v of targets %v", got.Failures, c.targets)
			}
			if !got.Reachable && !strings.Contains(got.String(), "no witness answers") {
				t.Errorf("%s", got)
			}
		})
	}
}

func TestFirstAnswerDoesNotWait(t *testing.T) {
	got := witness.Ask(t.Context(), []string{"http://" + silent(t), "ping://127.0.0.1"}, 5*time.Second)
	if !got.Reachable || got.Took > time.Second {
		t.Errorf("%+v", got)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got := witness.Ask(ctx, []string{"http://" + silent(t)}, time.Minute)
	if got.Reachable || got.Took > time.Second {
		t.Errorf("%+v", got)
	}
}
