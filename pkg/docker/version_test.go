package docker

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/internal/testengine"
)

// lists is an engine without containers, which takes any image.
func lists(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/containers/json":
		fmt.Fprint(w, "[]")
	case "/images/load":
		text, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, `{"stream":"Loaded image: %s\n"}`, text)
	}
}

func TestVersions(t *testing.T) {
	for name, c := range map[string]struct {
		min, max string
		want     string // the version that is spoken, or why none is
		hint     string
	}{
		"20.10":             {"1.12", "1.41", "1.41", ""},
		"26.1":              {"1.24", "1.45", "1.45", ""},
		"26.1 with a floor": {"1.44", "1.45", "1.45", ""},
		"29.1":              {"1.44", "1.52", "1.52", ""},
		"29.10":             {"1.40", "1.57", newestAPI, ""},
		"19.03":             {"1.12", "1.40", "it speaks API 1.40 at most", "upgrade the Docker Engine"},
		"of another time":   {"1.60", "1.70", "Minimum supported API version is 1.60", "newer release of Understudy"},
	} {
		t.Run(name, func(t *testing.T) {
			gate := testengine.New(http.HandlerFunc(lists), c.min, c.max)
			e := New(testengine.Serve(t, gate))
			_, err := e.Containers(t.Context())
			if c.hint == "" {
				if err != nil || e.API() != c.want {
					t.Fatalf("speaks %q: %v", e.API(), err)
				}
				if want := []string{"/_ping", "/v" + c.want + "/containers/json"}; !slices.Equal(gate.Calls(), want) {
					t.Errorf("calls, want %q", want)
				}
				// It is asked once.
				if err := e.Ping(t.Context()); err != nil || !slices.Equal(gate.Calls(), []string{"/v" + c.want + "/_ping"}) {
					t.Errorf("a second call: %v", err)
				}
				return
			}
			for range 2 { // each call says so
				if !IsRefused(err) || IsDown(err) || NotFound(err) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v", err)
				}
				if hinted, ok := err.(*Error); !ok || !strings.Contains(hinted.Hint(), c.hint) {
					t.Errorf("hint of %v", err)
				}
				err = e.Ping(t.Context())
			}
		})
	}
}

// An engine is upgraded, and downgraded, while its callers live.
func TestUpgrade(t *testing.T) {
	gate := testengine.New(http.HandlerFunc(lists), "1.12", "1.41")
	e := New(testengine.Serve(t, gate))
	load := func() error {
		names, err := e.Load(t.Context(), "x", strings.NewReader("all"), time.Second, nil)
		if err == nil && !slices.Equal(names, []string{"all"}) {
			return fmt.Errorf("loaded %q", names)
		}
		return err
	}
	for _, c := range []struct{ min, max, want string }{
		{"1.12", "1.41", "1.41"}, {"1.44", "1.52", "1.52"}, {"1.40", "1.57", "1.52"}, {"1.12", "1.41", "1.41"},
	} {
		gate.Upgrade(c.min, c.max)
		if _, err := e.Containers(t.Context()); err != nil || e.API() != c.want {
			t.Errorf("%s to %s: speaks %q: %v", c.min, c.max, e.API(), err)
		}
	}
	// What is sent can be sent once only.
	gate.Upgrade("1.44", "1.52")
	if err := load(); err != nil {
		t.Errorf("load: %v", err)
	}
	gate.Upgrade("1.12", "1.41")
	if err := e.Save(t.Context(), "sha256:1", io.Discard, time.Second); err != nil {
		t.Errorf("save: %v", err)
	}
}

// A version that an earlier process spoke is tried without a question.
func TestSetAPI(t *testing.T) {
	gate := testengine.New(http.HandlerFunc(lists), "1.44", "1.52")
	socket := testengine.Serve(t, gate)
	for _, c := range []struct {
		version string
		calls   int
		spoken  string
	}{
		{"1.52", 1, "1.52"}, {"1.44", 1, "1.44"}, {"1.41", 3, "1.52"}, {"1.56", 3, "1.52"},
		{"", 2, "1.52"}, {"1.40", 2, "1.52"}, {"1.99", 2, "1.52"}, {"2.0", 2, "1.52"}, {"../..", 2, "1.52"},
	} {
		e := New(socket)
		e.SetAPI(c.version)
		if _, err := e.Containers(t.Context()); err != nil || e.API() != c.spoken {
			t.Errorf("%q: speaks %q: %v", c.version, e.API(), err)
		}
		if calls := gate.Calls(); len(calls) != c.calls {
			t.Errorf("%q: calls %q", c.version, calls)
		}
	}
}

// What filters calls may leave out the header that tells the version.
func TestHiddenVersion(t *testing.T) {
	gate := testengine.New(http.HandlerFunc(lists), "1.24", "1.45")
	gate.HideVersion()
	e := New(testengine.Serve(t, gate))
	if _, err := e.Containers(t.Context()); err != nil || e.API() != oldestAPI {
		t.Errorf("speaks %q: %v", e.API(), err)
	}
}

// Another 400 is no refusal of the version.
func TestBadRequest(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"message":"invalid reference format"}`)
	})
	if _, err := e.InspectImage(t.Context(), "A:B"); err == nil || IsRefused(err) || !strings.Contains(err.Error(), "invalid reference format") {
		t.Errorf("%v", err)
	}
}
