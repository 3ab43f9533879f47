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

// limit is how long the whole process may take. The checks end before it; this
// is for what no context ends, such as a file system that hangs.
const limit = 780 * time.Millisecond

// heed is when signals begin to be seen to: the thread that Go needs for that is
// a tenth of a run, and only a check that takes longer than most is told to end.
// Until then a signal ends the process as it does any other, which keepalived
// takes for a failure just the same.
const heed = 20 * time.Millisecond

// guard calls exit with 1 when the process takes too long or is told to end.
// keepalived takes a check that ends in time with 0 for a success even if it
// had to be told to end. Commands such as config are no check and may take longer:
// guard does nothing then and returns false.
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
	// What nobody reads is no failure. No program is started that would inherit it.
	signal.Ignore(syscall.SIGPIPE)
	return true
}
