package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/run"
)

// Contact logs in to the other machine as the operator does: as root, with the keys,
// agent or password that ssh finds.
type Contact struct {
	Address string
	Port    int
	// Program is the command that the other end runs.
	Program []string
	// Ask reports that ssh may ask for a password on the terminal.
	Ask bool
	// Known holds known_hosts files that may contain the host.
	Known []string
	// Fingerprint is the expected fingerprint of the host key, SHA256:…; "" if it has
	// to be confirmed.
	Fingerprint string
	// Confirm asks the operator whether the host's fingerprints are correct. It is nil
	// without a terminal.
	Confirm func(fingerprints []string) (bool, error)
	Runner  run.Programs
}

// HostKeyError is a host whose key is not confirmed.
type HostKeyError struct {
	Host         string
	What         string
	Fingerprints []string
	// Changed reports that the known key is another.
	Changed bool
}

func (e *HostKeyError) Error() string { return fmt.Sprintf("%s: host key %s", e.Host, e.What) }

// ExitCode is 76: refused.
func (e *HostKeyError) ExitCode() int { return exit.Refused }

// Hint says what to do next.
func (e *HostKeyError) Hint() string {
	if e.Changed {
		return "if that machine was reinstalled, type on its console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; then here the result: --host-key SHA256:…; if it was not, an attacker may intercept the connection"
	}
	if len(e.Fingerprints) == 0 {
		return "check that sshd runs there and listens on this port"
	}
	fields := strings.Fields(e.Fingerprints[0])
	return fmt.Sprintf("on the console of that machine: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub; if the result is the same, give it here: --host-key %s",
		fields[min(1, len(fields)-1)])
}

// scanTimeout bounds a search for host keys.
const scanTimeout = 15 * time.Second

// HostKeys returns the host's keys as known_hosts lines. If the host is not known yet,
// it scans for its keys and has them confirmed.
func (c Contact) HostKeys(ctx context.Context) ([]string, error) {
	lines := c.known(ctx)
	if c.Fingerprint == "" && len(lines) > 0 {
		return lines, nil
	}
	if found, err := c.given(ctx, lines); err != nil || len(found) > 0 {
		return found, err
	}
	lines, err := c.scan(ctx)
	if err != nil {
		return nil, err
	}
	prints, err := c.fingerprints(ctx, lines)
	if err != nil {
		return nil, err
	}
	switch found, err := c.given(ctx, lines); {
	case err != nil || len(found) > 0:
		return found, err
	case c.Fingerprint != "":
		return nil, &HostKeyError{Host: c.Address, What: "differs from --host-key", Fingerprints: prints}
	case c.Confirm == nil:
		return nil, &HostKeyError{Host: c.Address, What: "is unknown here", Fingerprints: prints}
	}
	yes, err := c.Confirm(prints)
	if err == nil && !yes {
		err = &HostKeyError{Host: c.Address, What: "was not confirmed", Fingerprints: prints}
	}
	return lines, err
}

// scan asks the host for its keys: for the usual type first, because sshd locks out
// addresses that often connect without a login.
func (c Contact) scan(ctx context.Context) ([]string, error) {
	var last error
	for _, kind := range []string{"ed25519", "ecdsa,rsa"} {
		out, err := c.Runner.Output(ctx, scanTimeout, "ssh-keyscan", "-T", "5", "-t", kind, "-p", strconv.Itoa(c.Port), "--", c.Address)
		if lines := keyLines(string(out)); len(lines) > 0 {
			return lines, nil
		}
		last = err
	}
	return nil, errors.Join(&HostKeyError{Host: c.Address, What: "is not available: no sshd answers on port " + strconv.Itoa(c.Port)}, last)
}

// given returns the line with the expected fingerprint.
func (c Contact) given(ctx context.Context, lines []string) ([]string, error) {
	if c.Fingerprint == "" {
		return nil, nil
	}
	prints, err := c.fingerprints(ctx, lines)
	if err != nil {
		return nil, err
	}
	for i, p := range prints {
		if slices.Contains(strings.Fields(p), c.Fingerprint) {
			return lines[i : i+1], nil
		}
	}
	return nil, nil
}

// keyLines returns the lines that contain a key.
func keyLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); len(strings.Fields(line)) >= 3 && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "@") {
			lines = append(lines, line)
		}
	}
	return lines
}

// fingerprints returns the fingerprints of the lines, as ssh-keygen prints them.
func (c Contact) fingerprints(ctx context.Context, lines []string) ([]string, error) {
	var prints []string
	for _, line := range lines {
		var out strings.Builder
		err := c.Runner.Run(ctx, run.Command{Argv: []string{"ssh-keygen", "-l", "-f", "-"}, Stdin: strings.NewReader(line + "\n"), Stdout: &out, Timeout: scanTimeout})
		if err != nil {
			return nil, fmt.Errorf("read the host key of %s: %w", c.Address, err)
		}
		prints = append(prints, strings.TrimSpace(out.String()))
	}
	return prints, nil
}

// known returns the host's lines in the first file that contains it, with its name not
// hashed.
func (c Contact) known(ctx context.Context) []string {
	host := c.Address
	if c.Port != 22 {
		host = "[" + host + "]:" + strconv.Itoa(c.Port)
	}
	for _, file := range c.Known {
		// It exits with 1 if the host is not in the file, or there is no file.
		out, _ := c.Runner.Output(ctx, scanTimeout, "ssh-keygen", "-F", host, "-f", file)
		lines := keyLines(string(out))
		for i, line := range lines {
			fields := strings.Fields(line)
			lines[i] = host + " " + fields[1] + " " + fields[2]
		}
		if len(lines) > 0 {
			return lines
		}
	}
	return nil
}

// Open logs in and starts the other end. hostKeys holds the known_hosts lines of the
// host.
func (c Contact) Open(ctx context.Context, hostKeys []string) (*Remote, error) {
	folder, err := os.MkdirTemp("", "understudy-setup-")
	if err != nil {
		return nil, fmt.Errorf("create a folder for the host key: %w", err)
	}
	known := filepath.Join(folder, "known_hosts")
	if err := os.WriteFile(known, []byte(strings.Join(hostKeys, "\n")+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("write the host key: %w", err), os.RemoveAll(folder))
	}
	argv := []string{"ssh", "-T", "-x", "-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3",
		"-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "StrictHostKeyChecking=yes", "-o", "ForwardAgent=no",
		"-o", "UserKnownHostsFile=" + known, "-o", "GlobalKnownHostsFile=none", "-p", strconv.Itoa(c.Port)}
	if !c.Ask {
		argv = append(argv, "-o", "BatchMode=yes")
	}
	argv = append(append(argv, "--", "root@"+c.Address), c.Program...)
	// Not with package run: in a process group of its own, ssh could not ask for a
	// password on the terminal.
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	cmd.WaitDelay = 5 * time.Second
	stderr := &tailWriter{to: io.Discard}
	if c.Ask {
		stderr.to = os.Stderr
	}
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start ssh: %w", err), os.RemoveAll(folder))
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start ssh: %w", err), os.RemoveAll(folder))
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(&run.Error{Argv: argv, ExitCode: -1, Cause: err}, os.RemoveAll(folder))
	}
	s := session{cmd: cmd, in: in, stderr: stderr, folder: folder, argv: argv, contact: c}
	return NewRemote(ctx, c.Address, in, out, s.end())
}

// session is the running ssh.
type session struct {
	cmd     *exec.Cmd
	in      io.Closer
	stderr  *tailWriter
	folder  string
	argv    []string
	contact Contact
}

// end returns a function that closes the session once and returns why it ended.
func (s session) end() func() error {
	done, why := false, error(nil)
	return func() error {
		if done {
			return why
		}
		done = true
		_ = s.in.Close()
		err := s.cmd.Wait()
		_ = os.RemoveAll(s.folder)
		if err == nil {
			return nil
		}
		text := s.stderr.String()
		if strings.Contains(text, "REMOTE HOST IDENTIFICATION HAS CHANGED") {
			why = &HostKeyError{Host: s.contact.Address, What: "differs from the known key", Changed: true}
			return why
		}
		failed := &run.Error{Argv: s.argv, ExitCode: s.cmd.ProcessState.ExitCode(), Stderr: text, Cause: err}
		how := remote.SSH{User: "root", Host: s.contact.Address, Port: s.contact.Port}
		why = how.ExplainText(text, s.contact.Program[0], failed)
		if why == nil {
			why = failed
		}
		return why
	}
}

// tailWriter forwards ssh's output and stores its end.
type tailWriter struct {
	to   io.Writer
	text []byte
}

const tailBytes = 8 << 10

func (w *tailWriter) Write(p []byte) (int, error) {
	w.text = append(w.text, p...)
	w.text = w.text[max(0, len(w.text)-tailBytes):]
	return w.to.Write(p)
}

func (w *tailWriter) String() string { return string(w.text) }
