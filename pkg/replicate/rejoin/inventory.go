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

// Inventory lists the replicated datasets that a node holds, for another node.
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

// datasets returns the holdings as ZFS lists them.
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

// held lists the datasets of the configuration that this node holds, under either
// name, without the preserved copies.
func (n *Node) held(ctx context.Context) ([]zfs.Dataset, error) {
	datasets, err := n.ZFS.Datasets(ctx, plan.Roots(n.Config.Replication.Datasets, n.hasLocal()))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(datasets, func(d zfs.Dataset) bool { return zfs.IsPreserved(d.Name) }), nil
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
		return nil, fmt.Errorf("ask %s for its inventory: %w", node.Name, err)
	}
	var i Inventory
	if err := json.NewDecoder(bytes.NewReader(output)).Decode(&i); err != nil {
		return nil, &UnreadableAnswer{Node: node.Name, Cause: err}
	}
	if i.Format != inventoryFormat {
		return nil, &UnreadableAnswer{Node: node.Name, Cause: fmt.Errorf("its format is %d, not %d", i.Format, inventoryFormat)}
	}
	return &i, nil
}

// UnreadableAnswer is an inventory that can't be decoded.
type UnreadableAnswer struct {
	Node  string
	Cause error
}

func (e *UnreadableAnswer) Error() string {
	return fmt.Sprintf("%s: its answer to 'zfs-replicate inventory' can't be read: %v", e.Node, e.Cause)
}

func (e *UnreadableAnswer) Unwrap() error { return e.Cause }

// Hint names the usual cause.
func (e *UnreadableAnswer) Hint() string {
	return `install the same release on both nodes; in authorized_keys there this node's key needs command="failover-notify gate"`
}

// active asks the other nodes for their role and inventory, and returns the active
// one's. from names the node to ask; without it exactly one must be active. Where no
// roles are required, the named node, or the only other node, counts as active.
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
			Advice: "name the node to follow: --from NODE"}
	case len(others) == 0:
		return nil, errors.Join(errs...)
	}
	return nil, &plan.Refusal{What: "no other node is active: " + strings.Join(others, ", "),
		Advice: "rejoin compares with an active node: see failover-notify status"}
}
