package command

import (
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/images"
)

// On a terminal there is a bar for each image that comes, and one for all.
func TestProgressOnTerminal(t *testing.T) {
	var screen strings.Builder
	b := &progress{process: &cli.Process{Stderr: &screen, StderrTerminal: true}, bars: map[string]*bar{}}
	b.Planned(3)
	b.Start("registry.example/a/name/that/is/quite/long:1", 0)
	b.Start("web:1", 0)
	b.Moved("web:1", "layer1", 5<<20, 10<<20)
	b.Moved("web:1", "layer2", 10<<20, 20<<20)
	b.Moved("gone:1", "layer", 1, 2)
	b.draw()
	want := "…e/a/name/that/is/quite/long:1 [....................]       0 B\n" +
		"web:1                          [##########..........]    15 MiB\n" +
		"all                            [....................] 0 of 2\n"
	if screen.String() != want {
		t.Errorf("drawn:\n%s", screen.String())
	}
	screen.Reset()
	b.Done(&images.Item{Ref: "web:1"})
	b.draw()
	if got := screen.String(); !strings.HasPrefix(got, "\x1b[3A\x1b[J…") || strings.Contains(got, "web:1") || !strings.HasSuffix(got, "[##########..........] 1 of 2\n") {
		t.Errorf("drawn: %q", got)
	}
}

// Elsewhere there are lines.
func TestProgressInLines(t *testing.T) {
	var log strings.Builder
	p := &cli.Process{Stderr: &log, Log: zerolog.New(zerolog.SyncWriter(&log))}
	b := &progress{process: p, bars: map[string]*bar{}, stop: make(chan struct{}), ended: make(chan struct{})}
	b.Start("web:1", 0)
	b.Moved("web:1", "", 3<<20, 0)
	go b.show(time.Millisecond)
	for range 5000 {
		b.mu.Lock()
		said := log.Len() > 0
		b.mu.Unlock()
		if said {
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.close()
	if !strings.Contains(log.String(), "0 images fetched, 1 under way (3.0 MiB)") || strings.Contains(log.String(), "\x1b") {
		t.Errorf("logged: %s", log.String())
	}
}

func TestTexts(t *testing.T) {
	r := &images.Result{Complete: true, Seconds: 1.5, Checkout: &images.Checkout{
		Directory: "/srv", From: strings.Repeat("a", 40), To: strings.Repeat("b", 40), Commits: []string{"bbbb newer"}, Changed: []string{"M\tapp/compose.yaml"}},
		Images: []*images.Item{
			{Ref: "web:1", Action: images.Pull, From: "docker.io", ID: "sha256:" + strings.Repeat("1", 64), Seconds: 2},
			{Ref: "made:1", Action: images.Copy, From: "a", ID: "sha256:" + strings.Repeat("2", 64), Bytes: 3 << 20, Seconds: 1},
			{Ref: "here:1", Action: images.Current}, {Ref: "bad:1", Action: images.Pull, Error: "no"},
		}, Removed: []string{"old:1 333"}}
	var out strings.Builder
	if err := writeResult(&out, r, true); err != nil {
		t.Fatal(err)
	}
	want := `checkout /srv: aaaaaaaaaaaa to bbbbbbbbbbbb
  bbbb newer
  M app/compose.yaml
pulled web:1 111111111111 from docker.io in 2s
copied made:1 222222222222 from a, 3.0 MiB in 1s
removed old:1 333
4 images: 1 were here, 1 pulled, 1 copied, 0 tagged, 1 failed; every project could start offline in 1.5s
`
	if out.String() != want {
		t.Errorf("printed:\n%s", out.String())
	}
	out.Reset()
	if err := writeResult(&out, &images.Result{Images: []*images.Item{{Ref: "here:1", Action: images.Current}}}, false); err != nil || out.Len() > 0 {
		t.Errorf("nothing has changed: %q, %v", out.String(), err)
	}
}
