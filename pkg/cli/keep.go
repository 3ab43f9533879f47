package cli

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// journalSocket is where the journal takes messages:
// https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
const journalSocket = "/run/systemd/journal/socket"

// KeepLog lets a process whose stderr leads nowhere log to the journal or, on a
// machine without one, to the end of file. For all others it does nothing. A log
// that can't be kept is lost: there is nobody to tell.
//
// Each process opens the file, so that it can be rotated.
func (p *Process) KeepLog(file string) {
	if !p.Unattended || p.kept {
		return
	}
	var out io.Writer
	conn, err := net.Dial("unixgram", cmp.Or(p.journal, journalSocket))
	if err == nil {
		out = &journal{conn: conn, name: p.Name}
	} else if f, err := os.OpenFile(file, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o640); err == nil {
		out = logfmtWriter(f)
	} else {
		return
	}
	stamp := zerolog.HookFunc(func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, p.Now().Format(time.RFC3339)).Str("program", p.Name).Int("pid", os.Getpid())
	})
	// It is the only record that there is, so it says what was done too.
	level := min(p.Log.GetLevel(), zerolog.InfoLevel)
	p.Log, p.kept = zerolog.New(zerolog.SyncWriter(out)).Level(level).Hook(stamp), true
}

// journal writes messages to the journal.
type journal struct {
	conn net.Conn
	name string
	mu   sync.Mutex
}

// Write is there for io.Writer; zerolog calls WriteLevel.
func (j *journal) Write(line []byte) (int, error) { return j.WriteLevel(zerolog.InfoLevel, line) }

// WriteLevel sends one message, as logfmt without what the journal knows.
func (j *journal) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	var text strings.Builder
	format := logfmtWriter(&text).(zerolog.ConsoleWriter)
	format.PartsExclude = []string{zerolog.TimestampFieldName, zerolog.LevelFieldName}
	format.FieldsExclude = []string{"program", "pid"}
	if _, err := format.Write(line); err != nil {
		return 0, err
	}
	priority := map[zerolog.Level]int{zerolog.DebugLevel: 7, zerolog.InfoLevel: 6, zerolog.WarnLevel: 4, zerolog.ErrorLevel: 3}
	p, ok := priority[level]
	if !ok {
		p = 5
	}
	message := strings.ReplaceAll(strings.TrimSpace(text.String()), "\n", " ")
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := fmt.Fprintf(j.conn, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\nMESSAGE=%s\n", p, j.name, message); err != nil {
		return 0, fmt.Errorf("write to the journal: %w", err)
	}
	return len(line), nil
}

// leadsNowhere reports whether f is /dev/null, which keepalived gives its programs.
func leadsNowhere(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3)
}

// logLevelKey is the annotation under which a command's usual level stands.
const logLevelKey = "understudy/log-level"

// SetLogLevel sets the least level that c logs off a terminal, where neither
// flag nor environment says otherwise: a resident program tells what it does.
func SetLogLevel(c *cobra.Command, level zerolog.Level) {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[logLevelKey] = level.String()
}
