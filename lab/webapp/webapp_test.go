package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAppNumbersItsLinesAndGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	for start := range 2 {
		a, err := openApp("mail", "a", dir)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			w := httptest.NewRecorder()
			a.handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/write?id=x", nil))
			if want := fmt.Sprintf("%d\n", start*3+i+1); w.Code != 200 || w.Body.String() != want || w.Header().Get("X-Node") != "a" {
				t.Errorf("write: %d %q, want %q", w.Code, w.Body, want)
			}
		}
		a.file.Close()
	}
	text, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil || strings.Count(string(text), "\n") != 6 || !strings.Contains(string(text), "\n6 x a ") {
		t.Errorf("log: %v\n%s", err, text)
	}
}

func TestAppDoesNotAcknowledgeWhatItCouldNotWrite(t *testing.T) {
	a, err := openApp("mail", "a", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a.file.Close()
	w := httptest.NewRecorder()
	a.handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/write", nil))
	if w.Code != http.StatusInternalServerError {
		t.Errorf("a write that failed answers %d", w.Code)
	}
}

func TestProxyAnswersAsTraefikDoes(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	p := &proxy{brokenFile: broken, transport: &http.Transport{}}
	ask := func(do http.HandlerFunc, path string) int {
		w := httptest.NewRecorder()
		do(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w.Code
	}
	if got := ask(p.ping, "/ping"); got != 200 {
		t.Errorf("ping: %d", got)
	}
	if got := ask(p.route, "/"); got != 404 {
		t.Errorf("no route: %d", got)
	}
	if got := ask(p.route, "/no-such-host-anywhere/"); got != 502 {
		t.Errorf("no backend: %d", got)
	}
	p.terminating.Store(true)
	if got := ask(p.ping, "/ping"); got != 503 {
		t.Errorf("ping while terminating: %d", got)
	}
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := []int{ask(p.ping, "/ping"), ask(p.route, "/")}; got[0] != 500 || got[1] != 500 {
		t.Errorf("broken: %v", got)
	}
}
