package command

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// limit is how long the whole process may take. The checks end before it; this
// is for what no context ends, such as a file system that hangs.
const limit = 780 * time.Millisecond

// Guard calls exit with 1 when the process takes too long or is told to end.
// keepalived takes a check that ends in time with 0 for a success even if it
// had to be told to end. Commands such as config are no check and may take longer.
func Guard(args []string, stderr io.Writer, exit func(int)) {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return
	}
	time.AfterFunc(limit, func() {
		fmt.Fprintf(stderr, "track-traefik: not healthy: no result in %d ms\n", limit.Milliseconds())
		exit(1)
	})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		exit(1)
	}()
}
