// Command failover-notify makes a node what keepalived asks it to be, and tells
// what it is. The commands that keepalived and other nodes run start at once; the
// others are those of libexec/failover-notify.
package main

import "github.com/understudy-ha/understudy/pkg/failover/hooks"

func main() { hooks.Main() }
