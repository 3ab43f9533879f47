package self

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/keepalived"
)

// Host is what this process knows of itself and its machine. A simulated node has
// one of its own.
type Host interface {
	PID() int
	// Started returns when this process was forked, in clock ticks since the boot.
	Started() (uint64, error)
	// ByKeepalived reports whether keepalived started this process.
	ByKeepalived() bool
	// Insecure returns why keepalived would refuse to run a program; "" if it would not.
	Insecure(program string) string
	// NotifySystemd sends systemd a state of this service, by sd_notify(3).
	NotifySystemd(ctx context.Context, state string) error
}

// Process returns the host of this process.
func Process() Host { return process{} }

type process struct{}

func (process) PID() int { return os.Getpid() }

// Started is field 22 of proc_pid_stat(5).
func (p process) Started() (uint64, error) {
	pid := p.PID()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("find when process %d was started: %w", pid, err)
	}
	// The name, field 2, may hold spaces and brackets.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return 0, fmt.Errorf("find when process %d was started: /proc/%d/stat is too short", pid, pid)
	}
	started, err := strconv.ParseUint(fields[22-3], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("find when process %d was started: %w", pid, err)
	}
	return started, nil
}

// ByKeepalived reports whether the parent of this process is keepalived, which starts
// its hooks without a shell, or init. init is the parent once keepalived is gone, and
// of the commands in the unit of keepalived.
func (process) ByKeepalived() bool {
	if os.Getppid() == 1 {
		return true
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid()))
	return err == nil && strings.HasPrefix(string(name), "keepalived")
}

func (process) Insecure(program string) string { return keepalived.Insecure(program) }

// notifyTimeout bounds sending systemd a message.
const notifyTimeout = time.Second

// NotifySystemd sends a datagram to the socket that the environment names. Without
// one it does nothing.
func (process) NotifySystemd(ctx context.Context, state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:] // a socket without a file, in the kernel's own namespace
	}
	if err := sendDatagram(ctx, path, state); err != nil {
		return fmt.Errorf("tell systemd %s: %w", state, err)
	}
	return nil
}

func sendDatagram(ctx context.Context, path, text string) error {
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unixgram", path)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	_, err = conn.Write([]byte(text))
	return err
}
