package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/lab/image"
	"github.com/understudy-ha/understudy/lab/internal/hub"
)

// checkHost names everything that this machine lacks, in one error.
func checkHost(kind Kind) error {
	if os.Geteuid() != 0 {
		return errors.New("a lab needs root, for its namespaces and network; run it with sudo")
	}
	if kind == VM && runtime.GOARCH != "amd64" {
		return fmt.Errorf("a lab of kind %s needs an amd64 machine, not %s; use kind %s", VM, runtime.GOARCH, NS)
	}
	needs := []string{"ip", "nsenter", "unshare", "ssh", "ssh-keygen", "tar"}
	if kind == VM {
		needs = append(needs, "qemu-system-x86_64", "qemu-img", "mkfs.ext4")
	}
	var missing []string
	for _, program := range needs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("a lab of kind %s needs %s; run make setup", kind, strings.Join(missing, ", "))
	}
	return nil
}

// kvmWorks reports whether hardware virtualisation can run the lab's kernel
// here, by running it. The result is cached until the next boot.
func kvmWorks(ctx context.Context, img image.Image) (bool, error) {
	const yes, no = "yes\n", "no\n"
	if device, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0); err != nil {
		return false, nil
	} else {
		device.Close()
	}
	answer := filepath.Join(RunRoot, "kvm-"+filepath.Base(img.Dir))
	if known, err := os.ReadFile(answer); err == nil {
		return string(known) == yes, nil
	}
	probe, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	argv := append(hub.Accelerator(true), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-smp", "1", "-m", "512", "-kernel", img.Kernel(), "-initrd", img.Initrd(),
		"-append", "console=ttyS0 quiet panic=-1 lab.probe", "-serial", "stdio")
	cmd := exec.CommandContext(probe, "qemu-system-x86_64", argv...)
	var console bytes.Buffer
	cmd.Stdout = &console
	cmd.WaitDelay = time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// The exit code is irrelevant; the reached point counts.
	_ = cmd.Run()
	if ctx.Err() != nil {
		return false, fmt.Errorf("try hardware virtualisation: %w", context.Cause(ctx))
	}
	works, text := bytes.Contains(console.Bytes(), []byte("lab-initrd: alive")), no
	if works {
		text = yes
	}
	if err := errors.Join(os.MkdirAll(RunRoot, 0o755), os.WriteFile(answer, []byte(text), 0o644)); err != nil {
		return false, fmt.Errorf("try hardware virtualisation: %w", err)
	}
	return works, nil
}

// simulated returns the simulator of ZFS for namespace nodes; it is built when
// no program is given. Namespace nodes never get the real programs: pools
// belong to the kernel, so a node would reach this machine's own.
func simulated(ctx context.Context, dir, program string) ([]seedFile, error) {
	if program == "" {
		program = filepath.Join(dir, "zfssim")
		if err := goBuild(ctx, "./lab/zfssim", program); err != nil {
			return nil, err
		}
	}
	return []seedFile{
		{path: "usr/sbin/zfs", host: program, mode: 0o755},
		{path: "usr/sbin/zpool", link: "zfs", mode: 0o777},
	}, nil
}

// goBuild builds a static program of this module, which runs on any node.
func goBuild(ctx context.Context, pkg, out string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		return fmt.Errorf("find the module %s: %w; run inside its checkout", module, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, pkg)
	cmd.Dir = strings.TrimSpace(string(root))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w:\n%s", pkg, err, text)
	}
	return nil
}

// alive reports whether a process is running, as opposed to a zombie or none.
func alive(pid int) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && len(cmdline) > 0
}

// removeStale removes the remains of labs whose hub was killed.
func removeStale(log io.Writer) {
	left, _ := filepath.Glob(filepath.Join(RunRoot, "*", "pid"))
	for _, path := range left {
		runDir := filepath.Dir(path)
		pid, err := readPID(runDir)
		if err != nil || alive(pid) {
			continue
		}
		fmt.Fprintf(log, "lab: removing what lab %s has left\n", filepath.Base(runDir))
		_ = os.RemoveAll(runDir)
	}
	disks, _ := filepath.Glob(filepath.Join(image.CacheDir(), "run", "*"))
	for _, disk := range disks {
		if _, err := os.Stat(filepath.Join(RunRoot, filepath.Base(disk))); errors.Is(err, os.ErrNotExist) {
			_ = os.RemoveAll(disk)
		}
	}
}
