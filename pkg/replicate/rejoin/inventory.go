package rejoin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/remote"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// inventoryFormat is the version of Inventory that this program speaks.
const inventoryFormat = 1

// Inventory is what a node holds of the replicated datasets, for another node.
type Inventory struct {
	Format     int        `json:"format"`
	Node       string     `json:"node"`
	Role       state.Role `json:"role"`
	Term       uint64     `json:"term"`
	NewestTerm uint64     `json:"newest_term"`
	Datasets   []Holding  `json:"datasets"`
}

// Holding is a dataset with its snapshots and bookmarks.
type Holding struct {
	zfs.Dataset
	Snaps []zfs.Snap `json:"snaps,omitempty"`
}

// datasets are the holdings as ZFS gave them.
func (i *Inventory) datasets() []zfs.Dataset {
	all := make([]zfs.Dataset, 0, len(i.Datasets))
	for _, h := range i.Datasets {
		h.Dataset.Snapshots = h.Snaps
		all = append(all, h.Dataset)
	}
	return all
}

// Inventory lists what this node holds. It changes nothing.
func (n *Node) Inventory(ctx context.Context) (*Inventory, error) {
	role, err := n.State.Role()
	if err != nil {
		return nil, err
	}
	datasets, err := n.held(ctx)
	if err != nil {
		return nil, err
	}
	i := &Inventory{Format: inventoryFormat, Node: n.Self.Name, Role: role.Role, Term: role.Term, NewestTerm: role.NewestTerm}
	for _, d := range datasets {
		i.Datasets = append(i.Datasets, Holding{Dataset: d, Snaps: d.Snapshots})
	}
	return i, nil
}

// held lists what this node holds of the entries of the config, under whichever
// name, without what is kept.
func (n *Node) held(ctx context.Context) ([]zfs.Dataset, error) {
	datasets, err := n.ZFS.Datasets(ctx, plan.Roots(n.Config.Replication.Datasets, n.hasLocal()))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(datasets, func(d zfs.Dataset) bool { return zfs.IsKept(d.Name) }), nil
}

// ask asks another node for its inventory.
func (n *Node) ask(ctx context.Context, node config.Node) (*Inventory, error) {
	command, peers := n.Config.SSH.RemoteCommand, remote.Peers{Programs: n.Programs, SSH: n.Config.SSH}
	timeout := n.Config.SSH.ConnectTimeout + 2*n.Config.Replication.Timeouts.ZFS
	output, err := peers.Output(ctx, node, timeout, command, "inventory", "-o", "json")
	if said, ok := errors.AsType[*remote.Error](err); ok {
		said.Node = node.Name
		return nil, said
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s what it holds: %w", node.Name, err)
	}
	var i Inventory
	if err := json.NewDecoder(bytes.NewReader(output)).Decode(&i); err != nil {
		return nil, &StrangeAnswer{Node: node.Name, Cause: err}
	}
	if i.Format != inventoryFormat {
		return nil, &StrangeAnswer{Node: node.Name, Cause: fmt.Errorf("its format is %d, not %d", i.Format, inventoryFormat)}
	}
	return &i, nil
}

// StrangeAnswer is an inventory that can't be read.
type StrangeAnswer struct {
	Node  string
	Cause error
}

func (e *StrangeAnswer) Error() string {
	return fmt.Sprintf("%s: its answer to 'zfs-replicate inventory' can't be read: %v", e.Node, e.Cause)
}

func (e *StrangeAnswer) Unwrap() error { return e.Cause }

// Hint says where such an answer comes from.
func (e *StrangeAnswer) Hint() string {
	return `install the same release on both nodes; in authorized_keys there this node's key needs command="failover-notify gate"`
}

// active asks the other nodes which of them is active, and what it holds. from
// names one of them; without it exactly one must be active. Where no roles are
// required, the one that is named, or the only other one, is taken for it.
func (n *Node) active(ctx context.Context, from string) (*Inventory, error) {
	nodes, err := plan.Standbys(n.Config.Standbys(n.Self), from)
	if err != nil {
		return nil, err
	}
	nodes = slices.DeleteFunc(slices.Clone(nodes), func(n config.Node) bool { return n.Local })
	answers, errs := make([]*Inventory, len(nodes)), make([]error, len(nodes))
	var asked sync.WaitGroup
	for i, node := range nodes {
		asked.Go(func() { answers[i], errs[i] = n.ask(ctx, node) })
	}
	asked.Wait()
	var found []*Inventory
	var others []string
	for _, answer := range answers {
		if answer == nil {
			continue
		}
		if answer.Role == state.RoleActive || !n.Config.Replication.RequireRole && len(nodes) == 1 {
			found = append(found, answer)
		}
		others = append(others, fmt.Sprintf("%s is %s", answer.Node, answer.Role))
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return nil, &plan.Refusal{What: "more than one of the other nodes is active: " + strings.Join(others, ", "),
			Advice: "name the one whose data is to go on: --from NODE"}
	case len(others) == 0:
		return nil, errors.Join(errs...)
	}
	return nil, &plan.Refusal{What: "no other node is active: " + strings.Join(others, ", "),
		Advice: "what is only here can be told only by comparing with an active node; see failover-notify status"}
}
