// Command lag-check shows the exposure: the data at risk if the active node dies now.
package main

import (
	"os"

	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/lag/command"
)

func main() {
	command.Guard(os.Args[1:], os.Stdout, os.Exit)
	cli.Main(command.New)
}
