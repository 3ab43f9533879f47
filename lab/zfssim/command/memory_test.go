package command_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/command"
	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/memory"
)

// node is a machine in memory with a pool called tank.
type node struct {
	*memory.Memory
	t *testing.T
}

// source is a source of random bytes that a seed determines.
func source(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func newNode(t *testing.T, seed byte) node {
	t.Helper()
	n := node{memory.New(time.Now, source(seed)), t}
	if err := n.WriteFile("/disk", make([]byte, 64<<20)); err != nil {
		t.Fatal(err)
	}
	n.does("zpool create -m /tank tank /disk")
	return n
}

// run runs a command line, with what it reads.
func (n node) run(ctx context.Context, in io.Reader, line string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = command.Run(ctx, n.Machine(), app.Process{Args: strings.Fields(line), Stdin: in, Stdout: &out, Stderr: &errs, Root: "/store"})
	return out.String(), errs.String(), code
}

// does runs a command line that succeeds and returns what it prints.
func (n node) does(line string) string {
	n.t.Helper()
	out, errs, code := n.run(n.t.Context(), strings.NewReader(""), line)
	if code != 0 {
		n.t.Fatalf("%s: %d: %s", line, code, errs)
	}
	return strings.TrimSuffix(out, "\n")
}

// sends returns a stream.
func (n node) sends(line string) string {
	n.t.Helper()
	out, errs, code := n.run(n.t.Context(), nil, "zfs send "+line)
	if code != 0 {
		n.t.Fatalf("send %s: %d: %s", line, code, errs)
	}
	return out
}

// takes receives a stream.
func (n node) takes(stream, line string) {
	n.t.Helper()
	if _, errs, code := n.run(n.t.Context(), strings.NewReader(stream), "zfs receive "+line); code != 0 {
		n.t.Fatalf("receive %s: %d: %s", line, code, errs)
	}
}

// refuses runs a command line that fails with a text.
func (n node) refuses(in io.Reader, line, text string) {
	n.t.Helper()
	if out, errs, code := n.run(n.t.Context(), in, line); code == 0 || !strings.Contains(errs, text) {
		n.t.Errorf("%s: %d, without %q:\n%s%s", line, code, text, out, errs)
	}
}

func (n node) write(path, text string) {
	n.t.Helper()
	if err := n.WriteFile(path, []byte(text)); err != nil {
		n.t.Fatal(err)
	}
}

func (n node) holds(path, text string) {
	n.t.Helper()
	if data, err := n.ReadFile(path); err != nil || string(data) != text {
		n.t.Errorf("%s: %q, %v; want %q", path, data, err, text)
	}
}

func TestReplicationInMemory(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.does("zfs create tank/app")
	a.write("/tank/app/data/one", "first")
	a.does("zfs snapshot tank/app@1")
	full := a.sends("tank/app@1")
	b.takes(full, "-s -u -o readonly=on tank/app")
	a.write("/tank/app/data/one", "second")
	a.write("/tank/app/two", strings.Repeat("x", machine.ChunkSize+1))
	a.does("zfs snapshot tank/app@2")
	increment := a.sends("-i @1 tank/app@2")
	b.takes(increment, "-s tank/app")
	if here, there := a.does("zfs list -H -o guid -t snapshot tank/app"), b.does("zfs list -H -o guid -t snapshot tank/app"); here != there {
		t.Errorf("snapshots differ: %s and %s", here, there)
	}
	b.does("zfs mount tank/app")
	b.holds("/tank/app/data/one", "second")
	b.holds("/tank/app/two", strings.Repeat("x", machine.ChunkSize+1))
	if err := b.WriteFile("/tank/app/three", nil); err == nil {
		t.Error("a file of a read-only dataset can be written")
	}
	b.does("zfs set readonly=off tank/app")
	b.write("/tank/app/data/one", "third")
	a.does("zfs snapshot tank/app@3")
	b.refuses(strings.NewReader(a.sends("-i @2 tank/app@3")), "zfs receive tank/app", "has been modified\nsince most recent snapshot")
	if written := b.does("zfs get -Hp -o value written tank/app"); written == "0" {
		t.Error("nothing counts as written after a write")
	}
	b.does("zfs rollback tank/app@2")
	b.holds("/tank/app/data/one", "second")
}

func TestFaultKillsTheReceiver(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.does("zfs create tank/app")
	data := make([]byte, 4*machine.ChunkSize)
	source(9).Read(data)
	a.write("/tank/app/big", string(data))
	a.does("zfs snapshot tank/app@1")
	stream := a.sends("tank/app@1")
	b.write("/store/faults", fmt.Sprintf("receive die-after=%d count=1\n", 2*machine.ChunkSize))
	if _, _, code := b.run(t.Context(), strings.NewReader(stream), "zfs receive -s -u tank/app"); code != 137 {
		t.Fatalf("the receiver ends with %d", code)
	}
	token := b.does("zfs get -H -o value receive_resume_token tank/app")
	if token == "-" {
		t.Fatal("no resume token is left")
	}
	b.refuses(strings.NewReader(stream), "zfs receive -s -u tank/app", "destination 'tank/app' exists")
	rest := a.sends("-t " + token)
	if len(rest) >= len(stream) {
		t.Errorf("the rest has %d bytes, the whole stream %d", len(rest), len(stream))
	}
	b.takes(rest, "-s tank/app")
	b.holds("/tank/app/big", string(data))
}

// A run that is killed from outside frees its locks and leaves no half change.
func TestKilledFromOutside(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.does("zfs create tank/app")
	a.write("/tank/app/one", strings.Repeat("y", 2*machine.ChunkSize))
	a.does("zfs snapshot tank/app@1")
	stream := a.sends("tank/app@1")
	dying := io.MultiReader(strings.NewReader(stream[:len(stream)/2]), deadly{})
	if _, _, code := b.run(t.Context(), dying, "zfs receive -u tank/app"); code != 137 {
		t.Fatalf("the receiver ends with %d", code)
	}
	if list := b.does("zfs list -H -o name"); list != "tank" {
		t.Errorf("what cannot be resumed is left: %s", list)
	}
	b.does("zfs create tank/app")
}

// deadly is what a killed process reads.
type deadly struct{}

func (deadly) Read([]byte) (int, error) { panic(machine.Killed{}) }

func TestTheSameSeedGivesTheSameStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		history := func() string {
			n := node{memory.New(func() time.Time { return time.Unix(1e9, 0) }, source(5)), t}
			n.write("/disk", strings.Repeat("\x00", 64<<20))
			n.does("zpool create tank /disk")
			n.does("zfs create tank/app")
			n.write("/tank/app/one", "first")
			n.does("zfs snapshot tank/app@1")
			return n.sends("-p tank/app@1") + n.does("zfs get -Hp all tank/app@1")
		}
		if first, second := history(), history(); first != second {
			t.Errorf("%q\n%q", first, second)
		}
	})
}

// Runs at the same moment wait for each other, in a bubble of fake time, too.
func TestRunsWaitForTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, 1)
		n.does("zfs create tank/app")
		n.write("/store/faults", "snapshot delay=10s\n")
		began := time.Now()
		done := make(chan string)
		for i := range 8 {
			go func() {
				_, errs, _ := n.run(t.Context(), nil, fmt.Sprintf("zfs snapshot tank/app@%d", i))
				done <- errs
			}()
		}
		for range 8 {
			if errs := <-done; errs != "" {
				t.Error(errs)
			}
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("eight delayed snapshots took %s", took)
		}
		if list := strings.Fields(n.does("zfs list -H -o name -t snapshot tank/app")); len(list) != 8 {
			t.Errorf("snapshots: %v", list)
		}
	})
}

func TestHangEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, 1)
		n.write("/store/faults", "list hang\n")
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		if _, _, code := n.run(ctx, nil, "zfs list"); code != 137 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestRestartForgetsMountsAndKeys(t *testing.T) {
	n := newNode(t, 1)
	n.write("/key", strings.Repeat("k", 32))
	n.does("zfs create -o encryption=on -o keyformat=raw -o keylocation=file:///key tank/secret")
	n.write("/tank/secret/one", "hidden")
	n.does("zfs snapshot tank/secret@1")
	n.Restart()
	if len(n.Mounted()) != 0 {
		t.Errorf("mounted after a boot: %v", n.Mounted())
	}
	n.refuses(nil, "zfs mount tank/secret", "encryption key not loaded")
	n.does("zfs load-key tank/secret")
	n.does("zfs mount tank/secret")
	n.holds("/tank/secret/one", "hidden")
	if raw := n.sends("-w tank/secret@1"); strings.Contains(raw, "hidden") {
		t.Error("a raw stream shows the contents")
	}
}

func TestVolumesInMemory(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.does("zfs create -s -V 8M tank/vol")
	a.does("zfs snapshot tank/vol@1")
	if err := a.WriteVolume("tank/vol", []byte("block"), 1<<20); err != nil {
		t.Fatal(err)
	}
	a.does("zfs snapshot tank/vol@2")
	if written := a.does("zfs get -Hp -o value written tank/vol@1"); written == a.does("zfs get -Hp -o value volsize tank/vol") {
		t.Errorf("an empty volume counts as written: %s", written)
	}
	b.takes(a.sends("tank/vol@2"), "tank/vol")
	if err := b.WriteVolume("tank/vol", []byte("x"), 8<<20); err == nil {
		t.Error("a write behind the end of a volume succeeds")
	}
}
