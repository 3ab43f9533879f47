package config

import "time"

// DefaultFile is read unless --config or UNDERSTUDY_CONFIG names another.
const DefaultFile = "/etc/understudy/config.yaml"

// Config is one file for all nodes and all programs. Load returns it complete:
// every value that was not given has its default.
type Config struct {
	// The servers of the pair; one is active, any number are standbys.
	Nodes []Node `yaml:"nodes"`
	// Name of this node. Empty: the node that has one of the machine's own
	// addresses. One file serves all nodes, so set this in the environment if
	// you need it.
	Node string `yaml:"node"`
	// The virtual IP that keepalived moves, with its prefix length.
	VirtualIP string `yaml:"virtual_ip"`
	// The network interface that carries the virtual IP.
	Interface string `yaml:"interface"`
	// Folder for roles, terms, locks and results.
	StateDir string `yaml:"state_dir" default:"/var/lib/understudy"`
	// Folder for files that must not survive a reboot, such as the file that
	// tells keepalived that this node may hold the virtual IP.
	RunDir string `yaml:"run_dir" default:"/run/understudy"`
	// Log file of programs that keepalived starts, if there is no journal.
	LogFile string `yaml:"log_file" default:"/var/log/understudy.log"`

	SSH         SSH         `yaml:"ssh"`
	Replication Replication `yaml:"replication"`
	Services    Services    `yaml:"services"`
	Probe       Probe       `yaml:"probe"`
	Witness     Witness     `yaml:"witness"`
	Failover    Failover    `yaml:"failover"`
	Hooks       Hooks       `yaml:"hooks"`
	Keepalived  Keepalived  `yaml:"keepalived"`
	Lag         Lag         `yaml:"lag"`
	Notify      Notify      `yaml:"notify"`
	Images      Images      `yaml:"images"`
	Heartbeat   Heartbeat   `yaml:"heartbeat"`
	Metrics     Metrics     `yaml:"metrics"`

	file    string
	sources sources
}

// File returns the file that was loaded.
func (c *Config) File() string { return c.file }

// Node is one server.
type Node struct {
	// Its name, unique among the nodes.
	Name string `yaml:"name"`
	// Its own fixed address: an IP address or a host name, never the
	// virtual IP. Not used when local is true.
	Address string `yaml:"address"`
	// Its keepalived priority, 1 to 254; 0 when keepalived is not used.
	Priority int `yaml:"priority"`
	// This standby is another pool of the same machine, reached without ssh.
	Local bool `yaml:"local" default:"false"`
}

// SSH sets how one node reaches another.
type SSH struct {
	// User to log in as on the other node.
	User string `yaml:"user" default:"root"`
	// Private key file. Empty: ssh's own choice.
	IdentityFile string `yaml:"identity_file"`
	// Known hosts file. Empty: ssh's own choice.
	KnownHostsFile string `yaml:"known_hosts_file"`
	// TCP port of sshd on the other nodes.
	Port int `yaml:"port" default:"22"`
	// How long connecting may take.
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"10s"`
	// Further ssh options, each as ssh's -o takes it: `Ciphers=aes128-gcm@openssh.com`.
	Options []string `yaml:"options"`
	// Path of zfs-replicate on the other node.
	RemoteCommand string `yaml:"remote_command" default:"zfs-replicate"`
}

// Replication sets the datasets to send to the standbys, and the retention.
type Replication struct {
	// The datasets to replicate, each alone or with all datasets below it.
	Datasets []Dataset `yaml:"datasets"`
	// First part of the names of zfs-replicate's snapshots, PREFIX-YYYYMMDDTHHMMSSZ.
	// Snapshots with other names are never destroyed.
	Prefix string `yaml:"prefix" default:"replicate"`
	// When to take a snapshot: only if something was written since the last
	// one, at each run, or never (another program takes them).
	Snapshot string `yaml:"snapshot" default:"changed" oneof:"changed,always,never"`
	// Replicate only from the node whose role is active. False is for use
	// without keepalived.
	RequireRole bool `yaml:"require_role" default:"true"`
	// How many datasets are sent in parallel to one standby. 0: automatic.
	Parallel int `yaml:"parallel" default:"0"`
	// Retention on the active node: the newest snapshots, and of older ones
	// the last of each hour, day, week and month.
	Keep Keep `yaml:"keep"`
	// Retention on a standby, in the same form.
	KeepOnStandby Keep `yaml:"keep_on_standby" given:"replication.keep"`
	// Maximum bytes per second to one standby; 0 is unlimited.
	Bandwidth Size `yaml:"bandwidth" default:"0"`
	// Compression on the wire of datasets that are not compressed on disk.
	Compress string `yaml:"compress" default:"off" oneof:"off,zstd"`
	// Run before the snapshot, on the node that takes it.
	PreSnapshot Hook `yaml:"pre_snapshot" default:"on_failure=stop"`
	// Run after the snapshot, also when it failed.
	PostSnapshot Hook `yaml:"post_snapshot" default:"on_failure=continue"`
	// Time limits after which a step counts as hanging.
	Timeouts Timeouts `yaml:"timeouts"`
}

// Dataset is one dataset to replicate, or a whole tree of them.
type Dataset struct {
	// Its ZFS name on the active node.
	Name string `yaml:"name"`
	// Include all datasets below it.
	Recursive bool `yaml:"recursive" default:"true"`
	// Datasets below it to exclude, each with all datasets below it.
	Exclude []string `yaml:"exclude"`
	// Its name on the standby. Empty: the same name.
	Target string `yaml:"target"`
}

// TargetName returns the dataset's name on a standby.
func (d Dataset) TargetName() string {
	if d.Target == "" {
		return d.Name
	}
	return d.Target
}

// Keep sets the retention: the newest snapshots, and of older ones the last of
// each hour, day, week and month.
type Keep struct {
	// The newest snapshots, at least 1.
	Last int `yaml:"last" default:"10"`
	// For how many hours to keep the last snapshot of each hour.
	Hourly int `yaml:"hourly" default:"0"`
	// For how many days to keep the last snapshot of each day.
	Daily int `yaml:"daily" default:"0"`
	// For how many weeks to keep the last snapshot of each week.
	Weekly int `yaml:"weekly" default:"0"`
	// For how many months to keep the last snapshot of each month.
	Monthly int `yaml:"monthly" default:"0"`
}

// Hook is a program to run at a certain point.
type Hook struct {
	// The program and its arguments; no shell is involved. Empty: none.
	Command []string `yaml:"command"`
	// Time limit. A program that exceeds it is killed and counts as failed.
	Timeout time.Duration `yaml:"timeout" default:"30s"`
	// Effect of its failure on the run.
	OnFailure string `yaml:"on_failure" oneof:"continue,stop"`
}

// Timeouts are deadlines within replication.
type Timeouts struct {
	// A short zfs call, such as a listing.
	ZFS time.Duration `yaml:"zfs" default:"2m"`
	// Taking the recursive snapshot.
	Snapshot time.Duration `yaml:"snapshot" default:"2m"`
	// A link without any data.
	Stall time.Duration `yaml:"stall" default:"40s"`
	// A stream without any data, although the link is alive.
	Stream time.Duration `yaml:"stream" default:"10m"`
}

// Services are the Compose projects that run on the active node.
type Services struct {
	// Folder of the projects.
	Directory string `yaml:"directory"`
	// Patterns of Compose files, relative to the folder.
	Projects []string `yaml:"projects"`
	// Projects to start before all others, in this order.
	First []string `yaml:"first"`
	// Networks that must exist before any project starts.
	Networks []string `yaml:"networks"`
	// Time limit for stopping a container, before it is killed.
	StopTimeout time.Duration `yaml:"stop_timeout" default:"10s"`
	// Time limit for starting one project, before it counts as failed.
	StartTimeout time.Duration `yaml:"start_timeout" default:"2m"`
	// How many projects are started in parallel.
	Parallel int `yaml:"parallel" default:"4"`
	// During a takeover: never pull images, or pull missing images after a
	// start without them has failed.
	Pull string `yaml:"pull" default:"never" oneof:"never,missing"`
	// Socket of the Docker Engine.
	Socket string `yaml:"socket" default:"/var/run/docker.sock"`
}

// Probe is the check that keepalived runs on each node.
type Probe struct {
	// The container that must serve on the active node.
	Container string `yaml:"container"`
	// URL that answers 200 while it serves.
	Ping string `yaml:"ping"`
	// How long the container may be silent after its start, and a promotion
	// without progress.
	Grace time.Duration `yaml:"grace" default:"60s"`
	// How long a node stays ineligible after a fault, so that a service that
	// fails repeatedly does not move the virtual IP back and forth.
	HoldDown time.Duration `yaml:"hold_down" default:"1m"`
}

// Witness tells an isolated node apart from a node whose peer is gone.
type Witness struct {
	// Addresses that always answer, usually your router: ping://192.168.86.1,
	// tcp://192.168.86.1:53 or http://192.168.86.1/. They tell an isolated
	// node to stop. One answer is enough. Empty: an isolated node does not
	// notice it.
	Targets []string `yaml:"targets"`
	// Time limit for an answer.
	Timeout time.Duration `yaml:"timeout" default:"500ms"`
	// How long a node waits before it takes over from a peer that does not
	// answer. In this time an isolated peer notices, and stops.
	Delay time.Duration `yaml:"delay" default:"3s"`
	// A lease in etcd, which rules out split brain.
	Etcd Etcd `yaml:"etcd"`
}

// Failover sets the time limits of role changes.
type Failover struct {
	// Time limit for the peer to report its role.
	PeerTimeout time.Duration `yaml:"peer_timeout" default:"5s"`
	// How long to wait until the peer has stopped its services and released
	// its datasets. After that, the takeover is refused.
	PeerStop time.Duration `yaml:"peer_stop" default:"60s"`
	// How long a node waits at boot for the node that was active last, before
	// it becomes eligible itself.
	JoinWait time.Duration `yaml:"join_wait" default:"5m"`
	// Time limit for making one dataset writable, or read-only again.
	DatasetTimeout time.Duration `yaml:"dataset_timeout" default:"30s"`
	// Path of failover-notify on the other node.
	RemoteCommand string `yaml:"remote_command" default:"failover-notify"`
}

// Hooks are your own programs, which run after a change of this node's role.
// Their environment has UNDERSTUDY_NODE, UNDERSTUDY_ROLE, UNDERSTUDY_TERM and
// UNDERSTUDY_REASON.
type Hooks struct {
	// After this node became active.
	OnActive Hook `yaml:"on_active" default:"on_failure=continue"`
	// After this node became a standby.
	OnStandby Hook `yaml:"on_standby" default:"on_failure=continue"`
	// After this node went into fault.
	OnFault Hook `yaml:"on_fault" default:"on_failure=continue"`
}

// Keepalived sets what failover-notify keepalived renders besides the nodes, the
// virtual IP and the interface.
type Keepalived struct {
	// VRRP's number for this pair, 1 to 255, unique on the network.
	VirtualRouterID int `yaml:"virtual_router_id" default:"51"`
	// Interval of the active node's adverts: whole seconds with version 2,
	// hundredths with version 3.
	AdvertInterval time.Duration `yaml:"advert_interval" default:"1s"`
	// VRRP version, 2 or 3.
	Version int `yaml:"version" default:"2"`
	// Send to the other nodes' own addresses instead of by multicast.
	Unicast bool `yaml:"unicast" default:"true"`
	// File with VRRP's password, of up to 8 characters; version 2 only. It
	// travels in clear: it prevents accidents, not attacks.
	PasswordFile string `yaml:"password_file"`
	// Path of keepalived's configuration.
	File string `yaml:"file" default:"/etc/keepalived/keepalived.conf"`
	// Folder of the programs that keepalived runs.
	Programs string `yaml:"programs" default:"/usr/bin"`
}

// Images sets how image-sync fetches the checkout and the images.
type Images struct {
	// How many images are fetched in parallel.
	Parallel int `yaml:"parallel" default:"4"`
	// How many superseded versions of each image to keep. Images that
	// image-sync did not bring are never removed.
	Keep int `yaml:"keep" default:"1"`
	// How long a layer may make no progress before its image fails.
	Stall time.Duration `yaml:"stall" default:"1m"`
	// The branch that the checkout in services.directory follows. Empty: the
	// checked-out branch.
	Branch string `yaml:"branch"`
	// Time limit for fetching the branch.
	FetchTimeout time.Duration `yaml:"fetch_timeout" default:"2m"`
	// Take only commits whose signature git verifies.
	VerifyCommits bool `yaml:"verify_commits" default:"false"`
	// Path of image-sync on the other nodes.
	RemoteCommand string `yaml:"remote_command" default:"image-sync"`
}
