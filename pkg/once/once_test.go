package once_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/once"
)

func dial(address string) once.Dial {
	return func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", address) }
}

func request(t *testing.T, ctx context.Context, method, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestRoundTrip(t *testing.T) {
	large := strings.Repeat("all of it ", 100_000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		said, _ := io.ReadAll(r.Body)
		w.Header().Set("Said", string(said))
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, large) // too long for a length: it comes in chunks
	}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	resp, err := once.RoundTrip(request(t, t.Context(), http.MethodPost, server.URL, strings.NewReader("hello")), dial(address))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil || string(text) != large || resp.StatusCode != http.StatusTeapot || resp.Header.Get("Said") != "hello" {
		t.Errorf("%v, %d bytes, %+v", err, len(text), resp)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	// One that is not read to its end is closed just the same.
	resp, err = once.RoundTrip(request(t, t.Context(), http.MethodGet, server.URL, nil), dial(address))
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
}

func TestRoundTripTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	encrypted := func(ctx context.Context) (net.Conn, error) {
		return (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	resp, err := once.RoundTrip(request(t, t.Context(), http.MethodGet, server.URL, nil), encrypted)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
}

// TestSilent are servers that accept and then say nothing, stop in the middle,
// or hang up.
func TestSilent(t *testing.T) {
	for name, says := range map[string]string{"nothing": "", "half an answer": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"} {
		t.Run(name, func(t *testing.T) {
			listener := listen(t, func(conn net.Conn) {
				_, _ = io.WriteString(conn, says)
				_, _ = io.Copy(io.Discard, conn) // until the other side ends it
			})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			resp, err := once.RoundTrip(request(t, ctx, http.MethodGet, "http://silent", nil), dial(listener))
			if says == "" {
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var read bytes.Buffer
			if _, err := io.Copy(&read, resp.Body); err == nil || read.String() != "half" {
				t.Errorf("%v, %q", err, read.String())
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestHangsUp(t *testing.T) {
	address := listen(t, func(conn net.Conn) {
		buffer := make([]byte, 4096)
		_, _ = conn.Read(buffer)
	})
	_, err := once.RoundTrip(request(t, t.Context(), http.MethodGet, "http://short", nil), dial(address))
	if err == nil || !strings.Contains(err.Error(), "closed without an answer") {
		t.Errorf("%v", err)
	}
}

// listen serves each connection with a function that owns it.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}
