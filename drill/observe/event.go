package observe

import "time"

// Event is one observation: a Sample or an Answer.
type Event struct {
	Sample *Sample `json:"sample,omitempty"`
	Answer *Answer `json:"answer,omitempty"`
}

// Sample is the state of a node at some moment between Sent and Received.
type Sample struct {
	Node           string `json:"node"`
	Sent, Received time.Time
	State
}

// State is what a node reports of itself.
type State struct {
	// Address reports whether the node holds the virtual IP.
	Address bool `json:"address,omitempty"`
	// Writable lists the writable mount points below the observed folder.
	Writable []string `json:"writable,omitempty"`
	// Running lists the projects that have a process.
	Running []string `json:"running,omitempty"`
	// Error explains what is unknown.
	Error string `json:"error,omitempty"`
}

// Writer reports whether the node could write. Two writers at the same moment
// must never exist.
func (s State) Writer() bool { return len(s.Writable) > 0 || len(s.Running) > 0 }

// Answer is an answer from the virtual IP.
type Answer struct {
	// Target is "traefik" or a project's name.
	Target         string `json:"target"`
	Sent, Received time.Time
	OK             bool `json:"ok,omitempty"`
	// Node is the node of the project that answered.
	Node string `json:"node,omitempty"`
	// ID identifies the requested write. An answer that is OK acknowledges it.
	ID    string `json:"id,omitempty"`
	Error string `json:"error,omitempty"`
}
