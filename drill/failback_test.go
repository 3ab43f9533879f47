//go:build drill

package drill

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/lab"
)

// failbacks are the scenarios after a takeover: the return of a node's data,
// and the failures on the way.
var failbacks = []scenario{
	{"both wrote", bothWrote, ""},
	{"rejoin killed again and again", rejoinKilled, ""},
	{"repeated switchovers", overAndOver, ""},
	{"switchover with the peer broken", peerBroken, ""},
	{"partition with two writers, healed", partitionKept, ""},
	{"partition with a witness", partitionWitnessed, ""},
	{"load on the secondary", underLoad, lab.NS},
	{"doctor", diagnosed, ""},
}

// TestFailback runs them on one site, as TestTakeover does.
func TestFailback(t *testing.T) {
	if Kind() == lab.VM && os.Getenv("UNDERSTUDY_TAKEOVER") == "" {
		t.Log("as the takeovers, this is run by itself on virtual machines: make takeover LAB=vm")
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), atMost(30*time.Minute))
	defer cancel()
	d := newTakeover(t, ctx)
	d.goThrough(t, ctx, failbacks)
}

// tries runs a program that may refuse.
func (d *takeover) tries(t *testing.T, n lab.Node, argv ...string) lab.Result {
	t.Helper()
	result, err := n.Run(d.ctx, lab.Argv(argv...))
	if _, refused := errors.AsType[*lab.ExitError](err); err != nil && !refused {
		t.Fatal(err)
	}
	return result
}

// files returns every file of a snapshot with its checksum, and every other
// entry, by path. It reads them through a temporary clone.
func (d *takeover) files(t *testing.T, n lab.Node, snapshot string) map[string]string {
	t.Helper()
	return filesIn(d.shell(t, n, listFiles+`
		clone=$1/drill-look place=/run/drill-look
		trap 'zfs destroy "$clone" 2>/dev/null || true' EXIT
		zfs clone -o readonly=on -o canmount=on -o mountpoint="$place" "$2" "$clone"
		list "$place"`, Pool, snapshot))
}

// listFiles defines a shell function that lists the contents of a folder.
const listFiles = `list() ( mountpoint -q "$1"; cd "$1"; find . -type f -print0 | xargs -0r sha256sum; find . ! -type f -printf '%y:%m:%l  %p\n' )
`

func filesIn(text string) map[string]string {
	files := map[string]string{}
	for line := range strings.Lines(text) {
		if what, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  "); ok {
			files[path] = what
		}
	}
	return files
}

// newest returns the full name of the newest snapshot of a dataset.
func (d *takeover) newest(t *testing.T, n lab.Node, dataset string) string {
	t.Helper()
	return d.shell(t, n, `zfs list -H -t snapshot -o name -s createtxg -d 1 "$1" | tail -n 1`, dataset)
}

// same checks that all of some files are equal to the byte.
func same(t *testing.T, what string, want, got map[string]string) {
	t.Helper()
	if len(want) < 2 {
		t.Fatalf("%s: only %d files are compared", what, len(want))
	}
	for path, sum := range want {
		if got[path] != sum {
			t.Errorf("%s: %s is %q, and was %q", what, path, got[path], sum)
		}
	}
	for path := range got {
		if _, was := want[path]; !was {
			t.Errorf("%s: %s was not there before", what, path)
		}
	}
}

// datasets returns the datasets of the applications.
func (d *takeover) datasets() []string {
	var names []string
	for _, name := range d.Line.Projects {
		names = append(names, fmt.Sprintf("%s/%s", Apps, name))
	}
	return names
}
