// Command track-traefik reports to keepalived whether this node serves, or could.
package main

import (
	"runtime"

	"github.com/understudy-ha/understudy/pkg/probe/command"
)

func main() {
	// It computes next to nothing and waits for several things at once. Handing
	// those from one processor to another costs a tenth of the whole run.
	runtime.GOMAXPROCS(1)
	command.Main()
}
