package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill"
)

// about describes the measured versions and machines.
type about struct {
	nodes, host, versions string
}

func (b *bench) describe(ctx context.Context) (about, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	const script = `
zfs version | tail -1
syncoid --version 2>&1 | head -1
uname -r
ssh -V 2>&1
nproc
free -m | awk '/^Mem/ {print $2}'
if dmesg | grep -q 'Hypervisor detected: KVM'; then echo KVM; else echo emulation; fi`
	text, err := drill.Shell(ctx, b.pair.A, script)
	if err != nil {
		return about{}, fmt.Errorf("ask for versions: %w", err)
	}
	lines := strings.Split(text, "\n")
	if len(lines) != 7 {
		return about{}, fmt.Errorf("ask for versions: %q", text)
	}
	ours := "unknown"
	if out, err := exec.CommandContext(ctx, "git", "-c", "safe.directory=*", "describe", "--tags", "--always", "--dirty").Output(); err == nil {
		ours = strings.TrimSpace(string(out))
	}
	return about{
		nodes:    fmt.Sprintf("two QEMU machines by %s, each %s processor, %s MiB, a pool on a file, a network without delay", lines[6], lines[4], lines[5]),
		host:     fmt.Sprintf("%s, %d processors, %s of memory, %s", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), field("/proc/meminfo", "MemTotal"), field("/etc/os-release", "PRETTY_NAME")),
		versions: fmt.Sprintf("zfs-replicate %s (%s), %s, %s, Linux %s, %s", ours, runtime.Version(), lines[0], lines[1], lines[2], lines[3]),
	}, nil
}

// field returns the value of "name: value" or "name=value" in a file of such
// lines.
func field(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if at := strings.IndexAny(lines.Text(), ":="); at > 0 && strings.TrimSpace(lines.Text()[:at]) == name {
			return strings.Trim(strings.TrimSpace(lines.Text()[at+1:]), `"`)
		}
	}
	return "unknown"
}
