package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ns drives namespace nodes.
type ns struct {
	spec    Spec
	network *network
	// memory is the hub's private tmpfs for files that nodes write outside
	// their disk folders. It outlives a node's power loss, but not the hub.
	memory string
	// cgroups is a mount of the cgroup v2 hierarchy.
	cgroups string
}

// cgroup is the node's control group. Every process of the node is in it or
// below: it is the means to freeze a node.
func (n *ns) cgroup(node NodeSpec) string {
	return filepath.Join(n.cgroups, "understudy-lab", n.spec.Name, node.Name)
}

// mount makes the mounts that all nodes share, and removes the control groups
// of labs whose hub was killed.
func (n *ns) mount() error {
	for _, m := range []struct{ path, fstype, data string }{
		{n.memory, "tmpfs", "mode=0755"},
		{n.cgroups, "cgroup2", ""},
	} {
		if err := os.MkdirAll(m.path, 0o755); err != nil {
			return fmt.Errorf("mount %s: %w", m.fstype, err)
		}
		if err := unix.Mount("lab", m.path, m.fstype, 0, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.fstype, m.path, err)
		}
	}
	left, err := filepath.Glob(filepath.Join(n.cgroups, "understudy-lab", "*", "cgroup.procs"))
	if err != nil {
		return fmt.Errorf("look for control groups that other labs left: %w", err)
	}
	for _, path := range left {
		group := filepath.Dir(path)
		run := filepath.Join(filepath.Dir(n.spec.RunDir), filepath.Base(group))
		if _, err := os.Stat(run); errors.Is(err, fs.ErrNotExist) {
			removeCgroups(group)
		}
	}
	return nil
}

func (n *ns) prepare(_ context.Context, node NodeSpec) error {
	for _, dir := range []string{
		filepath.Join(n.memory, node.Name, "upper"),
		filepath.Join(n.memory, node.Name, "work"),
		filepath.Join(n.memory, node.Name, "root"),
		filepath.Join(n.spec.DiskDir, node.Name, "docker"),
		filepath.Join(n.spec.DiskDir, node.Name, "disk"),
		filepath.Join(n.spec.DiskDir, node.Name, "zfssim"),
	} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the folders of node %s: %w", node.Name, err)
		}
	}
	return nil
}

func (n *ns) start(ctx context.Context, node NodeSpec, console *os.File) (_ *exec.Cmd, err error) {
	group, err := n.makeCgroup(node)
	if err != nil {
		return nil, err
	}
	defer group.Close()
	dir := filepath.Join(n.memory, node.Name)
	input, err := json.Marshal(nsInit{
		Lower: n.spec.Rootfs, Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"), Root: filepath.Join(dir, "root"),
		Seed: node.Seed, Systemd: n.spec.Systemd, Console: console.Name(),
		Binds: map[string]string{
			"var/lib/docker":          filepath.Join(n.spec.DiskDir, node.Name, "docker"),
			"var/lib/understudy-disk": filepath.Join(n.spec.DiskDir, node.Name, "disk"),
			"var/lib/zfssim":          filepath.Join(n.spec.DiskDir, node.Name, "zfssim"),
		},
	})
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/proc/self/exe", NSInitCommand)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, UseCgroupFD: true, CgroupFD: int(group.Fd()),
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("make its namespaces: %w", err)
	}
	// It waits for its input, so the links are in place before anything needs
	// them.
	err = n.network.addPairs(ctx, node, cmd.Process.Pid)
	if err == nil {
		_, err = stdin.Write(input)
	}
	if err = errors.Join(err, stdin.Close()); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		n.ended(ctx, node)
		return nil, err
	}
	return cmd, nil
}

func (n *ns) makeCgroup(node NodeSpec) (*os.File, error) {
	path := n.cgroup(node)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make its control group: %w", err)
	}
	// Containers want these. A kernel with them in cgroup v1 has none to pass
	// on, and Docker does without.
	available, err := os.ReadFile(filepath.Join(n.cgroups, "cgroup.controllers"))
	if err != nil {
		return nil, fmt.Errorf("read the kernel's controllers: %w", err)
	}
	for _, controller := range strings.Fields(string(available)) {
		for at := n.cgroups; at != path; {
			_ = os.WriteFile(filepath.Join(at, "cgroup.subtree_control"), []byte("+"+controller), 0)
			rest, _ := filepath.Rel(at, path)
			at = filepath.Join(at, strings.SplitN(rest, "/", 2)[0])
		}
	}
	return os.Open(path)
}

func (n *ns) freeze(node NodeSpec, _ *exec.Cmd) error { return n.setFreeze(node, true) }
func (n *ns) thaw(node NodeSpec, _ *exec.Cmd) error   { return n.setFreeze(node, false) }

// setFreeze returns when the kernel confirms it.
func (n *ns) setFreeze(node NodeSpec, frozen bool) error {
	value, want := "0", "frozen 0"
	if frozen {
		value, want = "1", "frozen 1"
	}
	if err := os.WriteFile(filepath.Join(n.cgroup(node), "cgroup.freeze"), []byte(value), 0); err != nil {
		return err
	}
	deadline := time.Now().Add(commandTime)
	for {
		events, err := os.ReadFile(filepath.Join(n.cgroup(node), "cgroup.events"))
		if err != nil {
			return err
		}
		if strings.Contains(string(events), want) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("control group %s does not become %q", n.cgroup(node), want)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (n *ns) ended(ctx context.Context, node NodeSpec) {
	n.network.removePairs(ctx, node.Name)
	removeCgroups(n.cgroup(node))
}

// removeCgroups removes a control group and all below it. Its processes may
// take a moment to leave; a remaining group is empty and harmless.
func removeCgroups(root string) {
	for range 50 {
		var dirs []string
		_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for i := len(dirs) - 1; i >= 0; i-- {
			_ = unix.Rmdir(dirs[i])
		}
		if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
