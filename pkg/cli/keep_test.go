package cli

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/understudy-ha/understudy/pkg/exit"
)

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	log := zerolog.New(zerolog.SyncWriter(&journal{conn: conn, name: "tool"}))
	for _, c := range []struct {
		event *zerolog.Event
		want  string
	}{
		{log.Info(), "PRIORITY=6"}, {log.Warn(), "PRIORITY=4"}, {log.Error(), "PRIORITY=3"}, {log.Debug(), "PRIORITY=7"},
	} {
		c.event.Str("time", "now").Str("program", "tool").Str("error", "line 1\nline 2").Msg("text\nPRIORITY=0")
		if err := socket.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 4096)
		n, err := socket.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		want := c.want + "\nSYSLOG_IDENTIFIER=tool\nMESSAGE=msg=\"text\\nPRIORITY=0\" error=\"line 1\\nline 2\"\n"
		if got := string(buffer[:n]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Only a process that nobody sees logs to the file, its error included.
func TestKeepLog(t *testing.T) {
	for _, unattended := range []bool{true, false} {
		file := filepath.Join(t.TempDir(), "log")
		var stderr strings.Builder
		p := &Process{Name: "tool", Unattended: unattended, journal: "no-journal-here", Stderr: &stderr}
		code := Run(context.Background(), []string{"do"}, p, func(p *Process) *cobra.Command {
			root := &cobra.Command{Use: "tool"}
			root.AddCommand(&cobra.Command{Use: "do", RunE: func(*cobra.Command, []string) error {
				p.KeepLog(file)
				p.Log.Info().Msg("began")
				return errors.New("it broke")
			}})
			return root
		})
		text, err := os.ReadFile(file)
		if kept := err == nil; code != exit.Failed || kept != unattended {
			t.Fatalf("unattended %v: code %d, log %q, error %v", unattended, code, text, err)
		}
		if unattended && (!strings.Contains(string(text), `level=info msg="began"`) || !strings.Contains(string(text), `level=error msg="it broke"`)) {
			t.Errorf("the log has %q", text)
		}
		if !strings.Contains(stderr.String(), "error: it broke") {
			t.Errorf("stderr has %q", stderr.String())
		}
	}
}
