package testhost

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// inNamespace marks the process that runs in a mount namespace of its own.
const inNamespace = "UNDERSTUDY_TEST_NAMESPACE"

// InNamespace reports whether this process is the one that EnterNamespace has
// started.
func InNamespace() bool { return os.Getenv(inNamespace) != "" }

// EnterNamespace runs this program again in a mount namespace, so that what is
// mounted there goes with it, even when it is killed, and returns its exit code.
// Without root a user namespace gives the right to mount.
func EnterNamespace() int {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	runtime.LockOSThread() // the death signal is tied to the thread that starts the child
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(1, exit.ExitCode()) // killed, it has none
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "the tests need a mount namespace of their own, and it can't be made: %v\n"+
			"run them as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)\n", err)
		return 1
	}
	return 0
}
