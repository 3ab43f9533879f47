package state_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

// TestMain runs this binary as a second process that takes a lock and keeps
// it until its stdin ends.
func TestMain(m *testing.M) {
	if path := os.Getenv("STATE_TEST_HOLD"); path != "" {
		d, err := state.Open(path)
		if err == nil {
			_, err = d.Lock("work")
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold starts a process that holds the lock "work" in d.
func hold(t *testing.T, d *state.Dir) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), "STATE_TEST_HOLD="+d.Path())
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); _ = c.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil || line != "held\n" {
		t.Fatalf("the other process said %q, error %v", line, err)
	}
	return c
}

func TestLockHeldByAnotherProcess(t *testing.T) {
	d := open(t)
	before := time.Now().Add(-time.Second)
	other := hold(t, d)

	_, err := d.Lock("work")
	locked, ok := errors.AsType[*state.LockedError](err)
	if !ok {
		t.Fatalf("error %v is no LockedError", err)
	}
	if locked.PID != other.Process.Pid || locked.Since.Before(before) || locked.Since.After(time.Now()) {
		t.Errorf("held by %d since %v, want %d since about now", locked.PID, locked.Since, other.Process.Pid)
	}
	if locked.ExitCode() != 75 {
		t.Errorf("exit code %d", locked.ExitCode())
	}
	for _, want := range []string{fmt.Sprint(other.Process.Pid), filepath.Join(d.Path(), "work.lock")} {
		if !strings.Contains(locked.Error(), want) {
			t.Errorf("message %q lacks %q", locked, want)
		}
	}
	if _, err := d.Lock("other-work"); err != nil {
		t.Errorf("another lock is affected: %v", err)
	}

	if err := other.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = other.Wait()
	l, err := d.Lock("work")
	if err != nil {
		t.Fatalf("the lock of a killed process: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestLockTwiceInOneProcess(t *testing.T) {
	d := open(t)
	l, err := d.Lock("work")
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Lock("work")
	if locked, ok := errors.AsType[*state.LockedError](err); !ok || locked.PID != os.Getpid() {
		t.Errorf("second lock: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if err := l.Unlock(); err != nil {
		t.Errorf("unlocking again: %v", err)
	}
	again, err := d.Lock("work")
	if err != nil {
		t.Fatalf("after Unlock: %v", err)
	}
	if err := again.Unlock(); err != nil {
		t.Error(err)
	}
}

// What a killed holder left in the file must not be told of a later one that
// has not written its name yet.
func TestLockedErrorDoesNotBlameTheDead(t *testing.T) {
	d := open(t)
	l, err := d.Lock("work")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(d.Path(), "work.lock")
	for _, content := range []string{`{"pid":2147483646,"since":"2020-01-01T00:00:00Z"}`, "", "garbage"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := d.Lock("work")
		locked, ok := errors.AsType[*state.LockedError](err)
		if !ok || locked.PID != 0 || !strings.Contains(locked.Error(), "another process") || locked.Hint() == "" {
			t.Errorf("%q: %v", content, err)
		}
	}
	if err := l.Unlock(); err != nil {
		t.Error(err)
	}
}
