package doctor

import (
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/failover/data"
	"github.com/understudy-ha/understudy/pkg/keepalived"
)

// Facts are what one node knows of itself. They travel between nodes as JSON;
// what is nil was not looked at, or did not answer: see Failed.
type Facts struct {
	Node    string    `json:"node"`
	Release string    `json:"release"` // of failover-notify
	Time    time.Time `json:"time"`    // by this node's clock
	// System is the distribution and its version, such as "debian 13"; "" when it is
	// not known.
	System string `json:"system,omitempty"`
	// Config has a short sum of each key's value, so that nodes can be compared
	// without telling each other what is in them.
	Config map[string]string `json:"config,omitempty"`
	// Failed are the looks that came to nothing.
	Failed []FailedLook `json:"failed,omitempty"`

	Status     *failover.Status `json:"status,omitempty"`
	Programs   []Program        `json:"programs,omitempty"`
	Keepalived *Keepalived      `json:"keepalived,omitempty"`
	Peers      []PeerLink       `json:"peers,omitempty"`
	Interface  *Interface       `json:"interface,omitempty"`
	// Witness says why no witness answers; "" when one does.
	Witness  string    `json:"witness,omitempty"`
	Lease    *Lease    `json:"lease,omitempty"`
	Schedule *Schedule `json:"schedule,omitempty"`
	Channels *Channels `json:"channels,omitempty"`
	ZFS      *ZFS      `json:"zfs,omitempty"`
	Services *Services `json:"services,omitempty"`
}

// FailedLook is something that could not be looked at.
type FailedLook struct {
	Look  string `json:"look"`
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
	// Hung says that there was no answer in time.
	Hung bool `json:"hung,omitempty"`
}

// Program is a program that a failover needs.
type Program struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"`
}

// Keepalived is the one that is installed.
type Keepalived struct {
	Version string `json:"version,omitempty"` // such as 2.2.7
	// Differences are those that are dangerous.
	Differences []keepalived.Difference `json:"differences,omitempty"`
	// Refused is what keepalived itself says against its configuration.
	Refused string `json:"refused,omitempty"`
	// Password is a sum of the password that tells nothing but a difference.
	Password string `json:"password,omitempty"`
}

// PeerLink is how another node is reached from this one.
type PeerLink struct {
	Node  string `json:"node"`
	Error string `json:"error,omitempty"`
	Hint  string `json:"hint,omitempty"`
	// Open says that the key may run anything there.
	Open bool `json:"open,omitempty"`
	// Ahead is by how many seconds its clock is ahead of this one's, give or
	// take Within.
	Ahead  float64 `json:"ahead"`
	Within float64 `json:"within"`
}

// Interface is the one that is to carry the virtual IP.
type Interface struct {
	Name string `json:"name"`
	Here bool   `json:"here"`
	Up   bool   `json:"up"`
}

// Schedule is what starts by itself.
type Schedule struct {
	// Replication are the files that start zfs-replicate regularly.
	Replication []string `json:"replication,omitempty"`
	// Systemd says that units start this machine, and Disabled which of those
	// that a failover needs are not started at boot.
	Systemd  bool     `json:"systemd"`
	Disabled []string `json:"disabled,omitempty"`
	// Undrained says that keepalived's unit does not hand over before it stops.
	Undrained bool `json:"undrained,omitempty"`
}

// Channels are the ways on which people are told.
type Channels struct {
	// Problem is what is wrong with the file of them.
	Problem string    `json:"problem,omitempty"`
	Fix     string    `json:"fix,omitempty"`
	List    []Channel `json:"list,omitempty"`
	// Failing are what channels have said that took nothing for some time.
	Failing []string `json:"failing,omitempty"`
}

// Channel is one of them. Its address is a secret and not told.
type Channel struct {
	Name  string `json:"name"` // the service, and the line in the file
	Error string `json:"error,omitempty"`
}

// ZFS is what the node has of it.
type ZFS struct {
	Version string `json:"version"` // of the programs
	Module  string `json:"module"`  // of the kernel's part
	Pools   []Pool `json:"pools,omitempty"`
	// Datasets are the replicated ones, Excluded those that are left out and
	// are here.
	Datasets []Dataset `json:"datasets,omitempty"`
	Excluded []string  `json:"excluded,omitempty"`
	// Allowed are, for each root of what is replicated, the permissions that
	// the user of ssh has; nil for root, who needs none.
	Allowed map[string][]string `json:"allowed,omitempty"`
}

// Pool is one pool. Sizes are bytes.
type Pool struct {
	Name   string `json:"name"`
	Health string `json:"health"`
	// Percent is how full it is.
	Percent int `json:"percent"`
	// Features are those of streams: disabled, enabled or active.
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
	// KeyGone says that the file of the key is not here.
	KeyGone bool `json:"key_gone,omitempty"`
	// MountsAtBoot says that the boot mounts it.
	MountsAtBoot bool `json:"mounts_at_boot,omitempty"`
}

// Services are the projects and what they need.
type Services struct {
	// Problem is what keeps projects from being found, Engine what keeps the
	// engine from being asked.
	Problem string `json:"problem,omitempty"`
	Engine  string `json:"engine,omitempty"`
	// EngineFix is what helps against Engine where a restart does not.
	EngineFix string    `json:"engine_fix,omitempty"`
	Projects  []Project `json:"projects"`
	// Unknown are those of services.first that are no projects.
	Unknown []string `json:"unknown,omitempty"`
	// Images are those of all services: what this node has under each name.
	Images map[string]string `json:"images,omitempty"` // "" is nothing
	// Networks are those that must be there, with their drivers, and a word
	// where they have options.
	Networks map[string]string `json:"networks,omitempty"` // "" is missing
	// Revivers are containers that start others again.
	Revivers []Reviver `json:"revivers,omitempty"`
	// Compose says why "docker compose" can't be called.
	Compose string `json:"compose,omitempty"`
}

// Project is one of the projects.
type Project struct {
	Name     string   `json:"name"`
	Error    string   `json:"error,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
	Missing  []string `json:"missing,omitempty"` // files that it does not start without
	Places   []Place  `json:"places,omitempty"`
}

// Reviver is a container that starts others again, or replaces them.
type Reviver struct {
	Name  string `json:"name"`
	Image string `json:"image"`
	// Ours says that it is stopped with the projects.
	Ours bool `json:"ours"`
	Up   bool `json:"up"`
}

// Place is a path of this machine that containers use.
type Place struct {
	Path string `json:"path"`
	// Volume is the name of the Docker volume that lies there; "" for a path
	// that the project names itself.
	Volume string `json:"volume,omitempty"`
	Here   bool   `json:"here"` // there is something
	// ReadOnly says that no container writes to it, as far as they are made.
	ReadOnly bool `json:"read_only,omitempty"`
	// Replicated says that it lies on a replicated dataset, and InGit that the
	// checkout of the projects brings it.
	Replicated bool `json:"replicated,omitempty"`
	InGit      bool `json:"in_git,omitempty"`
	// Of the machine itself: its sockets, its time zone, its devices.
	System bool `json:"system,omitempty"`
	// On is what it lies on: a dataset, or a device with its kind.
	On string `json:"on,omitempty"`
}
