// Command track-traefik tells keepalived whether this node serves, or could.
package main

import (
	"os"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/probe/command"
)

func main() {
	command.Guard(os.Args[1:], os.Stderr, os.Exit)
	cli.Main(command.New)
}
