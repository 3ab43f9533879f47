package progress_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/cli/progress"
)

func summary(moved, total int64, rate string) string {
	return fmt.Sprintf("%d of %d, %s", moved, total, rate)
}

// Without a terminal there is a log line every ten seconds, and nothing else.
func TestLogLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stderr, log bytes.Buffer
		d := progress.New(&cli.Process{Stderr: &stderr, Log: zerolog.New(&log), Now: time.Now}, summary)
		d.Expect("tank/a", 4000)
		d.Show()
		d.Moved("tank/a", 1000)
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		d.Done("tank/a", "tank/a: sent")
		d.Close()
		if lines := strings.Count(log.String(), "\n"); lines != 1 || !strings.Contains(log.String(), "1000 of 4000, 100 B/s") {
			t.Errorf("log %q", log.String())
		}
		if stderr.Len() > 0 {
			t.Errorf("printed %q", stderr.String())
		}
	})
}

// On a terminal a bar names the item, and goes away.
func TestBar(t *testing.T) {
	var stderr bytes.Buffer
	d := progress.New(&cli.Process{Stderr: &stderr, StderrTerminal: true, Now: time.Now}, summary)
	d.Expect("tank/some/very/long/name", 100)
	d.Show()
	time.Sleep(250 * time.Millisecond)
	d.Moved("tank/some/very/long/name", 50)
	d.Moved("tank/some/very/long/name", 500) // more than estimated
	d.Done("tank/some/very/long/name", "b: sent")
	d.Close()
	for _, want := range []string{"…me/very/long/name", "b: sent\n"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("%q is not in %q", want, stderr.String())
		}
	}
}
