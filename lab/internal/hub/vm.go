package hub

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// vm drives QEMU virtual machines.
type vm struct {
	spec    Spec
	network *network
}

func (v *vm) overlay(node NodeSpec) string {
	return filepath.Join(v.spec.DiskDir, node.Name+".qcow2")
}

func (v *vm) prepare(ctx context.Context, node NodeSpec) error {
	if err := command(ctx, "", "", "qemu-img", "create", "-q", "-f", "qcow2",
		"-b", v.spec.Disk, "-F", "raw", v.overlay(node)); err != nil {
		return fmt.Errorf("make the disk of node %s: %w", node.Name, err)
	}
	return v.network.addTaps(ctx, node.Name)
}

func (v *vm) start(_ context.Context, node NodeSpec, console *os.File) (*exec.Cmd, error) {
	lan, management := port(node.Name)
	argv := append(Accelerator(v.spec.KVM),
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-name", "understudy-lab-"+v.spec.Name+"-"+node.Name,
		"-smp", "1", "-m", "1536",
		"-kernel", v.spec.Kernel, "-initrd", v.spec.Initrd,
		"-append", "console=ttyS0 quiet mitigations=off no_timer_check panic=-1",
		// Writes that the guest flushed reach the host's page cache, which
		// outlives qemu: enough for a power loss, and fast.
		"-drive", "if=virtio,format=qcow2,cache=unsafe,file="+escapeComma(v.overlay(node)),
		"-drive", "if=virtio,format=raw,readonly=on,file="+escapeComma(node.Seed),
		"-device", "virtio-rng-pci",
		"-serial", "stdio",
	)
	for i, tap := range []string{lan, management} {
		argv = append(argv,
			"-netdev", fmt.Sprintf("tap,id=net%d,ifname=%s,script=no,downscript=no", i, tap),
			"-device", fmt.Sprintf("virtio-net-pci,netdev=net%d,romfile=,mac=%s", i, hardwareAddress(node, i)))
	}
	// Independent of the request's context: it runs until it is killed.
	cmd := exec.Command("qemu-system-x86_64", argv...)
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run qemu-system-x86_64: %w", err)
	}
	return cmd, nil
}

func (v *vm) freeze(_ NodeSpec, cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGSTOP) }
func (v *vm) thaw(_ NodeSpec, cmd *exec.Cmd) error   { return cmd.Process.Signal(syscall.SIGCONT) }
func (v *vm) ended(context.Context, NodeSpec)        {}

// Accelerator returns qemu's arguments for the processor. An emulated one must
// not have cmpxchg16b: QEMU 7.2 computes its flags wrongly now and then, and
// the guest panics.
func Accelerator(kvm bool) []string {
	if kvm {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	return []string{"-accel", "tcg,thread=multi", "-cpu", "Nehalem,-cx16"}
}

// escapeComma quotes a path for qemu's option lists.
func escapeComma(path string) string { return strings.ReplaceAll(path, ",", ",,") }
