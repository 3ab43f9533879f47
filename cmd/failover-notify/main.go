// Command failover-notify takes over from the other server, hands over to it, and
// shows the state of both. The commands that keepalived and other nodes run start at
// once; the others are those of libexec/failover-notify.
package main

import (
	"os"

	"github.com/understudy-ha/understudy/pkg/failover/hooks"
)

func main() { os.Exit(hooks.Main()) }
