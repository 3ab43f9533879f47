package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/understudy-ha/understudy/pkg/cli"
)

// Main runs the program as this process and exits with its code.
func Main() {
	if guard(os.Args[1:], os.Stderr, os.Exit) {
		cli.MainIn(context.Background(), New)
	}
	cli.Main(New)
}

// limit bounds the whole process. The checks end before; limit is for calls that no
// context ends, such as those of a hanging file system.
const limit = 780 * time.Millisecond

// heed is the time after which signals are handled: Go's thread for that costs a tenth
// of a run, and only a long check gets a signal. Until then a signal ends the process,
// which keepalived also counts as a failure.
const heed = 20 * time.Millisecond

// guard calls exit with 1 if the process takes too long or gets a signal to end:
// keepalived counts exit code 0 as a success even after a signal. Commands such as
// config are no check and may take longer: for those guard does nothing and returns
// false.
func guard(args []string, stderr io.Writer, exit func(int)) bool {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return false
	}
	time.AfterFunc(limit, func() {
		fmt.Fprintf(stderr, "track-traefik: not healthy: no result in %d ms\n", limit.Milliseconds())
		exit(1)
	})
	time.AfterFunc(heed, func() {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
		<-signals
		exit(1)
	})
	// An unread message is no failure. No child process inherits this.
	signal.Ignore(syscall.SIGPIPE)
	return true
}
