package data

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Data is this node's part of the replicated datasets.
type Data struct {
	// Devices is the folder in which volumes have their device nodes.
	Devices string
	// Kstat is the folder in which the kernel reports the state of each pool.
	Kstat string

	cfg *config.Config
	zfs *zfs.ZFS
	log zerolog.Logger
}

// New returns the replicated datasets of this node.
func New(cfg *config.Config, z *zfs.ZFS, log zerolog.Logger) *Data {
	return &Data{Devices: "/dev/zvol", Kstat: "/proc/spl/kstat/zfs", cfg: cfg, zfs: z, log: log}
}

// Configured reports whether any dataset is replicated.
func (d *Data) Configured() bool { return len(d.cfg.Replication.Datasets) > 0 }

// Stepper runs one step of a transition within its budget and records it. It is
// called from one goroutine only.
type Stepper func(ctx context.Context, name, object string, budget time.Duration, do func(context.Context) error) error

// Unrecorded is a Stepper that enforces the budgets and records nothing.
func Unrecorded(ctx context.Context, _, _ string, budget time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	return do(ctx)
}

// Failure is a dataset that is not in the requested state, and why.
type Failure struct {
	Dataset string
	// Mountpoint is the path at which it would be mounted, so that projects with
	// bind mounts below it can be left out. It is empty for volumes and for
	// datasets without a mountpoint.
	Mountpoint string
	Err        error
}

// Result is the outcome of a promotion or demotion.
type Result struct {
	// Datasets is the number of datasets, missing ones included.
	Datasets int
	// Failed holds the datasets that could not be made writable, or, after a
	// demotion, those that can still be written to.
	Failed []Failure
	// Unmounted holds the datasets that are ready but not mounted although they
	// have a mountpoint: files written there now do not go to the dataset.
	Unmounted []Failure
	// Mounted holds the mountpoints of the mounted datasets.
	Mounted []string
	// Warnings name problems that stop nothing.
	Warnings []string
	// Snapshot is the name (after @) of the snapshot that was taken, or "".
	Snapshot string
	// Written reports whether a demotion found data that no snapshot held.
	Written bool
}

// Usable returns the number of datasets that did not fail.
func (r Result) Usable() int { return r.Datasets - len(r.Failed) }

// DatasetState is the state of one dataset, for status.
type DatasetState struct {
	Name       string `json:"name"`
	Type       string `json:"type,omitempty"`
	Mountpoint string `json:"mountpoint,omitempty"`
	Missing    bool   `json:"missing,omitempty"`    // configured, but not on this node
	Writable   bool   `json:"writable"`             // readonly is off
	Mounted    bool   `json:"mounted,omitempty"`    // false for volumes
	Replica    bool   `json:"replica,omitempty"`    // received from another node, not written here
	Demoted    bool   `json:"demoted,omitempty"`    // written here before, released since
	Partial    bool   `json:"partial,omitempty"`    // has a partial receive
	Written    int64  `json:"written,omitempty"`    // bytes since its newest snapshot
	KeyNeeded  bool   `json:"key_needed,omitempty"` // encrypted, and its key is not loaded
	KeyTyped   bool   `json:"key_typed,omitempty"`  // and a takeover can't load it unattended
}
