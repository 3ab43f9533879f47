package command

import (
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/understudy-ha/understudy/pkg/lag"
	"github.com/understudy-ha/understudy/pkg/report"
)

// Guard ends a check that is told to end with 3: a monitor takes what it does not
// know, such as the usual code of a signal, for critical. The programs that were
// started end with this process. Commands such as history are no checks.
func Guard(args []string, stdout io.Writer, exit func(int)) {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		fmt.Fprintln(stdout, report.NagiosLine(service, lag.Unknown.String(), "stopped by a signal", nil))
		exit(int(lag.Unknown))
	}()
}
