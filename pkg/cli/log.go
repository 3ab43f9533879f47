package cli

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// logFlags are --log-level and --log-format.
type logFlags struct {
	level, format string
}

func (f *logFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.level, "log-level", "", "least `level` to log: debug, info, warn or error (default info on a terminal, else warn; $UNDERSTUDY_LOG_LEVEL)")
	flags.StringVar(&f.format, "log-format", "", "log `format`: console, logfmt or json (default console on a terminal, else logfmt; $UNDERSTUDY_LOG_FORMAT)")
}

// logger returns the logger that the flags, else the environment, else the
// kind of stderr ask for. Off a terminal the level is warn, so that cron has
// nothing to mail when all is well, but for commands that ask for more.
func (f *logFlags) logger(p *Process, c *cobra.Command) (zerolog.Logger, error) {
	level, format := zerolog.WarnLevel, "logfmt"
	if usual, err := zerolog.ParseLevel(c.Annotations[logLevelKey]); err == nil && c.Annotations[logLevelKey] != "" {
		level = usual
	}
	if p.StderrTerminal {
		level, format = zerolog.InfoLevel, "console"
	}
	if text, from := choose(f.level, "--log-level", p.Getenv, "UNDERSTUDY_LOG_LEVEL"); text != "" {
		switch text {
		case "debug", "info", "warn", "error":
		default:
			return zerolog.Nop(), Usagef("%s %q is not one of debug, info, warn, error", from, text)
		}
		parsed, err := zerolog.ParseLevel(text)
		if err != nil {
			return zerolog.Nop(), Usagef("%s %q: %v", from, text, err)
		}
		level = parsed
	}
	if text, from := choose(f.format, "--log-format", p.Getenv, "UNDERSTUDY_LOG_FORMAT"); text != "" {
		switch text {
		case "console", "logfmt", "json":
			format = text
		default:
			return zerolog.Nop(), Usagef("%s %q is not one of console, logfmt, json", from, text)
		}
	}
	var out io.Writer = p.Stderr
	switch format {
	case "console":
		out = consoleWriter(p)
	case "logfmt":
		out = logfmtWriter(p.Stderr)
	}
	stamp := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, p.Now().Format(time.RFC3339))
	})
	return zerolog.New(zerolog.SyncWriter(out)).Level(level).Hook(stamp), nil
}

// choose returns the flag's text, else that of the environment, and which of
// them it is.
func choose(flag, flagName string, getenv func(string) string, variable string) (text, from string) {
	if flag != "" {
		return flag, flagName
	}
	return getenv(variable), variable
}

// consoleWriter is for a reader at a terminal: the time of day, the level, the message.
func consoleWriter(p *Process) io.Writer {
	return zerolog.ConsoleWriter{
		Out:        p.Stderr,
		NoColor:    !p.StderrTerminal || p.Getenv("NO_COLOR") != "",
		TimeFormat: time.TimeOnly,
	}
}

// logfmtWriter writes key=value lines, which grep and a log collector read
// alike.
func logfmtWriter(out io.Writer) io.Writer {
	return zerolog.ConsoleWriter{
		Out:             out,
		NoColor:         true,
		FormatTimestamp: func(v any) string { return fmt.Sprintf("time=%v", v) },
		FormatLevel:     func(v any) string { return fmt.Sprintf("level=%v", v) },
		FormatMessage: func(v any) string {
			if v == nil {
				return ""
			}
			return "msg=" + strconv.Quote(fmt.Sprint(v))
		},
	}
}
