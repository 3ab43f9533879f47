package command

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/images"
)

func TestProgress(t *testing.T) {
	var stderr bytes.Buffer
	f := newProgress(&cli.Process{Stderr: &stderr, StderrTerminal: true, Now: time.Now})
	if line := f.summary(0, 0, ""); line != "" {
		t.Errorf("before anything: %q", line)
	}
	f.Planned(7)
	f.Start("registry.example/app:1", 4<<20)
	f.Start("registry.example/db:2", 0)
	time.Sleep(250 * time.Millisecond) // the bar is drawn now and then
	f.Moved("registry.example/app:1", "layer", 1<<20, 2<<20)
	f.Moved("registry.example/app:1", "layer", 2<<20, 2<<20)
	f.Moved("registry.example/app:1", "another", 1<<20, 1<<20)
	if line := f.summary(0, 0, ""); line != "0 images fetched, 2 in progress (3.0 MiB), 7 checked in total" {
		t.Errorf("on the way: %q", line)
	}
	f.Done(&images.Item{Ref: "registry.example/app:1"})
	f.Done(&images.Item{Ref: "registry.example/db:2"})
	f.Moved("registry.example/db:2", "late", 1, 1) // after its end: no harm
	f.close()
	if !strings.Contains(stderr.String(), ".example/app:1") {
		t.Errorf("the bar: %q", stderr.String())
	}
}
