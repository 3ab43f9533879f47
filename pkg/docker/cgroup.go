package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// CgroupRoot is where the kernel shows its cgroups.
const CgroupRoot = "/sys/fs/cgroup"

// groupName is how Docker names a container's cgroup: with systemd
// docker-ID.scope, else ID below a group "docker".
var groupName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:docker-)?([0-9a-f]{64})(?:\.scope)?$`)
})

// Groups returns the cgroup folder of each container that has processes, by
// the container's id, as the kernel knows it: no engine is asked.
func Groups(root string) (map[string]string, error) {
	groups := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) && path != root {
				return nil // it has just ended
			}
			return err
		}
		if !entry.IsDir() {
			return nil
		}
		match := groupName().FindStringSubmatch(entry.Name())
		if match == nil {
			return nil
		}
		if populated(path) {
			groups[match[1]] = path
		}
		return fs.SkipDir
	})
	if err != nil {
		return nil, fmt.Errorf("look for containers in %s: %w", root, err)
	}
	return groups, nil
}

// populated reports whether a cgroup, or one below it, has a process.
func populated(group string) bool {
	events, err := os.ReadFile(filepath.Join(group, "cgroup.events"))
	if err == nil {
		return strings.Contains(string(events), "populated 1")
	}
	pids, err := pidsOf(group) // cgroup v1 has no events
	return err == nil && len(pids) > 0
}

func pidsOf(group string) ([]int, error) {
	data, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for field := range strings.FieldsSeq(string(data)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// KillGroup kills all processes of a container through its cgroup and waits
// until none is left, or ctx ends. It works while the engine does not.
func KillGroup(ctx context.Context, group string) error {
	for {
		err := os.WriteFile(filepath.Join(group, "cgroup.kill"), []byte("1"), 0o644)
		if err != nil { // before Linux 5.14, and cgroup v1
			pids, listErr := pidsOf(group)
			if errors.Is(listErr, fs.ErrNotExist) {
				return nil
			}
			for _, pid := range pids {
				_ = syscall.Kill(pid, syscall.SIGKILL) // one that is gone is fine
			}
		}
		if !populated(group) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("kill what runs in %s: %w", group, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}
