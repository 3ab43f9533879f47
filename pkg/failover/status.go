package failover

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/notify"
)

// statusTimeout bounds each part of a status that asks ZFS or the engine. Other
// nodes wait for the whole for failover.peer_timeout.
const statusTimeout = 3 * time.Second

// Status is what a node is and what it has, for a person.
type Status struct {
	PeerState
	// Kept says that keepalived runs, or that there is no address to keep.
	Kept        bool               `json:"kept"`
	Services    *ServicesStatus    `json:"services,omitempty"`
	Images      *ImagesStatus      `json:"images,omitempty"`
	Data        *DataStatus        `json:"data,omitempty"`
	Replication *ReplicationStatus `json:"replication,omitempty"`
	Lease       *LeaseStatus       `json:"lease,omitempty"`
	// Notifications is how the ways to people do; nil where nobody is told.
	Notifications *notify.Health `json:"notifications,omitempty"`
}

// ServicesStatus is what runs.
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
	Error         string   `json:"error,omitempty"` // what kept it from being told
}

// DataStatus is what the replicated datasets are on this node.
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

// ReplicationStatus is what replication has recorded on this node.
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
	// Conflicts are the datasets on which both nodes have something of their own,
	// by name here, with what that is.
	Conflicts map[string]string `json:"conflicts,omitempty"`
}

// Received is what came here last.
type Received struct {
	From string    `json:"from"`
	At   time.Time `json:"at"`
	// Conflicts are as in Sent, as the sender saw them.
	Conflicts map[string]string `json:"conflicts,omitempty"`
}

// NodeStatus is the status of one of the nodes, or why there is none.
type NodeStatus struct {
	Node   string  `json:"node"`
	Self   bool    `json:"self"` // it is the one that was asked
	Status *Status `json:"status,omitempty"`
	Error  string  `json:"error,omitempty"`
}

// Status looks at this node, within a few seconds whatever hangs.
func (n *Node) Status(ctx context.Context) (Status, error) {
	var s Status
	var looking sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	if n.hasServices() {
		looking.Go(func() { s.Services = n.servicesStatus(ctx) })
		looking.Go(func() { s.Images = n.imagesStatus(ctx) })
	}
	looking.Go(func() { s.Lease = n.leaseStatus(ctx) })
	if n.Data.Configured() {
		looking.Go(func() { s.Data = n.dataStatus(ctx) })
	}
	var err error
	s.PeerState, err = n.Describe()
	// One that can't be looked for does not run, as far as a person knows; the
	// alerts say why.
	kept, keptErr := n.Address.Kept()
	s.Kept = !n.Address.Configured() || keptErr == nil && kept
	s.Notifications = notify.Open(n.Config, n.State).Health()
	looking.Wait()
	if err != nil {
		return s, err
	}
	if n.Data.Configured() {
		s.Replication = n.replicationStatus()
	}
	return s, nil
}

// StatusAll looks at this node and asks the others at the same time.
func (n *Node) StatusAll(ctx context.Context) ([]NodeStatus, error) {
	nodes := []NodeStatus{{Node: n.Self.Name, Self: true}}
	others := n.others()
	var asking sync.WaitGroup
	for _, other := range others {
		nodes = append(nodes, NodeStatus{Node: other.Name})
	}
	for i, other := range others {
		asking.Go(func() {
			s, err := n.Peers.Status(ctx, other)
			if err != nil {
				nodes[i+1].Error = err.Error()
				return
			}
			nodes[i+1].Status = &s
		})
	}
	own, err := n.Status(ctx)
	asking.Wait()
	if err != nil {
		return nil, err
	}
	nodes[0].Status = &own
	// In the configuration's order, so that the nodes stand where they always do.
	place := func(s NodeStatus) int {
		return slices.IndexFunc(n.Config.Nodes, func(c config.Node) bool { return c.Name == s.Node })
	}
	slices.SortStableFunc(nodes, func(a, b NodeStatus) int { return place(a) - place(b) })
	return nodes, nil
}

func (n *Node) servicesStatus(ctx context.Context) *ServicesStatus {
	projects, err := n.Services.Find(ctx)
	if err != nil {
		return &ServicesStatus{Error: err.Error()}
	}
	containers, err := n.Services.Running(ctx, projects)
	s := judgeServices(projects, containers)
	if err != nil {
		return &ServicesStatus{Projects: len(projects), Broken: s.Broken, Error: err.Error()}
	}
	if s.MissingImages, err = n.missingImages(ctx, projects); err != nil {
		s.Error = err.Error()
	}
	return s
}

// judgeServices says which projects run, by the containers that have a process.
func judgeServices(projects []compose.Project, containers []docker.Container) *ServicesStatus {
	s := &ServicesStatus{Projects: len(projects), Running: []string{}, Stopped: []string{}}
	for _, p := range projects {
		states := map[string]string{} // by service
		for _, c := range containers {
			if c.Project == p.Name {
				states[c.Service] = c.State
			}
		}
		if p.Err != nil {
			s.Broken = append(s.Broken, p.Name+": "+p.Err.Error())
		}
		if len(states) == 0 {
			s.Stopped = append(s.Stopped, p.Name)
			continue
		}
		s.Running = append(s.Running, p.Name)
		for _, service := range p.Services {
			state := states[service.Name]
			// One that is never started again may have done its work.
			done := state == "" && (service.Restart == "no" || service.Restart == "on-failure")
			if state == "" {
				state = "stopped"
			}
			if state != "running" && !done {
				s.Lame = append(s.Lame, p.Name+"/"+service.Name+" "+state)
			}
		}
	}
	return s
}

// missingImages are the images of the projects that this node lacks.
func (n *Node) missingImages(ctx context.Context, projects []compose.Project) ([]string, error) {
	engine := docker.New(n.Config.Services.Socket)
	var images, missing []string
	for _, p := range projects {
		for _, service := range p.Services {
			if service.Image != "" && !slices.Contains(images, service.Image) {
				images = append(images, service.Image)
			}
		}
	}
	for _, image := range images {
		here, err := engine.HasImage(ctx, image)
		if err != nil {
			return missing, err
		}
		if !here {
			missing = append(missing, image)
		}
	}
	return missing, nil
}

func (n *Node) dataStatus(ctx context.Context) *DataStatus {
	datasets, err := n.Data.State(ctx)
	s := &DataStatus{Datasets: len(datasets)}
	if err != nil {
		s.Error = err.Error()
	}
	for _, d := range datasets {
		switch {
		case d.Missing:
			s.Missing = append(s.Missing, d.Name)
			continue
		case d.Writable:
			s.Writable++
		}
		if d.Partial {
			s.Partial = append(s.Partial, d.Name)
		}
		if d.KeyNeeded {
			s.KeyNeeded = append(s.KeyNeeded, d.Name)
		}
		if d.KeyTyped {
			s.KeyTyped = append(s.KeyTyped, d.Name)
		}
		s.Written += d.Written
	}
	return s
}

// inConflict is what zfs-replicate records of a dataset on which both nodes have
// something of their own.
const inConflict = "conflict"

// replicationStatus reads the records of zfs-replicate; one that can't be read
// is left out here, and named by zfs-replicate status.
func (n *Node) replicationStatus() *ReplicationStatus {
	var s ReplicationStatus
	var record struct {
		Standbys map[string]struct {
			Sent
			Datasets map[string]struct {
				Action string `json:"action"`
				Error  string `json:"error"`
			} `json:"datasets"`
		} `json:"standbys"`
	}
	if _, err := n.State.Read("replication", &record); err != nil {
		n.Log.Warn().Err(err).Msg("what was sent is not known")
	}
	for _, other := range n.Config.Standbys(n.Self) {
		last, found := record.Standbys[other.Name]
		if !found {
			continue
		}
		sent := last.Sent
		sent.Node = other.Name
		for dataset, d := range last.Datasets {
			if d.Action != inConflict {
				continue
			}
			if sent.Conflicts == nil {
				sent.Conflicts = map[string]string{}
			}
			sent.Conflicts[dataset] = d.Error
		}
		s.Sent = append(s.Sent, sent)
	}
	var received Received
	found, err := n.State.Read("received", &received)
	if err != nil {
		n.Log.Warn().Err(err).Msg("what was received is not known")
	} else if found {
		s.Received = &received
	}
	return &s
}
