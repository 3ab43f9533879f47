// Command failover-notify is the whole program behind cmd/failover-notify, which
// runs it for all commands that need not start fast.
package main

import (
	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/command"
)

func main() { cli.Main(command.New) }
