package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// The lab's networks, each a bridge in the hub's network namespace. No network
// leads out. The hub itself is .1 on both.
const (
	lanBridge        = "lan"
	managementBridge = "management"
	lanAddress       = "10.77.0.1/24"
	managementHub    = "10.78.0.1/24"
)

// network owns the bridges, the nodes' ports on them, and the cuts.
type network struct {
	// rootfs has the nft program; the host may lack it.
	rootfs string
	// in and out hold the nodes whose traffic of that direction is dropped.
	in, out map[string]bool
}

// newNetwork makes the bridges in the current network namespace.
func newNetwork(ctx context.Context, rootfs string) (*network, error) {
	batch := "link set lo up\n"
	for eth, bridge := range []struct{ name, address string }{{lanBridge, lanAddress}, {managementBridge, managementHub}} {
		// Without a forwarding delay, ports forward at once. Without snooping,
		// VRRP's multicast needs no querier. The bridge gets a fixed hardware
		// address: otherwise it would take one of its ports', so the hub's
		// address would change when a node comes or goes. Others would then
		// lose packets to the hub for up to minutes, until they ask again.
		batch += fmt.Sprintf("link add %[1]s address 52:54:00:%02[3]x:00:01 type bridge forward_delay 0 mcast_snooping 0\n"+
			"address add %[2]s dev %[1]s\nlink set %[1]s up\n", bridge.name, bridge.address, 0x77+eth)
	}
	if err := command(ctx, "", batch, "ip", "-batch", "-"); err != nil {
		return nil, fmt.Errorf("make the lab's bridges: %w", err)
	}
	return &network{rootfs: rootfs, in: map[string]bool{}, out: map[string]bool{}}, nil
}

// port returns the names of the bridges' ends of a node's two links.
func port(node string) (lan, management string) { return "l-" + node, "m-" + node }

// addTaps gives a node two tap devices, which stay when its qemu ends.
func (n *network) addTaps(ctx context.Context, node string) error {
	lan, management := port(node)
	return n.attach(ctx, node, fmt.Sprintf("tuntap add dev %s mode tap\ntuntap add dev %s mode tap\n", lan, management))
}

// addPairs gives a node, whose first process is pid, eth0 and eth1 in its
// network namespace; they go when that namespace does.
func (n *network) addPairs(ctx context.Context, node NodeSpec, pid int) error {
	lan, management := port(node.Name)
	return n.attach(ctx, node.Name, fmt.Sprintf(
		"link add %s type veth peer name eth0 address %s netns %d\nlink add %s type veth peer name eth1 address %s netns %d\n",
		lan, hardwareAddress(node, 0), pid, management, hardwareAddress(node, 1), pid))
}

// hardwareAddress returns the address of a node's interface eth0 or eth1. It
// stays the same over boots, as on a real machine, since neighbours cache it.
func hardwareAddress(node NodeSpec, eth int) string {
	return fmt.Sprintf("52:54:00:%02x:00:%02x", 0x77+eth, 0x11+node.Index)
}

func (n *network) attach(ctx context.Context, node, create string) error {
	lan, management := port(node)
	batch := create + fmt.Sprintf("link set %s master %s up\nlink set %s master %s up\n",
		lan, lanBridge, management, managementBridge)
	if err := command(ctx, "", batch, "ip", "-batch", "-"); err != nil {
		return fmt.Errorf("connect node %s to the lab's bridges: %w", node, err)
	}
	return nil
}

// removePairs removes a node's links; links of an ended namespace may linger
// for a moment.
func (n *network) removePairs(ctx context.Context, node string) {
	lan, management := port(node)
	for _, link := range []string{lan, management} {
		// The kernel may have been faster.
		_ = command(ctx, "", "", "ip", "link", "delete", link)
	}
}

// cut drops a node's frames in one direction or both. The link stays up, as
// when a remote switch fails.
func (n *network) cut(ctx context.Context, node string, dir Direction) error {
	switch dir {
	case In:
		n.in[node] = true
	case Out:
		n.out[node] = true
	case Both:
		n.in[node], n.out[node] = true, true
	default:
		return fmt.Errorf("cut the network of node %s: direction %q: want %s, %s or %s", node, dir, In, Out, Both)
	}
	return n.apply(ctx)
}

func (n *network) restore(ctx context.Context, node string) error {
	delete(n.in, node)
	delete(n.out, node)
	return n.apply(ctx)
}

// apply replaces all rules at once by the current cuts.
func (n *network) apply(ctx context.Context) error {
	if err := command(ctx, n.rootfs, n.rules(), "/usr/sbin/nft", "-f", "-"); err != nil {
		return fmt.Errorf("cut the lab's network: %w", err)
	}
	return nil
}

// rules returns nft's input. It makes the table before deleting it, so that the
// deletion also works the first time.
func (n *network) rules() string {
	var rules strings.Builder
	rules.WriteString("table bridge lab\ndelete table bridge lab\ntable bridge lab {\n")
	if len(n.out) > 0 {
		fmt.Fprintf(&rules, "chain out { type filter hook prerouting priority 0; iifname { %s } drop; }\n", quotePorts(n.out))
	}
	if len(n.in) > 0 {
		fmt.Fprintf(&rules, "chain in { type filter hook postrouting priority 0; oifname { %s } drop; }\n", quotePorts(n.in))
	}
	rules.WriteString("}\n")
	return rules.String()
}

func quotePorts(nodes map[string]bool) string {
	var quoted []string
	for node := range nodes {
		lan, _ := port(node)
		quoted = append(quoted, `"`+lan+`"`)
	}
	slices.Sort(quoted)
	return strings.Join(quoted, ", ")
}
