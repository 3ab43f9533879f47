// Command failover-notify is the whole program behind cmd/failover-notify, which
// starts it for all but the commands that must start fast.
package main

import (
	"github.com/understudy-ha/understudy/pkg/cli"
	"github.com/understudy-ha/understudy/pkg/failover/command"
)

func main() { cli.Main(command.New) }
