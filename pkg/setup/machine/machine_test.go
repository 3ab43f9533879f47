package machine

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/run"
)

// connected returns a machine at the other end of two pipes, as with ssh.
func connected(t *testing.T, far Machine, banner string) (*Remote, func() error) {
	t.Helper()
	farIn, in := io.Pipe()
	out, farOut := io.Pipe()
	served := make(chan error, 1)
	go func() {
		_, _ = io.WriteString(farOut, banner)
		served <- Serve(context.Background(), far, farIn, farOut)
		_ = farOut.Close()
	}()
	r, err := NewRemote(t.Context(), "far", in, out, func() error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return r, func() error {
		if err := r.Close(); err != nil {
			return err
		}
		select {
		case err := <-served:
			return err
		case <-time.After(20 * time.Second):
			return errors.New("the other end does not end")
		}
	}
}

func local(t *testing.T) *Local {
	l := NewLocal(run.New(zerolog.Nop()), "v1")
	l.Root = t.TempDir()
	return l
}

// Both machines behave the same.
func TestMachines(t *testing.T) {
	near := local(t)
	behind := local(t)
	far, end := connected(t, behind, "Welcome!\nlast login: never\n")
	for name, c := range map[string]struct {
		m    Machine
		root string
	}{"here": {near, near.Root}, "at the other end": {far, behind.Root}} {
		t.Run(name, func(t *testing.T) { testMachine(t, c.m, c.root) })
	}
	if err := end(); err != nil {
		t.Error(err)
	}
}

func testMachine(t *testing.T, m Machine, root string) {
	ctx := t.Context()
	facts, err := m.Inspect(ctx)
	if err != nil || facts.Version != "v1" || facts.UID != os.Geteuid() || facts.Programs["ssh-keygen"] == "" {
		t.Errorf("facts %+v, error %v", facts, err)
	}
	const path = "/etc/understudy/config.yaml"
	if f, err := m.Read(ctx, path); err != nil || f.Found {
		t.Errorf("a file that is not there: %+v, %v", f, err)
	}
	for _, text := range []string{"one\n", strings.Repeat("two ", 100_000)} {
		if err := m.Write(ctx, path, File{Text: text, Mode: 0o640}); err != nil {
			t.Fatal(err)
		}
		if f, err := m.Read(ctx, path); err != nil || !f.Found || f.Text != text || f.Mode != 0o640 {
			t.Errorf("read %d bytes, mode %o, %v", len(f.Text), f.Mode, err)
		}
	}
	if err := m.Write(ctx, "/root/.ssh/authorized_keys", File{Text: "x\n", Mode: 0o600}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(root, "root/.ssh")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of keys: %v, %v", info, err)
	}
	_, err = m.Read(ctx, "/etc")
	if failed, ok := errors.AsType[*FileError](err); !ok || failed.Path != "/etc" {
		t.Errorf("a folder is read: %v", err)
	}
	if err := m.Write(ctx, "/x", File{Owner: "nobody-of-that-name"}); err == nil {
		t.Error("a file is given to nobody")
	}

	var lines []string
	out, err := m.Run(ctx, Call{Argv: []string{"sh", "-c", `cat; echo one >&2; printf two >&2; echo "$X$UNDERSTUDY_CONFIG"`}, Stdin: "in\n", Env: []string{"X=y"},
		Timeout: time.Minute, Say: func(line string) { lines = append(lines, line) }})
	if err != nil || out.Stdout != "in\ny\n" || !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("output %+v, lines %q, error %v", out, lines, err)
	}
	out, err = m.Run(ctx, Call{Argv: []string{"sh", "-c", "echo half; echo why >&2; exit 7"}, Timeout: time.Minute})
	if failed, ok := errors.AsType[*run.Error](err); !ok || failed.ExitCode != 7 || failed.LastLine() != "why" || out.Stdout != "half\n" {
		t.Errorf("a failure: %+v, %v", out, err)
	}
	_, err = m.Run(ctx, Call{Argv: []string{"no-such-program"}, Timeout: time.Minute})
	if err == nil || !strings.Contains(err.Error(), "not found on PATH") {
		t.Errorf("a program that is missing: %v", err)
	}
	_, err = m.Run(ctx, Call{Argv: []string{"sleep", "60"}, Timeout: 20 * time.Millisecond})
	if failed, ok := errors.AsType[*run.Error](err); !ok || !failed.TimedOut {
		t.Errorf("a program that hangs: %v", err)
	}
}

// Programs started at the other end stop when this end is gone.
func TestEndsWithTheSession(t *testing.T) {
	far, end := connected(t, local(t), "")
	file := filepath.Join(t.TempDir(), "started")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist); _, err = os.Stat(file) {
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	_, err := far.Run(ctx, Call{Argv: []string{"sh", "-c", "echo $$ >" + file + ".new; mv " + file + ".new " + file + "; exec sleep 600"}, Timeout: time.Hour})
	if _, lost := errors.AsType[*LostError](err); !lost {
		t.Errorf("error %v", err)
	}
	if err := end(); err != nil {
		t.Error(err)
	}
	pid, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(pid))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("process %s still runs: %v", strings.TrimSpace(string(pid)), err)
	}
}

func TestNotOurs(t *testing.T) {
	out := io.NopCloser(strings.NewReader("sh: failover-notify: not found\n"))
	_, in := io.Pipe()
	why := errors.New("ssh said why")
	_, err := NewRemote(t.Context(), "far", in, out, func() error { return why })
	if !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
}

func TestGateway(t *testing.T) {
	file := filepath.Join(t.TempDir(), "route")
	table := "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\n" +
		"eth0\t0056A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\n" +
		"eth0\t00000000\t0156A8C0\t0003\t0\t0\t0\t00000000\t0\n"
	if err := os.WriteFile(file, []byte(table), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := gateway(file); got != "192.168.86.1" {
		t.Errorf("gateway %q", got)
	}
	if got := gateway(file + ".none"); got != "" {
		t.Errorf("gateway %q of no table", got)
	}
}

// A host key is accepted if it is known or confirmed.
func TestHostKeys(t *testing.T) {
	dir := t.TempDir()
	key := func(name string) (line, print string) {
		file := filepath.Join(dir, name)
		for _, argv := range [][]string{{"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file}, {"ssh-keygen", "-l", "-f", file + ".pub"}} {
			out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output()
			if err != nil {
				t.Fatal(err)
			}
			if len(out) > 0 {
				print = strings.Fields(string(out))[1]
			}
		}
		text, err := os.ReadFile(file + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(text))
		return "192.0.2.11 " + fields[0] + " " + fields[1], print
	}
	line, fingerprint := key("host")
	other, _ := key("other")
	scan := "#!/bin/sh\necho '# 192.0.2.11:22 SSH-2.0'\necho '" + line + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "ssh-keyscan"), []byte(scan), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	answer := func(yes bool) func([]string) (bool, error) {
		return func(prints []string) (bool, error) {
			if len(prints) != 1 || !strings.Contains(prints[0], fingerprint) {
				t.Errorf("asked for %q", prints)
			}
			return yes, nil
		}
	}
	for _, c := range []struct {
		name string
		how  Contact
		ok   bool
	}{
		{"nobody knows it", Contact{}, false},
		{"known", Contact{Known: []string{filepath.Join(dir, "none"), write("known", line)}}, true},
		{"given, and another is known", Contact{Fingerprint: fingerprint, Known: []string{write("known-other", other)}}, true},
		{"confirmed", Contact{Confirm: answer(true)}, true},
		{"not confirmed", Contact{Confirm: answer(false)}, false},
		{"given", Contact{Fingerprint: fingerprint}, true},
		{"another was given", Contact{Fingerprint: "SHA256:x", Confirm: answer(true)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.how.Address, c.how.Port, c.how.Runner = "192.0.2.11", 22, run.New(zerolog.Nop())
			got, err := c.how.HostKeys(t.Context())
			_, refused := errors.AsType[*HostKeyError](err)
			if c.ok != (err == nil) || !c.ok && !refused || c.ok && !slices.Equal(got, []string{line}) {
				t.Errorf("keys %q, error %v", got, err)
			}
		})
	}
}

// If a host has another key than the known one, the hint says what to type.
func TestHostKeyChanged(t *testing.T) {
	dir := t.TempDir()
	ssh := "#!/bin/sh\necho '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @' >&2\nexit 255\n"
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(ssh), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	c := Contact{Address: "192.0.2.11", Port: 22, Program: []string{"failover-notify"}, Runner: run.New(zerolog.Nop())}
	_, err := c.Open(t.Context(), []string{"192.0.2.11 ssh-ed25519 OLD"})
	changed, ok := errors.AsType[*HostKeyError](err)
	if !ok || !changed.Changed || changed.ExitCode() != 76 || !strings.Contains(changed.Hint(), "--host-key") {
		t.Fatalf("error %v", err)
	}
}
