// Package self owns this node's own records: the newest request, whether it is
// eligible, the mark of joining, the watcher's heartbeat. From them it tells the
// other nodes what this node is, without asking ZFS or the engine, so that the
// answer comes within milliseconds whatever hangs.
//
//	records.go      the node's folders, clocks and place in the pair
//	request.go      recording a request; host.go what the process knows of itself
//	eligibility.go  whether this node may hold the virtual IP
//	joined.go       whether it has joined its pair in this boot
//	describe.go     what this node says of itself; alerts.go what is wrong with it
//	heartbeat.go    the watcher's sign of life
//	address.go      keepalived and the virtual IP on this machine
//
// keepalived runs a hook for each change and another node asks before each of its
// own: what this package imports, each of them loads. It must not know Compose,
// etcd or ZFS, nor how a role is changed.
package self
