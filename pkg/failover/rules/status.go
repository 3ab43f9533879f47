package rules

import "time"

// ServicesStatus is what runs on a node.
type ServicesStatus struct {
	Projects int `json:"projects"`
	// Running are the projects of which a container has a process.
	Running []string `json:"running"`
	Stopped []string `json:"stopped"`
	// Lame are services, as PROJECT/SERVICE, that should run whenever their
	// project does and do not, or are paused or being restarted.
	Lame []string `json:"lame,omitempty"`
	// Broken are the projects that can't be loaded, and why.
	Broken        []string `json:"broken,omitempty"`
	MissingImages []string `json:"missing_images,omitempty"`
	Error         string   `json:"error,omitempty"` // why it could not be determined
}

// DataStatus is the state of the replicated datasets on a node.
type DataStatus struct {
	Datasets  int      `json:"datasets"`
	Writable  int      `json:"writable"`
	Missing   []string `json:"missing,omitempty"`
	Partial   []string `json:"partial,omitempty"`
	KeyNeeded []string `json:"key_needed,omitempty"`
	// KeyTyped are those of them whose key a takeover can't load by itself.
	KeyTyped []string `json:"key_typed,omitempty"`
	// Written are the bytes since the newest snapshots.
	Written int64  `json:"written"`
	Error   string `json:"error,omitempty"`
}

// ReplicationStatus is what replication has recorded on a node.
type ReplicationStatus struct {
	Sent     []Sent    `json:"sent,omitempty"`
	Received *Received `json:"received,omitempty"`
}

// Sent is how sending to one standby went last.
type Sent struct {
	Node        string    `json:"node"`
	LastRun     time.Time `json:"last_run"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	Error       string    `json:"error,omitempty"`
	// Conflicts are the datasets on which both nodes have unreplicated changes, by
	// name on the sender, with what those are.
	Conflicts map[string]string `json:"conflicts,omitempty"`
}

// Received is what a node received last.
type Received struct {
	From string    `json:"from"`
	At   time.Time `json:"at"`
	// Conflicts are as in Sent, as the sender saw them.
	Conflicts map[string]string `json:"conflicts,omitempty"`
}
