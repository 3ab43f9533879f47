package data

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Data is what this node holds of the replicated datasets.
type Data struct {
	// Devices is the folder in which volumes have their device nodes.
	Devices string
	// Kstat is the folder in which the kernel tells how each pool is.
	Kstat string

	cfg *config.Config
	zfs *zfs.ZFS
	log zerolog.Logger
}

// New returns the replicated datasets of this node.
func New(cfg *config.Config, z *zfs.ZFS, log zerolog.Logger) *Data {
	return &Data{Devices: "/dev/zvol", Kstat: "/proc/spl/kstat/zfs", cfg: cfg, zfs: z, log: log}
}

// Configured reports whether any dataset is replicated at all.
func (d *Data) Configured() bool { return len(d.cfg.Replication.Datasets) > 0 }

// Stepper does one step of a transition within its budget and records it. It
// is called from one goroutine only.
type Stepper func(ctx context.Context, name, object string, budget time.Duration, do func(context.Context) error) error

// Unrecorded is a Stepper that keeps the budgets and records nothing.
func Unrecorded(ctx context.Context, _, _ string, budget time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	return do(ctx)
}

// Failure is a dataset that is not as it should be.
type Failure struct {
	Dataset string
	// Mountpoint is where it would be mounted, so that projects with bind
	// mounts there can be left out; empty for volumes and for datasets that
	// are mounted nowhere.
	Mountpoint string
	Err        error
}

// Result is what became of the datasets.
type Result struct {
	// Datasets is how many there are, those that are missing included.
	Datasets int
	// Failed are those that could not be made writable, or could not be given
	// up and may still be written to.
	Failed []Failure
	// Unmounted are those that are as they should be, but mounted nowhere though
	// they have a mountpoint: what is written there now is not theirs.
	Unmounted []Failure
	// Mounted are the mountpoints of those that are mounted.
	Mounted []string
	// Warnings name what is worth a look and stops nothing.
	Warnings []string
	// Snapshot is the name (after @) of the snapshot that was taken; empty
	// when there was nothing to take one of.
	Snapshot string
	// Written says that a demotion found data that no snapshot held before.
	Written bool
}

// Usable is how many datasets are as they should be.
func (r Result) Usable() int { return r.Datasets - len(r.Failed) }

// DatasetState is what one dataset is, for status.
type DatasetState struct {
	Name       string `json:"name"`
	Type       string `json:"type,omitempty"`
	Mountpoint string `json:"mountpoint,omitempty"`
	Missing    bool   `json:"missing,omitempty"`    // in the config, but not here
	Writable   bool   `json:"writable"`             // readonly is off
	Mounted    bool   `json:"mounted,omitempty"`    // false for volumes
	Replica    bool   `json:"replica,omitempty"`    // received from another node, and not written here
	Demoted    bool   `json:"demoted,omitempty"`    // written here before, given up since
	Partial    bool   `json:"partial,omitempty"`    // a stream into it has broken off
	Written    int64  `json:"written,omitempty"`    // bytes since its newest snapshot
	KeyNeeded  bool   `json:"key_needed,omitempty"` // encrypted, and its key is not loaded
	KeyTyped   bool   `json:"key_typed,omitempty"`  // and a takeover can't load it by itself
}
