package command

import (
	"fmt"
	"sync"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/cli/progress"
	"github.com/understudy-ha/understudy/pkg/images"
	"github.com/understudy-ha/understudy/pkg/report"
)

// fetches shows the images that are fetched.
type fetches struct {
	display *progress.Display

	mu      sync.Mutex
	planned int
	running map[string]map[string]int64 // bytes by image and layer
	done    int
}

func newProgress(p *cli.Process) *fetches {
	f := &fetches{running: map[string]map[string]int64{}}
	f.display = progress.New(p, f.summary)
	return f
}

// summary is one line about all images; "" while none is fetched.
func (f *fetches) summary(int64, int64, string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var bytes int64
	for _, layers := range f.running {
		for _, n := range layers {
			bytes += n
		}
	}
	if len(f.running) == 0 {
		return ""
	}
	return fmt.Sprintf("%d images fetched, %d in progress (%s), %d checked in total", f.done, len(f.running), report.Bytes(bytes), f.planned)
}

// Planned tells how many images are checked.
func (f *fetches) Planned(images int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.planned = images
}

// Start announces an image of about so many bytes, unpacked.
func (f *fetches) Start(ref string, bytes int64) {
	f.mu.Lock()
	f.running[ref] = map[string]int64{}
	f.mu.Unlock()
	f.display.Expect(ref, bytes)
	f.display.Show()
}

// Moved tells how far a layer is.
func (f *fetches) Moved(ref, layer string, bytes, _ int64) {
	f.mu.Lock()
	layers := f.running[ref]
	var more int64
	if layers != nil {
		more = max(0, bytes-layers[layer])
		layers[layer] = bytes
	}
	f.mu.Unlock()
	f.display.Moved(ref, more)
}

// Done ends an image. The end of the run tells how it went.
func (f *fetches) Done(item *images.Item) {
	f.mu.Lock()
	f.done++
	delete(f.running, item.Ref)
	f.mu.Unlock()
	f.display.Done(item.Ref, "")
}

func (f *fetches) close() { f.display.Close() }
