package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"al.essio.dev/pkg/shellescape"
	"github.com/google/renameio/v2"
)

// sshFailed is ssh's own exit code. A program with this exit code looks like a
// lost connection and counts as one.
const sshFailed = 255

func (m *machine) Run(ctx context.Context, command Command) (Result, error) {
	began := time.Now()
	if len(command.Argv) == 0 {
		return Result{Code: -1}, fmt.Errorf("run on node %s: no program given", m.Name())
	}
	cmd := m.ssh(ctx, "-T", m.destination(), "--", shellescape.QuoteCommand(command.Argv))
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = command.Stdin, io.Writer(&stdout), io.Writer(&stderr)
	if command.Stdout != nil {
		cmd.Stdout = command.Stdout
	}
	if command.Stderr != nil {
		cmd.Stderr = command.Stderr
	}
	err := cmd.Run()
	result := Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.String(), Stderr: stderr.String(), Took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case err == nil:
		return result, nil
	case ctx.Err() != nil:
		result.Code = -1
		return result, fmt.Errorf("run %s on node %s: %w", strings.Join(command.Argv, " "), m.Name(), context.Cause(ctx))
	case errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() != sshFailed:
		return result, &ExitError{Node: m.Name(), Argv: command.Argv, Code: result.Code, Stderr: result.Stderr}
	default:
		result.Code = -1
		return result, fmt.Errorf("run %s on node %s: ssh: %w: %s", strings.Join(command.Argv, " "), m.Name(), err, strings.TrimSpace(result.Stderr))
	}
}

func (m *machine) CopyTo(ctx context.Context, hostPath, nodePath string) error {
	file, err := os.Open(hostPath)
	if err != nil {
		return fmt.Errorf("copy to node %s: %w", m.Name(), err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("copy to node %s: %w", m.Name(), err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("copy %s to node %s: only regular files can be copied", hostPath, m.Name())
	}
	// One round trip; the arguments arrive as $1 to $3, never as text.
	const script = `mkdir -p -- "$3" && cat >"$1.part" && chmod "$2" "$1.part" && mv -fT -- "$1.part" "$1"`
	_, err = m.Run(ctx, Command{
		Argv:  []string{"sh", "-c", script, "copy", nodePath, fmt.Sprintf("%o", info.Mode().Perm()), path.Dir(nodePath)},
		Stdin: file,
	})
	if err != nil {
		return fmt.Errorf("copy %s to node %s: %w", hostPath, m.Name(), err)
	}
	return nil
}

func (m *machine) CopyFrom(ctx context.Context, nodePath, hostPath string) (err error) {
	mode, err := m.Run(ctx, Argv("stat", "--format=%a", "--dereference", "--", nodePath))
	if err != nil {
		return fmt.Errorf("copy from node %s: %w", m.Name(), err)
	}
	var permissions os.FileMode
	if _, err := fmt.Sscanf(mode.Stdout, "%o", &permissions); err != nil {
		return fmt.Errorf("copy from node %s: permissions of %s: %q: %w", m.Name(), nodePath, mode.Stdout, err)
	}
	if err := os.MkdirAll(filepath.Dir(hostPath), 0o755); err != nil {
		return fmt.Errorf("copy from node %s: %w", m.Name(), err)
	}
	file, err := renameio.NewPendingFile(hostPath, renameio.WithPermissions(permissions), renameio.IgnoreUmask())
	if err != nil {
		return fmt.Errorf("copy from node %s: %w", m.Name(), err)
	}
	defer func() { err = errors.Join(err, file.Cleanup()) }()
	if _, err := m.Run(ctx, Command{Argv: []string{"cat", "--", nodePath}, Stdout: file}); err != nil {
		return fmt.Errorf("copy from node %s: %w", m.Name(), err)
	}
	if err := file.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("copy from node %s: %w", m.Name(), err)
	}
	return nil
}

// openMaster opens the connection that commands share: a handshake costs an
// emulated processor a second, a command over the connection a fraction.
func (m *machine) openMaster(ctx context.Context) error {
	m.closeMaster()
	// It lasts until closeMaster or the lab's end, not until ctx's.
	cmd := m.ssh(context.Background(), "-o", "ConnectionAttempts=5", "-M", "-N", "-T", m.destination())
	log, err := os.Create(m.controlPath() + ".log")
	if err != nil {
		return fmt.Errorf("open the ssh connection: %w", err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("open the ssh connection: %w", err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	for {
		if _, err := os.Stat(m.controlPath()); err == nil {
			m.mu.Lock()
			m.master = cmd
			m.mu.Unlock()
			return nil
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("open the ssh connection: %s", strings.TrimSpace(string(text)))
		case <-ctx.Done():
			_ = cmd.Process.Kill()
			return fmt.Errorf("open the ssh connection: %w", context.Cause(ctx))
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (m *machine) closeMaster() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.master == nil {
		return
	}
	_ = m.master.Process.Kill()
	m.master = nil
	// ssh complains about a socket without a master.
	_ = os.Remove(m.controlPath())
}

func (m *machine) destination() string { return "root@" + host(m.spec.Management) }

// controlPath is separate for each process: several can attach to the same lab.
func (m *machine) controlPath() string {
	return filepath.Join(m.lab.spec.RunDir, fmt.Sprintf("ssh-%s-%d", m.Name(), os.Getpid()))
}

// ssh prepares an ssh client inside the lab's network.
func (m *machine) ssh(ctx context.Context, args ...string) *exec.Cmd {
	keys := filepath.Join(m.lab.spec.RunDir, "keys")
	return m.lab.Command(ctx, append([]string{"ssh",
		"-F", "none", "-i", filepath.Join(keys, "id_ed25519"),
		"-o", "UserKnownHostsFile=" + filepath.Join(keys, "known_hosts"),
		"-o", "HostKeyAlias=" + m.Name(),
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
		"-o", "ConnectTimeout=20", "-o", "LogLevel=ERROR",
		"-S", m.controlPath(),
	}, args...)...)
}

// Command prepares a program of the host that runs inside the lab's network, as
// 10.77.0.1: ssh, ping, curl and so on. It ends with the lab, ctx or this
// process.
func (l *Lab) Command(ctx context.Context, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net=/proc/self/fd/3", "--"}, argv...)...)
	cmd.ExtraFiles = []*os.File{l.namespace}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// A shared connection keeps the output open after its client ends.
	cmd.WaitDelay = 500 * time.Millisecond
	return cmd
}

// SSH prepares an interactive client: without a command it opens a shell.
func (l *Lab) SSH(ctx context.Context, node string, argv ...string) (*exec.Cmd, error) {
	n, err := l.Node(node)
	if err != nil {
		return nil, err
	}
	m := n.(*machine)
	if len(argv) == 0 {
		return m.ssh(ctx, m.destination()), nil
	}
	return m.ssh(ctx, m.destination(), "--", shellescape.QuoteCommand(argv)), nil
}
