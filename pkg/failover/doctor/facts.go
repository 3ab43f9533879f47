package doctor

import (
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/keepalived"
)

// Facts is the state of one node as the node itself sees it. Nodes exchange it as
// JSON. A nil part was not checked, or its check failed: see Failed.
type Facts struct {
	Node    string    `json:"node"`
	Release string    `json:"release"` // of failover-notify
	Time    time.Time `json:"time"`    // by this node's clock
	// System is the distribution and its version, such as "debian 13", or "".
	System string `json:"system,omitempty"`
	// Config holds a short hash of each key's value, so that nodes can compare their
	// configurations without exchanging them.
	Config map[string]string `json:"config,omitempty"`
	// Failed holds the checks that failed.
	Failed []FailedCheck `json:"failed,omitempty"`

	Status     *failover.Status `json:"status,omitempty"`
	Programs   []Program        `json:"programs,omitempty"`
	Keepalived *Keepalived      `json:"keepalived,omitempty"`
	Peers      []PeerLink       `json:"peers,omitempty"`
	Interface  *Interface       `json:"interface,omitempty"`
	// Witness is the reason why no witness answers; "" if one does.
	Witness  string    `json:"witness,omitempty"`
	Lease    *Lease    `json:"lease,omitempty"`
	Schedule *Schedule `json:"schedule,omitempty"`
	Channels *Channels `json:"channels,omitempty"`
	ZFS      *ZFS      `json:"zfs,omitempty"`
	Services *Services `json:"services,omitempty"`
}

// FailedCheck is a check that failed.
type FailedCheck struct {
	Check string `json:"look"`
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	// Hung reports that the check did not finish in time.
	Hung bool `json:"hung,omitempty"`
}

// Program is a program that a failover needs, and its problem, or "".
type Program struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"`
}

// Keepalived is the installed keepalived.
type Keepalived struct {
	Version string `json:"version,omitempty"` // such as 2.2.7
	// Differences holds the dangerous ones.
	Differences []keepalived.Difference `json:"differences,omitempty"`
	// Refused is keepalived's own error about its configuration.
	Refused string `json:"refused,omitempty"`
	// Password is a hash of the password, too short to reveal it.
	Password string `json:"password,omitempty"`
}

// PeerLink is this node's connection to another node.
type PeerLink struct {
	Node  string `json:"node"`
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// Open reports that this node's key may run any command there.
	Open bool `json:"open,omitempty"`
	// Ahead is the lead of its clock over this node's, in seconds, plus or minus
	// Within.
	Ahead  float64 `json:"ahead"`
	Within float64 `json:"within"`
}

// Interface is the network interface of the virtual IP.
type Interface struct {
	Name   string `json:"name"`
	Exists bool   `json:"here"`
	Up     bool   `json:"up"`
}

// Schedule is what cron and systemd start.
type Schedule struct {
	// Replication holds the files that start zfs-replicate regularly.
	Replication []string `json:"replication,omitempty"`
	// Systemd reports that the node runs systemd. Disabled holds the units that a
	// failover needs and that the boot does not start.
	Systemd  bool     `json:"systemd"`
	Disabled []string `json:"disabled,omitempty"`
	// NoDrain reports that keepalived's unit does not hand over before it stops.
	NoDrain bool `json:"undrained,omitempty"`
}

// Channels holds the notification channels.
type Channels struct {
	// Problem is the problem with the file of channels.
	Problem string    `json:"problem,omitempty"`
	Fix     string    `json:"fix,omitempty"`
	List    []Channel `json:"list,omitempty"`
	// Failing holds the errors of channels that accepted nothing for some time.
	Failing []string `json:"failing,omitempty"`
}

// Channel is one channel, without its address, which is a secret.
type Channel struct {
	Name  string `json:"name"` // the service, and the line in the file
	Error string `json:"error,omitempty"`
}

// ZFS is the OpenZFS of a node with its pools and replicated datasets.
type ZFS struct {
	Version string `json:"version"` // of the programs
	Module  string `json:"module"`  // of the kernel module
	Pools   []Pool `json:"pools,omitempty"`
	// Datasets holds the replicated datasets, Excluded the excluded ones that exist on
	// the node.
	Datasets []Dataset `json:"datasets,omitempty"`
	Excluded []string  `json:"excluded,omitempty"`
	// Allowed holds the permissions of the ssh user, by topmost replicated dataset;
	// nil for root, who needs none.
	Allowed map[string][]string `json:"allowed,omitempty"`
}

// Pool is one pool. Sizes are bytes.
type Pool struct {
	Name   string `json:"name"`
	Health string `json:"health"`
	// Percent is the used capacity.
	Percent int `json:"percent"`
	// Features holds the stream features: disabled, enabled or active.
	Features map[string]string `json:"features,omitempty"`
}

// Dataset is one of the replicated datasets. Sizes are bytes.
type Dataset struct {
	data.DatasetState
	// Source is its name on the node that sends it.
	Source    string `json:"source"`
	Used      int64  `json:"used,omitempty"`
	Available int64  `json:"available,omitempty"`
	KeyAt     string `json:"key_at,omitempty"` // keylocation
	// KeyGone reports that the key file does not exist.
	KeyGone bool `json:"key_gone,omitempty"`
	// MountsAtBoot reports that the boot mounts it.
	MountsAtBoot bool `json:"mounts_at_boot,omitempty"`
}

// Services holds the projects and their dependencies.
type Services struct {
	// Problem is the error of finding projects, Engine that of asking the engine.
	Problem string `json:"problem,omitempty"`
	Engine  string `json:"engine,omitempty"`
	// EngineFix is the fix for Engine if a restart does not help.
	EngineFix string    `json:"engine_fix,omitempty"`
	Projects  []Project `json:"projects"`
	// Unknown holds names in services.first that are not projects.
	Unknown []string `json:"unknown,omitempty"`
	// Images holds the identity of each image that a service names; "" if missing.
	Images map[string]string `json:"images,omitempty"`
	// Networks holds the driver of each network that must exist before a project
	// starts, with the suffix optional if it has options; "" if missing.
	Networks map[string]string `json:"networks,omitempty"`
	// Revivers holds containers that restart others.
	Revivers []Reviver `json:"revivers,omitempty"`
	// Compose is the error of calling "docker compose".
	Compose string `json:"compose,omitempty"`
}

// Project is one of the projects.
type Project struct {
	Name     string   `json:"name"`
	Error    string   `json:"error,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Missing  []string `json:"missing,omitempty"` // files without which it does not start
	Places   []Place  `json:"places,omitempty"`
}

// Reviver is a container that restarts others, or replaces them.
type Reviver struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	// Ours reports that it stops with the projects.
	Ours bool `json:"ours"`
	Up   bool `json:"up"`
}

// Place is a path of this machine that containers use.
type Place struct {
	Path string `json:"path"`
	// Volume is the name of the Docker volume at the path; "" for a bind mount.
	Volume string `json:"volume,omitempty"`
	Exists bool   `json:"here"`
	// ReadOnly reports that no existing container can write to it.
	ReadOnly bool `json:"read_only,omitempty"`
	// Replicated reports that it lies on a replicated dataset, InGit that it belongs
	// to the checkout of the projects.
	Replicated bool `json:"replicated,omitempty"`
	InGit      bool `json:"in_git,omitempty"`
	// System reports that it belongs to the machine: sockets, time zone, devices.
	System bool `json:"system,omitempty"`
	// On is the dataset, or the device with its filesystem type, on which it lies.
	On string `json:"on,omitempty"`
}
