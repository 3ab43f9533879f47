package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-ha/understudy/lab/image"
	"github.com/understudy-ha/understudy/lab/internal/hub"
)

// HubCommand is the command of lab/cmd/lab that becomes a lab's hub.
const HubCommand = "hub"

const module = "github.com/understudy-ha/understudy"

// claim claims the lab's name by making its run folder.
func claim(spec hub.Spec) error {
	if err := os.MkdirAll(RunRoot, 0o755); err != nil {
		return fmt.Errorf("make lab %s: %w", spec.Name, err)
	}
	if err := os.Mkdir(spec.RunDir, 0o700); errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make lab %s: it is up already; use it, take it down first (lab down --name %[1]s), or choose another name", spec.Name)
	} else if err != nil {
		return fmt.Errorf("make lab %s: %w", spec.Name, err)
	}
	if err := os.MkdirAll(spec.DiskDir, 0o700); err != nil {
		return fmt.Errorf("make lab %s: %w", spec.Name, err)
	}
	return writePID(spec.RunDir, os.Getpid())
}

// startHub starts the lab's hub in new namespaces and connects to it.
func (l *Lab) startHub(ctx context.Context, program string) error {
	if program == "" {
		program = filepath.Join(l.spec.RunDir, "lab")
		if err := goBuild(ctx, "./lab/cmd/lab", program); err != nil {
			return err
		}
	}
	logPath := filepath.Join(l.spec.RunDir, "hub.log")
	log, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("start the hub of lab %s: %w", l.spec.Name, err)
	}
	defer log.Close()
	cmd := exec.Command(program, HubCommand, l.spec.RunDir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		// A session of its own: Ctrl-C on a terminal is for the lab's owner.
		Setsid:     true,
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
	}
	if l.spec.Owned {
		// The end of this pipe, with this process, ends the hub.
		if l.lifeline, err = cmd.StdinPipe(); err != nil {
			return fmt.Errorf("start the hub of lab %s: %w", l.spec.Name, err)
		}
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the hub of lab %s: %w", l.spec.Name, err)
	}
	l.process, l.hubPID, l.exited = cmd, cmd.Process.Pid, make(chan struct{})
	go func() { _ = cmd.Wait(); close(l.exited) }()
	if err := writePID(l.spec.RunDir, l.hubPID); err != nil {
		return err
	}
	deadline := time.After(30 * time.Second)
	for {
		if l.hub, err = hub.Dial(ctx, l.spec); err == nil {
			return l.enter()
		}
		select {
		case <-l.exited:
			text, _ := os.ReadFile(logPath)
			return fmt.Errorf("start the hub of lab %s: %s", l.spec.Name, strings.TrimSpace(string(text)))
		case <-ctx.Done():
			return fmt.Errorf("start the hub of lab %s: %w", l.spec.Name, context.Cause(ctx))
		case <-deadline:
			return fmt.Errorf("start the hub of lab %s: it does not answer; its log is %s", l.spec.Name, logPath)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// enter opens the lab's network for the programs that run in it.
func (l *Lab) enter() (err error) {
	if l.namespace, err = os.Open(fmt.Sprintf("/proc/%d/ns/net", l.hubPID)); err != nil {
		return fmt.Errorf("enter the network of lab %s: %w", l.spec.Name, err)
	}
	return nil
}

// endHub asks the hub to end, waits, and kills it if it does not.
func (l *Lab) endHub() error {
	if l.hubPID == 0 {
		return nil
	}
	if l.hub != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		// A hub that does not answer is killed below.
		_ = l.hub.Shutdown(ctx)
		l.hub.Close()
	}
	if l.lifeline != nil {
		l.lifeline.Close()
	}
	if l.gone(25 * time.Second) {
		l.hubPID = 0
		return nil
	}
	if err := syscall.Kill(l.hubPID, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill the hub of lab %s: %w", l.spec.Name, err)
	}
	if !l.gone(10 * time.Second) {
		return fmt.Errorf("the hub of lab %s (process %d) does not end", l.spec.Name, l.hubPID)
	}
	l.hubPID = 0
	return nil
}

// gone waits until the hub's process has ended.
func (l *Lab) gone(timeout time.Duration) bool {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if l.exited != nil {
			select {
			case <-l.exited:
				return true
			default:
			}
		} else if !isHub(l.hubPID, l.spec.RunDir) {
			return true
		}
	}
	return false
}

// Attach connects to a running lab. Close ends the connection, Down the lab.
func Attach(ctx context.Context, name string) (*Lab, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	spec, err := hub.ReadSpec(filepath.Join(RunRoot, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lab %s is not up; start it with: lab up --name %[1]s", name)
	} else if err != nil {
		return nil, err
	}
	l := &Lab{spec: spec}
	if l.hubPID, err = readPID(spec.RunDir); err != nil || !isHub(l.hubPID, spec.RunDir) {
		return nil, fmt.Errorf("lab %s has left only files; remove them with: lab down --name %[1]s", name)
	}
	if l.hub, err = hub.Dial(ctx, spec); err != nil {
		return nil, err
	}
	if err := l.enter(); err != nil {
		return nil, err
	}
	for _, node := range spec.Nodes {
		l.Nodes = append(l.Nodes, &machine{spec: node, lab: l})
	}
	return l, nil
}

// The process of a lab: its maker at first, then its hub.
func writePID(runDir string, pid int) error {
	if err := os.WriteFile(filepath.Join(runDir, "pid"), []byte(strconv.Itoa(pid)), 0o600); err != nil {
		return fmt.Errorf("record the lab's process: %w", err)
	}
	return nil
}

func readPID(runDir string) (int, error) {
	text, err := os.ReadFile(filepath.Join(runDir, "pid"))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// isHub reports whether a process is the lab's hub, and not another one with
// its reused id.
func isHub(pid int, runDir string) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(text), "\x00"+HubCommand+"\x00"+runDir+"\x00")
}

// Remove ends the lab of that name, or removes its remains. A missing lab is no
// error.
func Remove(ctx context.Context, name string) error {
	l, err := Attach(ctx, name)
	if err == nil {
		return l.Down()
	}
	if nameErr := checkName(name); nameErr != nil {
		return nameErr
	}
	runDir := filepath.Join(RunRoot, name)
	if pid, readErr := readPID(runDir); readErr == nil && isHub(pid, runDir) {
		// The hub exists but does not answer.
		l = &Lab{spec: hub.Spec{Name: name, RunDir: runDir, DiskDir: diskDir(name)}, hubPID: pid}
		return l.Down()
	}
	if err := errors.Join(os.RemoveAll(runDir), os.RemoveAll(diskDir(name))); err != nil {
		return fmt.Errorf("remove lab %s: %w", name, err)
	}
	return nil
}

func diskDir(name string) string { return filepath.Join(image.CacheDir(), "run", name) }
