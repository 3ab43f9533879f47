package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// What goes wrong in the middle of a pull is said in an answer that began well.
func TestPullFailsWithinTheStream(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); q.Get("fromImage") != "ghcr.io/a/b" || q.Get("tag") != "1" || q.Get("platform") != "linux/arm64" || r.Header.Get("X-Registry-Auth") != "me" {
			t.Errorf("asked for %s", r.URL)
		}
		fmt.Fprintln(w, `{"status":"Pulling from a/b","id":"1"}`)
		fmt.Fprintln(w, `{"errorDetail":{"message":"toomanyrequests: slow down"},"error":"toomanyrequests: slow down"}`)
	})
	err := e.Pull(t.Context(), Pull{Repository: "ghcr.io/a/b", Tag: "1", Platform: "linux/arm64", Auth: "me", Stall: time.Second})
	if err == nil || err.Error() != "pull ghcr.io/a/b:1: toomanyrequests: slow down" || IsDown(err) {
		t.Errorf("%v", err)
	}
}

// A layer that stands still ends the pull, though another one gets on; one that
// waits for its turn does not.
func TestPullStalls(t *testing.T) {
	ended := make(chan struct{}, 1)
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, `{"status":"Pulling fs layer","id":"waits"}`+"\n"+`{"status":"Waiting","id":"waits"}`)
		fmt.Fprintln(w, `{"status":"Downloading","progressDetail":{"current":5,"total":10},"id":"hangs"}`)
		for i := 0; r.Context().Err() == nil; i++ {
			fmt.Fprintf(w, `{"status":"Downloading","progressDetail":{"current":%d,"total":1000},"id":"moves"}`+"\n", i)
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
		ended <- struct{}{}
	})
	var moved int64
	err := e.Pull(t.Context(), Pull{Repository: "a", Tag: "1", Stall: 200 * time.Millisecond, Progress: func(layer string, bytes, total int64) {
		if layer == "moves" {
			moved = bytes
		}
	}})
	stalled, ok := errors.AsType[*StallError](err)
	if !ok || stalled.Layer != "hangs" || moved == 0 {
		t.Errorf("%v, moved %d", err, moved)
	}
	<-ended // the engine is told to stop
}

func TestPullOfNothingStalls(t *testing.T) {
	e := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	err := e.Pull(t.Context(), Pull{Repository: "a", Tag: "sha256:1", Stall: 100 * time.Millisecond})
	if _, ok := errors.AsType[*StallError](err); !ok || !strings.Contains(err.Error(), "a@sha256:1") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := e.Pull(ctx, Pull{Repository: "a", Tag: "1", Stall: time.Minute}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestLoad(t *testing.T) {
	var got []byte
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, _ = io.ReadAll(r.Body)
		fmt.Fprintln(w, `{"status":"Loading layer","progressDetail":{"current":1,"total":2},"id":"x"}`)
		fmt.Fprintln(w, `{"stream":"Loaded image ID: sha256:abc\n"}{"stream":"Loaded image: web:1\n"}`)
	})
	data := bytes.Repeat([]byte("tar"), 100_000)
	var bytesMoved int64
	names, err := e.Load(t.Context(), "web", bytes.NewReader(data), time.Second, func(_ string, n, _ int64) { bytesMoved = n })
	if err != nil || !slices.Equal(names, []string{"sha256:abc", "web:1"}) || !bytes.Equal(got, data) || bytesMoved != int64(len(data)) {
		t.Errorf("%q, %v, %d bytes, %d told of", names, err, len(got), bytesMoved)
	}
	// A source that hangs is found out, and so is one that breaks off.
	hang, stop := io.Pipe()
	defer stop.Close()
	go stop.Write([]byte("begin"))
	if _, err := e.Load(t.Context(), "web", hang, 100*time.Millisecond, nil); !strings.Contains(fmt.Sprint(err), "nothing has moved") {
		t.Errorf("%v", err)
	}
	broken := io.MultiReader(strings.NewReader("begin"), failing{})
	if _, err := e.Load(t.Context(), "web", broken, time.Second, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("%v", err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestSave(t *testing.T) {
	data := bytes.Repeat([]byte("tar"), 1_000_000)
	e := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "none") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Write(data)
	})
	var out bytes.Buffer
	if err := e.Save(t.Context(), "sha256:abc", &out, time.Second); err != nil || !bytes.Equal(out.Bytes(), data) {
		t.Errorf("%d bytes, %v", out.Len(), err)
	}
	if err := e.Save(t.Context(), "none", &out, time.Second); !NotFound(err) {
		t.Errorf("%v", err)
	}
}

// An image is the same under two kinds of store, which give it different ids.
func TestSame(t *testing.T) {
	at := time.Unix(1, 0)
	one := Image{ID: "sha256:1", Layers: []string{"a", "b"}, Created: at, Platform: "linux/amd64"}
	other := one
	other.ID = "sha256:2"
	if !one.Same(other) {
		t.Error("other ids")
	}
	for _, change := range []func(*Image){
		func(i *Image) { i.Layers = []string{"a"} },
		func(i *Image) { i.Created = time.Unix(2, 0) },
		func(i *Image) { i.Platform = "linux/arm64" },
		func(i *Image) { i.Layers = nil },
	} {
		changed := other
		change(&changed)
		if one.Same(changed) {
			t.Errorf("%+v", changed)
		}
	}
	if (Image{}).Same(Image{}) {
		t.Error("two that are not there")
	}
}
