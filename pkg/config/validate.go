package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"
)

// checker is the part of the checks that looks at several values at once, or
// at more than the type of one.
type checker struct {
	config *Config
	found  *problems
}

// validate adds what is wrong with c beyond the types of single values.
func (c *Config) validate(found *problems) {
	k := checker{config: c, found: found}
	k.nodes()
	k.network()
	k.paths()
	k.ssh()
	k.replication()
	k.durations()
	k.services()
	k.witness()
	k.etcd()
	k.keepalived()
	k.monitoring()
	k.images()
}

// bad records a problem with a key, at the place where its value was given.
func (k checker) bad(path, format string, args ...any) {
	at, _ := k.config.sources.nearest(path)
	k.found.add(at, path, format, args...)
}

func (k checker) nodes() {
	c := k.config
	if len(c.Nodes) == 0 {
		k.bad("nodes", "no node is given; list each server as {name: …, address: …}")
	}
	names, addresses, priorities := map[string]int{}, map[string]int{}, map[int]int{}
	locals := 0
	for i, n := range c.Nodes {
		at := fmt.Sprintf("nodes[%d]", i)
		switch first, again := names[n.Name]; {
		case n.Name == "":
			k.bad(at+".name", "is missing")
		case !isNodeName(n.Name):
			k.bad(at+".name", "%q is not a node name: letters, digits, '.', '_' and '-'", n.Name)
		case again:
			k.bad(at+".name", "%q is nodes[%d] already; each node has its own name", n.Name, first)
		default:
			names[n.Name] = i
		}
		if n.Local {
			locals++
		} else {
			k.address(at+".address", n.Address, i, addresses)
		}
		switch first, again := priorities[n.Priority]; {
		case n.Priority > 254:
			k.bad(at+".priority", "%d is not between 1 and 254", n.Priority)
		case n.Priority != 0 && again:
			k.bad(at+".priority", "%d is that of nodes[%d] already; equal priorities make a race of an election", n.Priority, first)
		default:
			priorities[n.Priority] = i
		}
	}
	if len(c.Nodes) > 0 && locals == len(c.Nodes) {
		k.bad("nodes", "all nodes are local; one must be this machine itself, with its address")
	}
	if _, known := names[c.Node]; c.Node != "" && !known {
		k.bad("node", "%q is none of the nodes%s", c.Node, didYouMean(c.Node, c.nodeNames()))
	}
}

func (k checker) address(path, address string, i int, seen map[string]int) {
	if address == "" {
		k.bad(path, "is missing; give the node's own IP address or host name")
		return
	}
	canonical := strings.ToLower(address)
	if ip, err := netip.ParseAddr(address); err == nil {
		canonical = ip.String()
		if vip, ok := k.config.virtualAddress(); ok && vip == ip {
			k.bad(path, "%s is virtual_ip, which moves between the nodes; give the node's own address", address)
			return
		}
	} else if isNumeric(address) || !hostName().MatchString(address) || len(address) > 253 {
		k.bad(path, "%q is neither an IP address nor a host name", address)
		return
	}
	if first, again := seen[canonical]; again {
		k.bad(path, "%s is that of nodes[%d] already", address, first)
		return
	}
	seen[canonical] = i
}

// virtualAddress returns the virtual IP when there is a valid one.
func (c *Config) virtualAddress() (netip.Addr, bool) {
	if p, err := netip.ParsePrefix(c.VirtualIP); err == nil {
		return p.Addr(), true
	}
	return netip.Addr{}, false
}

func (k checker) network() {
	c := k.config
	if c.VirtualIP != "" {
		if _, ok := k.config.virtualAddress(); !ok {
			k.bad("virtual_ip", "%q is not an address with a prefix length such as 192.168.1.100/24", c.VirtualIP)
		}
		k.oneFamily()
	}
	if c.Interface != "" && !isInterface(c.Interface) {
		k.bad("interface", "%q is not the name of a network interface", c.Interface)
	}
}

// oneFamily checks that unicast adverts and the virtual IP are of one address
// family: keepalived refuses an instance that mixes IPv4 and IPv6.
func (k checker) oneFamily() {
	vip, ok := k.config.virtualAddress()
	if !ok || !k.config.Keepalived.Unicast {
		return
	}
	for i, node := range k.config.Nodes {
		ip, err := netip.ParseAddr(node.Address)
		if err == nil && !node.Local && ip.Unmap().Is4() != vip.Unmap().Is4() {
			k.bad(fmt.Sprintf("nodes[%d].address", i), "%s and virtual_ip %s are of different families (IPv4, IPv6), which keepalived refuses with unicast; give the node an address of the same family, or set keepalived.unicast to false", ip, vip)
		}
	}
}

// paths checks that paths do not depend on where a program was started: cron
// and keepalived start it in another folder than an operator does.
func (k checker) paths() {
	c := k.config
	for _, p := range []struct{ path, value string }{
		{"state_dir", c.StateDir},
		{"run_dir", c.RunDir},
		{"log_file", c.LogFile},
		{"ssh.identity_file", c.SSH.IdentityFile},
		{"ssh.known_hosts_file", c.SSH.KnownHostsFile},
		{"services.directory", c.Services.Directory},
		{"services.socket", c.Services.Socket},
		{"witness.etcd.cert_file", c.Witness.Etcd.CertFile},
		{"witness.etcd.key_file", c.Witness.Etcd.KeyFile},
		{"witness.etcd.ca_file", c.Witness.Etcd.CAFile},
		{"witness.etcd.password_file", c.Witness.Etcd.PasswordFile},
		{"keepalived.password_file", c.Keepalived.PasswordFile},
		{"keepalived.file", c.Keepalived.File},
		{"keepalived.programs", c.Keepalived.Programs},
		{"notify.urls_file", c.Notify.URLsFile},
		{"notify.template_file", c.Notify.TemplateFile},
		{"heartbeat.urls_file", c.Heartbeat.URLsFile},
		{"metrics.textfile_dir", c.Metrics.TextfileDir},
	} {
		if p.value != "" && !filepath.IsAbs(p.value) {
			k.bad(p.path, "%q is not an absolute path", p.value)
		}
	}
	if c.StateDir == "" {
		k.bad("state_dir", "is empty")
	}
	if c.RunDir == "" {
		k.bad("run_dir", "is empty")
	}
}

func (k checker) ssh() {
	s := k.config.SSH
	if !isUser(s.User) {
		k.bad("ssh.user", "%q is not a user name", s.User)
	}
	if s.Port < 1 || s.Port > 65535 {
		k.bad("ssh.port", "%d is not between 1 and 65535", s.Port)
	}
	for i, option := range s.Options {
		if !sshOption().MatchString(option) {
			k.bad(fmt.Sprintf("ssh.options[%d]", i), "%q is not an option such as Ciphers=aes128-gcm@openssh.com", option)
		}
	}
	if strings.TrimSpace(s.RemoteCommand) == "" || strings.HasPrefix(s.RemoteCommand, "-") || strings.ContainsAny(s.RemoteCommand, "\x00\n") {
		k.bad("ssh.remote_command", "%q is not the path of a program", s.RemoteCommand)
	}
}

// durations checks deadlines: with none left everything would fail at once.
func (k checker) durations() {
	c := k.config
	for _, d := range []struct {
		path  string
		value time.Duration
	}{
		{"ssh.connect_timeout", c.SSH.ConnectTimeout},
		{"replication.timeouts.zfs", c.Replication.Timeouts.ZFS},
		{"replication.timeouts.snapshot", c.Replication.Timeouts.Snapshot},
		{"replication.timeouts.stall", c.Replication.Timeouts.Stall},
		{"replication.timeouts.stream", c.Replication.Timeouts.Stream},
		{"replication.pre_snapshot.timeout", c.Replication.PreSnapshot.Timeout},
		{"replication.post_snapshot.timeout", c.Replication.PostSnapshot.Timeout},
		{"services.stop_timeout", c.Services.StopTimeout},
		{"services.start_timeout", c.Services.StartTimeout},
		{"probe.grace", c.Probe.Grace},
		{"witness.timeout", c.Witness.Timeout},
		{"images.stall", c.Images.Stall},
		{"images.fetch_timeout", c.Images.FetchTimeout},
		{"failover.peer_timeout", c.Failover.PeerTimeout},
		{"failover.peer_stop", c.Failover.PeerStop},
		{"failover.dataset_timeout", c.Failover.DatasetTimeout},
		{"lag.timeout", c.Lag.Timeout},
		{"notify.timeout", c.Notify.Timeout},
		{"heartbeat.timeout", c.Heartbeat.Timeout},
		{"hooks.on_active.timeout", c.Hooks.OnActive.Timeout},
		{"hooks.on_standby.timeout", c.Hooks.OnStandby.Timeout},
		{"hooks.on_fault.timeout", c.Hooks.OnFault.Timeout},
	} {
		if d.value <= 0 {
			k.bad(d.path, "must be longer than 0")
		}
	}
	if t := c.SSH.ConnectTimeout; t > 0 && t < time.Second {
		k.bad("ssh.connect_timeout", "%s is shorter than ssh can measure; give at least 1s", t)
	}
}
