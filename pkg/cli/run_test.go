package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/exit"
)

// coded is an error of some package that chooses its code and hint.
type coded struct {
	text, hint string
	code       int
}

func (e coded) Error() string { return e.text }
func (e coded) ExitCode() int { return e.code }
func (e coded) Hint() string  { return e.hint }

// program is a constructor of a small program whose command "work" does f.
func program(f func(p *cli.Process, c *cobra.Command) error) cli.NewCommand {
	return func(p *cli.Process) *cobra.Command {
		root := &cobra.Command{Use: "tool", Short: "Do things"}
		work := &cobra.Command{
			Use:   "work [WHAT]",
			Short: "Work on it",
			Args:  cobra.MaximumNArgs(1),
			RunE:  func(c *cobra.Command, _ []string) error { return f(p, c) },
		}
		work.Flags().Int("times", 1, "how often")
		must := &cobra.Command{Use: "must", RunE: func(*cobra.Command, []string) error { return nil }}
		must.Flags().String("what", "", "what to do")
		if err := must.MarkFlagRequired("what"); err != nil {
			panic(err)
		}
		group := &cobra.Command{Use: "group", Short: "Hold a command"}
		group.AddCommand(&cobra.Command{Use: "member", RunE: func(*cobra.Command, []string) error { return nil }})
		root.AddCommand(work, must, group, cli.ConfigCommand(p))
		return root
	}
}

type result struct {
	code           int
	stdout, stderr string
}

func run(t *testing.T, p *cli.Process, newCommand cli.NewCommand, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	p.Stdout, p.Stderr = &stdout, &stderr
	code := cli.Run(t.Context(), args, p, newCommand)
	return result{code: code, stdout: stdout.String(), stderr: stderr.String()}
}

func fails(err error) cli.NewCommand {
	return program(func(*cli.Process, *cobra.Command) error { return err })
}

func TestErrorsAtTheEdge(t *testing.T) {
	foreign := exec.Command("false").Run() // its ExitCode() is that of another program
	if _, ok := errors.AsType[*exec.ExitError](foreign); !ok {
		t.Fatalf("false: %v", foreign)
	}
	locked := coded{"lock held", "wait", exit.Locked}
	for _, c := range []struct {
		name string
		err  error
		want result
	}{
		{"none", nil, result{0, "", ""}},
		{"plain", errors.New("broke"), result{1, "", "tool: error: broke\n"}},
		{"with code and hint", locked, result{75, "", "tool: error: lock held\nhint: wait\n"}},
		{"wrapped", fmt.Errorf("run: %w", locked), result{75, "", "tool: error: run: lock held\nhint: wait\n"}},
		{"joined", errors.Join(errors.New("other"), locked, coded{"x", "wait", 3}, coded{"y", "look", 3}),
			result{75, "", "tool: error: other\nlock held\nx\ny\nhint: wait\nhint: look\n"}},
		{"of a started program", fmt.Errorf("start it: %w", foreign), result{1, "", "tool: error: start it: exit status 1\n"}},
		{"of a started program with our code", errors.Join(foreign, coded{"refused", "", exit.Refused}),
			result{76, "", "tool: error: exit status 1\nrefused\n"}},
		{"usage found by the command", cli.Usagef("--times must be at least %d", 1),
			result{64, "", "tool: error: --times must be at least 1\nTry: tool work --help\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := run(t, &cli.Process{}, fails(c.err), "work"); got != c.want {
				t.Errorf("have %+v\nwant %+v", got, c.want)
			}
		})
	}
}

func TestWrongCommandLines(t *testing.T) {
	for line, want := range map[string]string{
		"wrok":           "tool: error: unknown command \"wrok\"; did you mean work?\nTry: tool --help\n",
		"zzz":            "tool: error: unknown command \"zzz\"\nTry: tool --help\n",
		"group mmber":    "tool: error: unknown command \"mmber\"; did you mean member?\nTry: tool group --help\n",
		"work --tims 2":  "tool: error: unknown flag: --tims\nTry: tool work --help\n",
		"work --times x": "tool: error: invalid argument \"x\" for \"--times\" flag: strconv.ParseInt: parsing \"x\": invalid syntax\nTry: tool work --help\n",
		"work a b":       "tool: error: accepts at most 1 arg(s), received 2\nTry: tool work --help\n",
		"must":           "tool: error: required flag(s) \"what\" not set\nTry: tool must --help\n",
		"--nothing":      "tool: error: unknown flag: --nothing\nTry: tool --help\n",
		"work --log-level loud": "tool: error: --log-level \"loud\" is not one of debug, info, warn, error\n" +
			"Try: tool work --help\n",
		"work --log-format xml": "tool: error: --log-format \"xml\" is not one of console, logfmt, json\n" +
			"Try: tool work --help\n",
	} {
		got := run(t, &cli.Process{}, fails(nil), strings.Fields(line)...)
		if got != (result{64, "", want}) {
			t.Errorf("%s: have %+v\nwant %q", line, got, want)
		}
	}
}

func TestNoCommand(t *testing.T) {
	for line, command := range map[string]string{"": "tool", "group": "tool group"} {
		got := run(t, &cli.Process{}, fails(nil), strings.Fields(line)...)
		if got.code != exit.Usage || got.stdout != "" || !strings.Contains(got.stderr, "Available Commands:") ||
			!strings.HasSuffix(got.stderr, "tool: error: a command is missing\nTry: "+command+" --help\n") {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, line := range []string{"--help", "help", "work --help", "help work", "group --help", "config check --help"} {
		got := run(t, &cli.Process{}, fails(nil), strings.Fields(line)...)
		if got.code != 0 || got.stderr != "" || !strings.Contains(got.stdout, "\nEXIT STATUS\n  0        done") {
			t.Errorf("%s: %+v", line, got)
		}
		if strings.Contains(got.stdout, "tool [flags]") || strings.Contains(got.stdout, "group [flags]") {
			t.Errorf("%s shows a usage that is an error:\n%s", line, got.stdout)
		}
	}
	if got := run(t, &cli.Process{}, fails(nil), "work", "--help"); !strings.Contains(got.stdout, "tool work [WHAT] [flags]") {
		t.Errorf("usage is missing:\n%s", got.stdout)
	}
}

func TestOwnExitStatus(t *testing.T) {
	probe := func(*cli.Process) *cobra.Command {
		c := &cobra.Command{Use: "probe", Short: "Probe", RunE: func(*cobra.Command, []string) error { return nil }}
		cli.SetExitStatus(c, "  0 serving\n  1 not serving")
		return c
	}
	got := run(t, &cli.Process{}, probe, "--help")
	if !strings.HasSuffix(got.stdout, "\nEXIT STATUS\n  0 serving\n  1 not serving\n") {
		t.Errorf("%+v", got)
	}
}

func TestVersion(t *testing.T) {
	got := run(t, &cli.Process{}, fails(nil), "--version")
	if want := "tool " + cli.Version() + "\n"; got != (result{0, want, ""}) {
		t.Errorf("%+v, want %q", got, want)
	}
}

func TestPanicIsReported(t *testing.T) {
	got := run(t, &cli.Process{}, program(func(*cli.Process, *cobra.Command) error { panic("impossible") }), "work")
	first, rest, _ := strings.Cut(got.stderr, "\n")
	if got.code != 1 || !strings.HasPrefix(first, "tool: error: this is a bug in tool ") || !strings.HasSuffix(first, ": impossible") ||
		!strings.HasPrefix(rest, "hint: please report it") || !strings.Contains(rest, "run_test.go:") {
		t.Errorf("%+v", got)
	}
}

func TestCancelledWithoutSignal(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	code := cli.Run(ctx, []string{"work"}, &cli.Process{Stderr: &stderr},
		program(func(_ *cli.Process, c *cobra.Command) error { return c.Context().Err() }))
	if code != exit.Failed || stderr.String() != "tool: error: context canceled\n" {
		t.Errorf("code %d, %q", code, stderr.String())
	}
}

func TestLog(t *testing.T) {
	logs := program(func(p *cli.Process, _ *cobra.Command) error {
		p.Log.Debug().Msg("d")
		p.Log.Info().Str("dataset", "tank/a b").Int("bytes", 7).Msg("sent it")
		p.Log.Warn().Msg("slow")
		return nil
	})
	variables := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	const (
		warn = "time=2026-01-02T03:04:05Z level=warn msg=\"slow\"\n"
		info = "time=2026-01-02T03:04:05Z level=info msg=\"sent it\" bytes=7 dataset=\"tank/a b\"\n"
	)
	for _, c := range []struct {
		name     string
		terminal bool
		getenv   func(string) string
		args     string
		want     string
	}{
		{"cron", false, nil, "", warn},
		{"level flag", false, nil, "--log-level info", info + warn},
		{"level in the environment", false, variables("UNDERSTUDY_LOG_LEVEL", "error"), "", ""},
		{"flag over environment", false, variables("UNDERSTUDY_LOG_LEVEL", "error"), "--log-level warn", warn},
		{"json", false, nil, "--log-format json", `{"level":"warn","time":"2026-01-02T03:04:05Z","message":"slow"}` + "\n"},
		{"terminal without colour", true, variables("NO_COLOR", "1"), "",
			"03:04:05 INF sent it bytes=7 dataset=\"tank/a b\"\n03:04:05 WRN slow\n"},
		{"terminal", true, nil, "--log-level warn", "\x1b[90m03:04:05\x1b[0m \x1b[33mWRN\x1b[0m \x1b[1mslow\x1b[0m\n"},
		{"console elsewhere", false, nil, "--log-format console", "03:04:05 WRN slow\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &cli.Process{
				StderrTerminal: c.terminal,
				Getenv:         c.getenv,
				Now:            func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC) },
			}
			if got := run(t, p, logs, append([]string{"work"}, strings.Fields(c.args)...)...); got != (result{0, "", c.want}) {
				t.Errorf("have %+v\nwant %q", got, c.want)
			}
		})
	}
}
