package command

import (
	"bytes"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"
)

// lockedBuffer holds guard's output: guard may print after the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(text)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A check that gets a signal ends with 1, at once.
func TestGuardHeedsSignals(t *testing.T) {
	// Until guard is in place, a signal would end the test.
	mine := make(chan os.Signal, 1)
	signal.Notify(mine, syscall.SIGTERM)
	t.Cleanup(func() { signal.Stop(mine); signal.Reset(syscall.SIGPIPE) })
	var said string
	for range 10 { // on a stalled machine the limit comes first
		if said = endBySignal(t); said == "" {
			return
		}
	}
	t.Errorf("ended with %q", said)
}

// endBySignal sends a guarded process signals until it ends, and returns its output.
func endBySignal(t *testing.T) string {
	t.Helper()
	codes := make(chan int, 2)
	var said lockedBuffer
	if !guard([]string{"--explain"}, &said, func(code int) { codes <- code }) {
		t.Fatal("a check is not guarded")
	}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case code := <-codes:
			if code != 1 {
				t.Errorf("ended with %d", code)
			}
			return said.String()
		case <-ticker.C:
			if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestGuardLeavesOtherCommandsAlone(t *testing.T) {
	if guard([]string{"config", "check"}, &lockedBuffer{}, func(int) {}) {
		t.Error("config check is guarded")
	}
}
