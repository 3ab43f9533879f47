package config

import "time"

// DefaultFile is read unless --config or UNDERSTUDY_CONFIG names another.
const DefaultFile = "/etc/understudy/config.yaml"

// Config is one file for all nodes and all programs. Load returns it complete:
// every value that was not given has its default.
type Config struct {
	// The servers of the pair; one is active, any number are standbys.
	Nodes []Node `yaml:"nodes"`
	// Name of the node this machine is. Empty: the node that has one of the
	// machine's own addresses. One file serves all nodes, so this is best
	// given in the environment where it is needed at all.
	Node string `yaml:"node"`
	// The floating address that keepalived moves, with its prefix length.
	VirtualIP string `yaml:"virtual_ip"`
	// The network interface that carries the floating address.
	Interface string `yaml:"interface"`
	// Folder for roles, terms, locks and results.
	StateDir string `yaml:"state_dir" default:"/var/lib/understudy"`

	SSH         SSH         `yaml:"ssh"`
	Replication Replication `yaml:"replication"`
	Services    Services    `yaml:"services"`
	Probe       Probe       `yaml:"probe"`
	Lag         Lag         `yaml:"lag"`
	Notify      Notify      `yaml:"notify"`

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
	// floating address. Not used when local is true.
	Address string `yaml:"address"`
	// Its keepalived priority, 1 to 254; 0 when keepalived is not used.
	Priority int `yaml:"priority"`
	// This standby is another pool of the same machine, reached without ssh.
	Local bool `yaml:"local" default:"false"`
}

// SSH says how one node reaches another.
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

// Replication says what is sent to the standbys and what is kept.
type Replication struct {
	// The datasets to replicate, each by itself or with all below it.
	Datasets []Dataset `yaml:"datasets"`
	// First part of the names of our snapshots, PREFIX-YYYYMMDDTHHMMSSZ.
	// Snapshots with other names are never destroyed.
	Prefix string `yaml:"prefix" default:"replicate"`
	// When to take a snapshot: only if something was written since the last
	// one, at each run, or never (others take them).
	Snapshot string `yaml:"snapshot" default:"changed" oneof:"changed,always,never"`
	// Replicate only from the node whose role is active. False is for use
	// without keepalived.
	RequireRole bool `yaml:"require_role" default:"true"`
	// How many datasets are sent at the same time to one standby; 0 chooses.
	Parallel int `yaml:"parallel" default:"0"`
	// Snapshots to keep on the active node: the newest ones, and of older ones
	// the last of each hour, day, week and month.
	Keep Keep `yaml:"keep"`
	// Snapshots to keep on a standby, likewise.
	KeepOnStandby Keep `yaml:"keep_on_standby" given:"replication.keep"`
	// Most bytes per second to send to one standby; 0 is unlimited.
	Bandwidth Size `yaml:"bandwidth" default:"0"`
	// Compression on the wire of datasets that are not compressed on disk.
	Compress string `yaml:"compress" default:"off" oneof:"off,zstd"`
	// Run before the snapshot, on the node that takes it.
	PreSnapshot Hook `yaml:"pre_snapshot" default:"on_failure=stop"`
	// Run after the snapshot, also when it failed.
	PostSnapshot Hook `yaml:"post_snapshot" default:"on_failure=continue"`
	// How long things may take before they count as hanging.
	Timeouts Timeouts `yaml:"timeouts"`
}

// Dataset is one dataset to replicate, or a whole tree of them.
type Dataset struct {
	// Its ZFS name on the active node.
	Name string `yaml:"name"`
	// Take all datasets below it too.
	Recursive bool `yaml:"recursive" default:"true"`
	// Datasets below it to leave out, each with all below it.
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

// Keep says how many snapshots to keep: the newest ones, and of older ones the
// last of each hour, day, week and month.
type Keep struct {
	// The newest ones, at least 1.
	Last int `yaml:"last" default:"10"`
	// The last one of each of so many hours.
	Hourly int `yaml:"hourly" default:"0"`
	// The last one of each of so many days.
	Daily int `yaml:"daily" default:"0"`
	// The last one of each of so many weeks.
	Weekly int `yaml:"weekly" default:"0"`
	// The last one of each of so many months.
	Monthly int `yaml:"monthly" default:"0"`
}

// Hook is a program to run at a certain point.
type Hook struct {
	// The program and its arguments; no shell is involved. Empty: none.
	Command []string `yaml:"command"`
	// How long it may take before it is ended and has failed.
	Timeout time.Duration `yaml:"timeout" default:"30s"`
	// What its failure means for the run.
	OnFailure string `yaml:"on_failure" oneof:"continue,stop"`
}

// Timeouts are deadlines within replication.
type Timeouts struct {
	// A short zfs call, such as a listing.
	ZFS time.Duration `yaml:"zfs" default:"2m"`
	// Taking the recursive snapshot.
	Snapshot time.Duration `yaml:"snapshot" default:"2m"`
	// A link on which nothing moves.
	Stall time.Duration `yaml:"stall" default:"40s"`
	// A stream in which nothing moves, though the link is alive.
	Stream time.Duration `yaml:"stream" default:"10m"`
}

// Services are the Compose projects that run on the active node.
type Services struct {
	// Folder in which the projects lie.
	Directory string `yaml:"directory"`
	// Patterns of Compose files, relative to the folder.
	Projects []string `yaml:"projects"`
	// Projects to start before all others, in this order.
	First []string `yaml:"first"`
	// Networks that must exist before any project starts.
	Networks []string `yaml:"networks"`
	// How long a container may take to stop before it is killed.
	StopTimeout time.Duration `yaml:"stop_timeout" default:"10s"`
}

// Probe is the check that keepalived runs on each node.
type Probe struct {
	// The container that must serve on the active node.
	Container string `yaml:"container"`
	// URL that answers 200 while it serves.
	Ping string `yaml:"ping"`
	// How long after its start it may still be silent.
	Grace time.Duration `yaml:"grace" default:"60s"`
}

// Lag holds the thresholds of lag-check.
type Lag struct {
	// From this lag on the answer is a warning.
	Warning time.Duration `yaml:"warning" default:"20m"`
	// From this lag on the answer is critical.
	Critical time.Duration `yaml:"critical" default:"1h"`
}

// Notify says who is told of role changes and failures.
type Notify struct {
	// File with one notification URL a line; they hold secrets, so they are
	// not part of this file.
	URLsFile string `yaml:"urls_file"`
}
