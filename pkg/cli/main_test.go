package cli_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
)

// TestMain runs this binary as a real program, since signals, the search path
// and exit codes belong to a process.
func TestMain(m *testing.M) {
	if os.Getenv("CLI_TEST_PROGRAM") != "" {
		cli.Main(realProgram)
	}
	os.Exit(m.Run())
}

func realProgram(p *cli.Process) *cobra.Command {
	root := &cobra.Command{Use: "tool", Short: "Do things"}
	add := func(name string, f func(c *cobra.Command) error) {
		root.AddCommand(&cobra.Command{Use: name, RunE: func(c *cobra.Command, _ []string) error { return f(c) }})
	}
	ready := func() { fmt.Fprintln(p.Stdout, "ready") }
	add("wait", func(c *cobra.Command) error {
		ready()
		<-c.Context().Done()
		return c.Context().Err()
	})
	add("fail-late", func(c *cobra.Command) error {
		ready()
		<-c.Context().Done()
		return errors.New("half done")
	})
	add("finish", func(c *cobra.Command) error {
		ready()
		<-c.Context().Done()
		return nil
	})
	add("deaf", func(c *cobra.Command) error {
		ready()
		<-c.Context().Done()
		fmt.Fprintln(p.Stdout, "heard")
		time.Sleep(time.Minute)
		return nil
	})
	add("write", func(*cobra.Command) error {
		if _, err := io.ReadAll(p.Stdin); err != nil { // until the reader is gone
			return err
		}
		for range 3 {
			if _, err := fmt.Fprintln(p.Stderr, "x"); err == nil {
				return errors.New("writing to nobody worked")
			}
		}
		return coded{text: "in order", code: exit.Partial}
	})
	add("path", func(*cobra.Command) error {
		_, err := fmt.Fprintln(p.Stdout, os.Getenv("PATH"))
		return err
	})
	add("home", func(*cobra.Command) error {
		_, err := fmt.Fprintln(p.Stdout, os.Getenv("HOME"))
		return err
	})
	return root
}

type started struct {
	cmd    *exec.Cmd
	stdout *bufio.Reader
	stderr strings.Builder
}

func start(t *testing.T, env []string, args ...string) *started {
	t.Helper()
	s := &started{cmd: exec.CommandContext(t.Context(), os.Args[0], args...)}
	s.cmd.Env = append(append(os.Environ(), "CLI_TEST_PROGRAM=1"), env...)
	s.cmd.Stderr = &s.stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.stdout = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *started) expect(t *testing.T, want string) {
	t.Helper()
	if line, err := s.stdout.ReadString('\n'); err != nil || line != want+"\n" {
		t.Fatalf("the program said %q, error %v, want %q; stderr %q", line, err, want, s.stderr.String())
	}
}

func (s *started) wait() int {
	_ = s.cmd.Wait()
	return s.cmd.ProcessState.ExitCode()
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		command string
		signal  syscall.Signal
		code    int
		stderr  string
	}{
		{"wait", syscall.SIGINT, 130, "tool: stopped by SIGINT\n"},
		{"wait", syscall.SIGTERM, 143, "tool: stopped by SIGTERM\n"},
		{"fail-late", syscall.SIGTERM, 143, "tool: stopped by SIGTERM: half done\n"},
		{"finish", syscall.SIGTERM, 0, ""},
	} {
		t.Run(c.command+" "+c.signal.String(), func(t *testing.T) {
			s := start(t, nil, c.command)
			s.expect(t, "ready")
			if err := s.cmd.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			if code := s.wait(); code != c.code || s.stderr.String() != c.stderr {
				t.Errorf("code %d, stderr %q", code, s.stderr.String())
			}
		})
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	s := start(t, nil, "deaf")
	s.expect(t, "ready")
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	s.expect(t, "heard")
	ended := make(chan int, 1)
	go func() { ended <- s.wait() }()
	// The default action is restored an instant after the context ends.
	for again, tries := time.Tick(20*time.Millisecond), 0; s.cmd.Process.Signal(syscall.SIGINT) == nil; tries++ {
		if tries == 500 {
			t.Fatal("the program ignores further signals")
		}
		<-again
	}
	<-ended
	status, ok := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("ended as %v", s.cmd.ProcessState)
	}
}

// A log that nobody reads any more does not kill the program.
func TestBrokenPipe(t *testing.T) {
	c := exec.CommandContext(t.Context(), os.Args[0], "write")
	c.Env = append(os.Environ(), "CLI_TEST_PROGRAM=1")
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = writer
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	reader.Close()
	stdin.Close()
	_ = c.Wait()
	if code := c.ProcessState.ExitCode(); code != exit.Partial {
		t.Errorf("ended as %v", c.ProcessState)
	}
}

func TestHomeIsCompleted(t *testing.T) {
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for home, want := range map[string]string{"": who.HomeDir, "/elsewhere": "/elsewhere"} {
		s := start(t, []string{"HOME=" + home}, "home")
		s.expect(t, want)
		if code := s.wait(); code != 0 {
			t.Errorf("%s: code %d", home, code)
		}
	}
}

func TestPathIsCompleted(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin:/bin":       "/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin",
		"/opt/bin:/usr/sbin":  "/opt/bin:/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/bin:/sbin:/bin",
		"":                    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"/usr/local/sbin:/a:": "/usr/local/sbin:/a:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	} {
		s := start(t, []string{"PATH=" + path}, "path")
		s.expect(t, want)
		if code := s.wait(); code != 0 {
			t.Errorf("%s: code %d", path, code)
		}
	}
}
