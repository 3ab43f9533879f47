// Command track-traefik tells keepalived whether this node serves, or could.
//
// It computes next to nothing and waits for several things at once. Handing those
// from one processor to another costs a tenth of the whole run, so it uses one,
// and does not ask how many its control group has:
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
package main

import (
	"runtime"

	"github.com/understudy-ha/understudy/pkg/probe/command"
)

func main() {
	runtime.GOMAXPROCS(1)
	command.Main()
}
