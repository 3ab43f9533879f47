package run

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// TestMain lets this binary be the parent that dies in TestDiesWithParent.
func TestMain(m *testing.M) {
	if pidFile := os.Getenv("RUN_TEST_PARENT"); pidFile != "" {
		p, err := New(zerolog.Nop()).Start(context.Background(), Command{Argv: []string{"sleep", "60"}})
		if err != nil {
			os.Exit(1)
		}
		if err := os.WriteFile(pidFile, []byte(strconv.Itoa(p.(*process).cmd.Process.Pid)), 0o600); err != nil {
			os.Exit(1)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	os.Exit(m.Run())
}

func TestOutput(t *testing.T) {
	r := New(zerolog.Nop())
	out, err := r.Output(t.Context(), time.Minute, "sh", "-c", "echo out; echo err >&2")
	if err != nil || string(out) != "out\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if n := r.Counts()["sh"]; n != 1 {
		t.Errorf("counted %d", n)
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("RUN_TEST_A", "a")
	t.Setenv("RUN_TEST_B", "b")
	var out bytes.Buffer
	c := Command{Argv: []string{"sh", "-c", "echo $RUN_TEST_A-$RUN_TEST_B-$RUN_TEST_C"}, Stdout: &out, Env: []string{"RUN_TEST_C=c"}}
	for _, without := range [][]string{nil, {"RUN_TEST_A", "OTHER"}, {"RUN_TEST_"}} {
		c.Without = without
		if err := New(zerolog.Nop()).Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if got := out.String(); got != "a-b-c\n-b-c\n--c\n" {
		t.Errorf("got %q", got)
	}
}

func TestFailure(t *testing.T) {
	out, err := New(zerolog.Nop()).Output(t.Context(), time.Minute, "sh", "-c", "echo part; echo first >&2; echo cannot >&2; exit 7")
	var e *Error
	if !errors.As(err, &e) || e.ExitCode != 7 || e.TimedOut {
		t.Fatalf("error is %#v", err)
	}
	if want := "sh -c echo part; echo first >&2; echo cannot >&2; exit 7: cannot"; err.Error() != want {
		t.Errorf("text is %q, want %q", err, want)
	}
	if string(out) != "part\n" {
		t.Errorf("what was printed before is %q", out)
	}
}

func TestNotFound(t *testing.T) {
	_, err := New(zerolog.Nop()).Output(t.Context(), time.Minute, "no-such-program-here")
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, exec.ErrNotFound) || !strings.Contains(e.Hint(), "install no-such-program-here") {
		t.Errorf("error is %v", err)
	}
}

func TestDeadlineEndsTheWholeGroup(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	started := time.Now()
	_, err := New(zerolog.Nop()).Output(t.Context(), 300*time.Millisecond, "sh", "-c", "sleep 60 & echo $! > "+pidFile+"; wait")
	var e *Error
	if !errors.As(err, &e) || !e.TimedOut || !strings.Contains(err.Error(), "deadline has passed") {
		t.Errorf("error is %v", err)
	}
	if took := time.Since(started); took > 3*time.Second {
		t.Errorf("it took %s", took)
	}
	gone(t, pidFile)
}

func TestIgnoresTerm(t *testing.T) {
	for _, grace := range []time.Duration{0, 300 * time.Millisecond} {
		want := cmp.Or(grace, killGrace)
		started := time.Now()
		err := New(zerolog.Nop()).Run(t.Context(), Command{Argv: []string{"sh", "-c", "trap '' TERM; while :; do sleep 1; done"}, Timeout: 100 * time.Millisecond, Grace: grace})
		if err == nil {
			t.Fatal("no error")
		}
		if took := time.Since(started); took < want || took > want+4*time.Second {
			t.Errorf("SIGKILL came after %s, want a little more than %s", took, want)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	err := New(zerolog.Nop()).Run(ctx, Command{Argv: []string{"sleep", "60"}, Timeout: time.Minute})
	var e *Error
	if !errors.As(err, &e) || e.TimedOut || !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// TestDiesWithParent: a parent that is killed outright leaves nothing behind.
func TestDiesWithParent(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), "RUN_TEST_PARENT="+pidFile)
	if err := parent.Run(); err == nil {
		t.Fatal("the parent was to be killed")
	}
	gone(t, pidFile)
}

// gone waits until the process whose id is in the file has ended.
func gone(t *testing.T, pidFile string) {
	t.Helper()
	data, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("process %d is still there", pid)
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestTail(t *testing.T) {
	tail := &tail{limit: 10}
	for range 100 {
		if n, err := tail.Write([]byte("0123456")); n != 7 || err != nil {
			t.Fatal(n, err)
		}
	}
	if got := tail.String(); got != "4560123456" {
		t.Errorf("tail is %q", got)
	}
}
