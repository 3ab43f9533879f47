// Command failover-notify takes over from the other server, hands over to it, and
// shows the state of both. The commands that keepalived and peers run start at once;
// libexec/failover-notify has the others.
package main

import "github.com/understudy-ha/understudy/pkg/failover/hooks"

func main() { hooks.Main() }
