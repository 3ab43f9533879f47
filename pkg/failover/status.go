package failover

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/pkg/compose"
	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/docker"
	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/notify"
)

// StatusTimeout bounds each part of a status that asks ZFS or the engine. Other
// nodes wait for the whole for failover.peer_timeout.
const StatusTimeout = 3 * time.Second

// Status is the state of a node and of its services and data, for the operator.
type Status struct {
	rules.PeerState
	// KeepalivedRuns: it does, or the pair has no virtual IP.
	KeepalivedRuns bool                     `json:"kept"`
	Services       *rules.ServicesStatus    `json:"services,omitempty"`
	Images         *ImagesStatus            `json:"images,omitempty"`
	Data           *rules.DataStatus        `json:"data,omitempty"`
	Replication    *rules.ReplicationStatus `json:"replication,omitempty"`
	Lease          *LeaseStatus             `json:"lease,omitempty"`
	// Notifications is the health of the notification channels; nil without any.
	Notifications *notify.Health `json:"notifications,omitempty"`
}

// Readiness returns the part of a status on which a switchover depends.
func (s Status) Readiness() rules.Readiness {
	return rules.Readiness{PeerState: s.PeerState, Services: s.Services, Data: s.Data, Replication: s.Replication}
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
	ctx, cancel := context.WithTimeout(ctx, StatusTimeout)
	defer cancel()
	if n.HasServices() {
		looking.Go(func() { s.Services = n.servicesStatus(ctx) })
		looking.Go(func() { s.Images = n.imagesStatus(ctx) })
	}
	looking.Go(func() { s.Lease = n.leaseStatus(ctx) })
	if n.Data.Configured() {
		looking.Go(func() { s.Data = n.dataStatus(ctx) })
	}
	var err error
	s.PeerState, err = n.Describe()
	// If keepalived can't be looked for, it counts as not running; the alerts say why.
	kept, keptErr := n.Address.KeepalivedRuns()
	s.KeepalivedRuns = !n.Address.Configured() || keptErr == nil && kept
	s.Notifications = notify.Open(n.Config, n.State).Health()
	looking.Wait()
	if err != nil {
		return s, err
	}
	if n.Data.Configured() {
		s.Replication = n.Replication()
	}
	return s, nil
}

// StatusAll looks at this node and asks the others at the same time.
func (n *Node) StatusAll(ctx context.Context) ([]NodeStatus, error) {
	nodes := []NodeStatus{{Node: n.Self.Name, Self: true}}
	others := n.Others()
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

func (n *Node) servicesStatus(ctx context.Context) *rules.ServicesStatus {
	projects, err := n.Services.Find(ctx)
	if err != nil {
		return &rules.ServicesStatus{Error: err.Error()}
	}
	containers, err := n.Services.Running(ctx, projects)
	s := judgeServices(projects, containers)
	if err != nil {
		return &rules.ServicesStatus{Projects: len(projects), Broken: s.Broken, Error: err.Error()}
	}
	if s.MissingImages, err = missingImages(ctx, n.Engine, projects); err != nil {
		s.Error = err.Error()
	}
	return s
}

// judgeServices returns which projects run, by the containers that have a process.
func judgeServices(projects []compose.Project, containers []docker.Container) *rules.ServicesStatus {
	s := &rules.ServicesStatus{Projects: len(projects), Running: []string{}, Stopped: []string{}}
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
			// A service that is never started again may have finished its work.
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
func missingImages(ctx context.Context, engine Engine, projects []compose.Project) ([]string, error) {
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

func (n *Node) dataStatus(ctx context.Context) *rules.DataStatus {
	datasets, err := n.Data.State(ctx)
	s := &rules.DataStatus{Datasets: len(datasets)}
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

// Replication reads the records of zfs-replicate. It leaves out a record that can't be
// read; zfs-replicate status names that one's error.
func (n *Node) Replication() *rules.ReplicationStatus {
	var s rules.ReplicationStatus
	record, _, err := n.State.Sent()
	if err != nil {
		n.Log.Warn().Err(err).Msg("the record of what was sent is unreadable")
	}
	for _, other := range n.Config.Standbys(n.Self) {
		if last := record.Standbys[other.Name]; last != nil {
			s.Sent = append(s.Sent, rules.Sent{Node: other.Name, LastRun: last.LastRun, LastSuccess: last.LastSuccess, Error: last.Error, Conflicts: last.Conflicts()})
		}
	}
	received, found, err := n.State.Received()
	if err != nil {
		n.Log.Warn().Err(err).Msg("the record of what was received is unreadable")
	} else if found {
		s.Received = &rules.Received{From: received.From, At: received.At, Conflicts: received.Conflicts}
	}
	return &s
}
