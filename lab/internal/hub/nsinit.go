package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// NSInitCommand is the hidden command of the hub program that becomes the first
// process of a namespace node.
const NSInitCommand = "ns-init"

// nsInit is the input of that command.
type nsInit struct {
	Lower, Upper, Work, Root string
	Seed                     string
	// Systemd is set when the node's init is systemd. Console is its
	// /dev/console.
	Systemd bool
	Console string
	// Binds maps folders of the node to folders on the host's disk: Docker
	// cannot use an overlay on an overlay.
	Binds map[string]string
}

// NSInit turns the current process, the first of new namespaces, into the first
// process of a node. It mounts the node's root, drops capabilities that reach
// the host's kernel, and executes the node's init. It returns only on failure.
func NSInit() error {
	// Namespaces and capabilities belong to a thread until exec.
	runtime.LockOSThread()
	var in nsInit
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return fmt.Errorf("read the node's description: %w", err)
	}
	// The root of the control group namespace is the group of this process.
	// Processes live in a leaf below it, since only groups without processes
	// can have controllers.
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("make a control group namespace: %w", err)
	}
	for _, step := range []func(nsInit) error{mountRoot, mountKernel, makeDevices, protectSettings, makeBootID, unpackSeed, enterLeaf, switchRoot} {
		if err := step(in); err != nil {
			return err
		}
	}
	if err := dropCapabilities(); err != nil {
		return err
	}
	null, err := os.Open("/dev/null")
	if err != nil {
		return err
	}
	if err := unix.Dup2(int(null.Fd()), 0); err != nil {
		return fmt.Errorf("close standard input: %w", err)
	}
	environment := []string{"LANG=C.UTF-8"}
	if in.Systemd { // it asks whether the kernel is its own
		environment = append(environment, "container=lab")
	}
	err = unix.Exec("/usr/sbin/lab-init", []string{"lab-init"}, environment)
	return fmt.Errorf("run /usr/sbin/lab-init: %w", err)
}

// mount is unix.Mount with a target below the new root; a missing target is
// made.
func (in nsInit) mount(source, target, fstype string, flags uintptr, data string) error {
	path := filepath.Join(in.Root, target)
	if err := os.MkdirAll(path, 0o755); err != nil {
		return fmt.Errorf("mount /%s: %w", target, err)
	}
	if err := unix.Mount(source, path, fstype, flags, data); err != nil {
		return fmt.Errorf("mount %s on /%s: %w", fstype, target, err)
	}
	return nil
}

func mountRoot(in nsInit) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", in.Lower, in.Upper, in.Work)
	if err := in.mount("overlay", "", "overlay", 0, options); err != nil {
		return err
	}
	for target, source := range in.Binds {
		if err := in.mount(source, target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

func mountKernel(in nsInit) error {
	safe := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	for _, m := range []struct {
		target, fstype string
		flags          uintptr
		data           string
	}{
		{"proc", "proc", safe, ""},
		{"sys", "sysfs", safe, ""},
		{"sys/fs/cgroup", "cgroup2", safe, ""},
		{"dev", "tmpfs", unix.MS_NOSUID, "mode=0755"},
		{"dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
		{"dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"tmp", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	} {
		if err := in.mount("lab", m.target, m.fstype, m.flags, m.data); err != nil {
			return err
		}
	}
	return nil
}

// makeDevices makes the devices that cannot reach the host.
func makeDevices(in nsInit) error {
	unix.Umask(0)
	defer unix.Umask(0o022)
	dev := filepath.Join(in.Root, "dev")
	for name, number := range map[string][2]uint32{
		"null": {1, 3}, "zero": {1, 5}, "full": {1, 7}, "random": {1, 8}, "urandom": {1, 9}, "tty": {5, 0},
	} {
		if err := unix.Mknod(filepath.Join(dev, name), unix.S_IFCHR|0o666, int(unix.Mkdev(number[0], number[1]))); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
		"ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return fmt.Errorf("make /dev/%s: %w", name, err)
		}
	}
	// One write there would reboot the host.
	trigger := filepath.Join(in.Root, "proc/sysrq-trigger")
	err := unix.Mount(filepath.Join(dev, "null"), trigger, "", unix.MS_BIND, "")
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("mask /proc/sysrq-trigger: %w", err)
	}
	return nil
}

// protectSettings restricts systemd, which changes many kernel settings at
// boot, to the node's own network, and gives it a console.
func protectSettings(in nsInit) error {
	if !in.Systemd {
		return nil
	}
	settings := filepath.Join(in.Root, "proc/sys")
	for _, m := range []struct {
		path  string
		flags uintptr
	}{
		{settings, unix.MS_BIND}, {settings + "/net", unix.MS_BIND}, {settings, unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
	} {
		if err := unix.Mount(m.path, m.path, "", m.flags, ""); err != nil {
			return fmt.Errorf("protect %s: %w", m.path, err)
		}
	}
	console := filepath.Join(in.Root, "dev/console")
	if err := os.WriteFile(console, nil, 0o600); err != nil {
		return fmt.Errorf("make a console: %w", err)
	}
	if err := unix.Mount(in.Console, console, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("make a console: %w", err)
	}
	return nil
}

// makeBootID gives each boot of the node an id: programs use it to recognise
// records of an earlier boot, and the kernel's id is this machine's.
func makeBootID(in nsInit) error {
	random := filepath.Join(in.Root, "proc/sys/kernel/random")
	id, err := os.ReadFile(filepath.Join(random, "uuid"))
	if err != nil {
		return fmt.Errorf("make an id of the boot: %w", err)
	}
	file := filepath.Join(in.Root, "run/lab-boot-id")
	if err := os.WriteFile(file, id, 0o444); err != nil {
		return fmt.Errorf("make an id of the boot: %w", err)
	}
	if err := unix.Mount(file, filepath.Join(random, "boot_id"), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("show the id of the boot: %w", err)
	}
	return nil
}

func unpackSeed(in nsInit) error {
	out, err := exec.Command("tar", "-xf", in.Seed, "-C", in.Root).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unpack the node's own files: %w: %s", err, out)
	}
	return nil
}

func enterLeaf(in nsInit) error {
	if in.Systemd {
		return nil // it makes control groups itself
	}
	leaf := filepath.Join(in.Root, "sys/fs/cgroup/init")
	if err := os.MkdirAll(leaf, 0o755); err != nil {
		return fmt.Errorf("make the control group of the node's programs: %w", err)
	}
	if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0); err != nil {
		return fmt.Errorf("enter the control group of the node's programs: %w", err)
	}
	return nil
}

func switchRoot(in nsInit) error {
	if err := unix.Chdir(in.Root); err != nil {
		return fmt.Errorf("enter the node's root: %w", err)
	}
	// Old and new root at the same place: see pivot_root(2).
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("switch to the node's root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the host's root: %w", err)
	}
	return unix.Chdir("/")
}

// dropCapabilities drops the capabilities that no namespace contains: the
// host's clock, modules, and raw hardware.
func dropCapabilities() error {
	for _, capability := range []uintptr{unix.CAP_SYS_TIME, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO} {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", capability, err)
		}
	}
	return nil
}
