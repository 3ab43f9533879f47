package state

import "time"

// Names of the records in the run folder, which must not survive a reboot.
const (
	JoinedName    = "joined"
	HeartbeatName = "beat"
	HeardName     = "heard"
	ProbeName     = "probe"
)

// YieldedName is the state name of Yielded.
const YieldedName = "yielded"

// Joined is the mark that join leaves: this node has asked the others in this boot.
type Joined struct {
	Boot string    `json:"boot"`
	Time time.Time `json:"time"`
	// Uptime is the same moment since the boot: the wall clock often jumps once it
	// is synchronised after a boot.
	Uptime time.Duration `json:"uptime,omitempty"`
}

// Heartbeat is the watcher's sign of life.
type Heartbeat struct {
	Boot string `json:"boot"`
	// At is when it was written, since the boot.
	At time.Duration `json:"at"`
}

// Heard is the newest term that another node claims to know of.
type Heard struct {
	Term uint64    `json:"term"`
	Time time.Time `json:"time"`
}

// Yielded is when this node last left the virtual IP to another one.
type Yielded struct {
	To   string    `json:"to"`
	Boot string    `json:"boot"`
	Time time.Time `json:"time"`
}

// Probe is what keepalived's check, track-traefik, found last.
type Probe struct {
	Time    time.Time `json:"time"`
	Healthy bool      `json:"healthy"`
	Mode    string    `json:"mode"` // what the node is held to: see package probe
	// Answered is when Traefik last answered as the active node's.
	Answered time.Time `json:"answered,omitzero"`
	// Inside is where the container itself listens, for when the engine is gone.
	Inside string `json:"inside,omitempty"`
	// EngineSilent is since when the engine has said nothing of the container; zero
	// while it does.
	EngineSilent time.Time `json:"engine_silent,omitzero"`
	// EngineRefuses is what the engine says when it answers but refuses the call, and
	// EngineAPI the version of its API that was spoken last.
	EngineRefuses string   `json:"engine_refuses,omitempty"`
	EngineAPI     string   `json:"engine_api,omitempty"`
	Failures      []string `json:"failures,omitempty"`
	Warnings      []string `json:"warnings,omitempty"`
}

// Probe returns what the check found last, from the run folder; found is false
// before its first run in this boot.
func (d *Dir) Probe() (p Probe, found bool, err error) {
	found, err = d.Read(ProbeName, &p)
	return p, found, err
}
