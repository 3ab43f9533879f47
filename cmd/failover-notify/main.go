// Command failover-notify makes a node what keepalived asks it to be, and tells
// what it is.
package main

import (
	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/command"
)

func main() { cli.Main(command.New) }
