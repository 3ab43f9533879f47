package self

import (
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/clock"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
)

// recordTimeout bounds the wait for another process that writes the same record.
const recordTimeout = 2 * time.Second

// Records are the records of this node, with everything needed to read and write them.
type Records struct {
	Config *config.Config
	Self   config.Node
	// State survives a reboot; RunDir does not, and nothing in it waits for a disk.
	State, RunDir *state.Dir
	// Boot is the kernel's id of this boot.
	Boot    string
	Clock   clock.Clock
	Host    Host
	Address Address
	Runner  run.Programs
	Log     zerolog.Logger
}

// Open returns the records of this machine. node may be the zero Node where it does
// not matter which of the nodes this is.
func Open(cfg *config.Config, node config.Node, runner run.Programs, log zerolog.Logger) (*Records, error) {
	boot, err := state.BootID()
	if err != nil {
		return nil, err
	}
	dir, err := state.Open(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	address, err := newAddress(cfg, runner)
	if err != nil {
		return nil, err
	}
	return &Records{
		Config: cfg, Self: node, State: dir, RunDir: state.Lazy(cfg.RunDir),
		Boot: boot, Clock: clock.System(), Host: Process(), Address: address, Runner: runner, Log: log,
	}, nil
}

// Now returns the wall clock's time.
func (r *Records) Now() time.Time { return r.Clock.Now() }

// Others returns the nodes that could be active instead of the local node.
func (r *Records) Others() []config.Node {
	var others []config.Node
	for _, other := range r.Config.Standbys(r.Self) {
		if !other.Local {
			others = append(others, other)
		}
	}
	return others
}

// HasServices reports whether there are projects to start and stop.
func (r *Records) HasServices() bool { return len(r.Config.Services.Projects) > 0 }

// Role returns the role of this node in this boot, and its whole record.
func (r *Records) Role() (state.Role, state.RoleFile, error) { return r.State.CurrentRole(r.Boot) }

// ReceivedTerm returns the newest term under which this node has received data; zero
// when it has received none.
func (r *Records) ReceivedTerm() uint64 {
	received, _, err := r.State.Received()
	if err != nil {
		return 0
	}
	return received.Term
}

// Replica returns how new the received data is; nil where nothing has come.
func (r *Records) Replica() *rules.Replica {
	received, found, err := r.State.Received()
	if err != nil || !found {
		return nil
	}
	return rules.NewReplica(received)
}

// NewestTerm returns the newest term that this node has heard of; zero when it has
// heard of none, or its records can't be read.
func (r *Records) NewestTerm() uint64 {
	role, err := r.State.Role()
	if err != nil {
		return 0
	}
	return max(role.NewestTerm, role.Term, r.ReceivedTerm())
}

// Heard records that another node claims to know of a newer term. This node then asks
// that node sooner, and nothing else: only its answer counts, and not the claim of
// anybody who can log in here.
func (r *Records) Heard(newest uint64) error {
	if newest <= r.NewestTerm() {
		return nil
	}
	return r.RunDir.Write(state.HeardName, state.Heard{Term: newest, Time: r.Now().UTC()})
}
