package observe

import "time"

// Event is one observation: a Sample or an Answer.
type Event struct {
	Sample *Sample `json:"sample,omitempty"`
	Answer *Answer `json:"answer,omitempty"`
}

// Sample is what a node was at some moment between Sent and Received.
type Sample struct {
	Node           string `json:"node"`
	Sent, Received time.Time
	State
}

// State is what a node says of itself.
type State struct {
	// Address says that the node holds the virtual IP.
	Address bool `json:"address,omitempty"`
	// Writable are the mount points below the observed folder that can be
	// written to.
	Writable []string `json:"writable,omitempty"`
	// Running are the projects of which a process is there.
	Running []string `json:"running,omitempty"`
	// Error is why part of this is not known.
	Error string `json:"error,omitempty"`
}

// Writer reports whether the node could write: that two can at the same moment is
// what must never be.
func (s State) Writer() bool { return len(s.Writable) > 0 || len(s.Running) > 0 }

// Answer is what came back from the virtual IP.
type Answer struct {
	// Target is "traefik" or a project's name.
	Target         string `json:"target"`
	Sent, Received time.Time
	OK             bool `json:"ok,omitempty"`
	// Node is which node's project it was.
	Node string `json:"node,omitempty"`
	// ID is that of the write that was asked for. When the answer is OK, it is
	// acknowledged.
	ID    string `json:"id,omitempty"`
	Error string `json:"error,omitempty"`
}
