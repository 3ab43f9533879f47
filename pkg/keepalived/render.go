package keepalived

import (
	"cmp"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
	"github.com/understudy-ha/understudy/pkg/state"
)

// The names of the parts of a rendered configuration.
const (
	instanceName = "VI_1"
	scriptName   = "traefik"
	fileName     = "eligible"
)

// passwordLength is the length to which keepalived cuts a password, without an error.
const passwordLength = 8

// IncompleteError is a missing or invalid key of our configuration that keepalived's
// configuration needs.
type IncompleteError struct {
	Key  string // such as "virtual_ip"
	Text string
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("render keepalived's configuration: %s: %s", e.Key, e.Text)
}

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *IncompleteError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *IncompleteError) Hint() string {
	return "set " + e.Key + " in the configuration, the same on all nodes"
}

// Render returns the complete keepalived.conf of a node. password is the content of
// keepalived.password_file, or "".
func Render(cfg *config.Config, node config.Node, password string) (string, error) {
	w, err := derive(cfg, node, password)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("# keepalived on node %s, as 'failover-notify keepalived' writes it. Make changes in", node.Name)
	line("# %s on all nodes and write this file again.", cmp.Or(cfg.File(), config.DefaultFile))
	line("")
	line("global_defs {")
	line("    router_id %s", node.Name)
	line("    # Programs run as root. Nobody else may be able to change them.")
	line("    script_user root")
	line("    enable_script_security")
	line("}")
	line("")
	line("# An active node must serve, a standby must be able to. Weight 0, because a node")
	line("# with nopreempt takes over only from a node that is silent or in fault, never from")
	line("# a node with a lower priority.")
	line("vrrp_script %s {", scriptName)
	line("    script %s", quote(w.check))
	line("    interval 1")
	line("    timeout 1")
	line("    fall 2")
	line("    rise 2")
	line("    weight 0")
	line("}")
	line("")
	line("# Without this file the node is in fault. It exists while the node may hold the")
	line("# virtual IP; a boot, a hold or a conflict removes it. keepalived must not create")
	line("# it (no init_file).")
	line("track_file %s {", fileName)
	line("    file %s", quote(w.eligible))
	line("    weight 0 reverse")
	line("}")
	line("")
	line("vrrp_instance %s {", instanceName)
	line("    # Not MASTER, on any node: MASTER would clear nopreempt.")
	line("    state BACKUP")
	line("    nopreempt")
	line("    interface %s", cfg.Interface)
	if w.version != 2 {
		line("    version %d", w.version)
	}
	line("    virtual_router_id %d", w.routerID)
	line("    priority %d", node.Priority)
	line("    advert_int %s", w.advert)
	line("    # If both nodes had the virtual IP, the network may still send to the node that")
	line("    # no longer has it. So the active node announces it again and again.")
	line("    garp_master_refresh %d", garpRefresh)
	if w.source.IsValid() {
		line("    unicast_src_ip %s", w.source)
		line("    unicast_peer {")
		for _, peer := range w.peers {
			line("        %s", peer)
		}
		line("    }")
	}
	if password != "" {
		line("    authentication {")
		line("        auth_type PASS")
		line("        auth_pass %s", password)
		line("    }")
	}
	line("    virtual_ipaddress {")
	line("        %s", w.address)
	line("    }")
	line("    track_script {")
	line("        %s", scriptName)
	line("    }")
	line("    track_file {")
	line("        %s weight 0 reverse", fileName)
	line("    }")
	for _, hook := range w.hooks {
		line("    %s %s", hook.keyword, quote(hook.command))
	}
	line("}")
	return b.String(), nil
}

// garpRefresh is the interval, in seconds, at which the node with the virtual IP
// announces it. By default keepalived announces it when it takes it and when a node of
// lower priority claims it, but not when the other node steps down first.
const garpRefresh = 5

// hook is a line that has keepalived run a program at a change of state.
type hook struct{ keyword, command string }

// required holds the required content of a node's configuration.
type required struct {
	check    string // the command of the check
	eligible string // the eligibility file
	version  int
	routerID int
	advert   string
	source   netip.Addr // invalid for multicast
	peers    []netip.Addr
	address  netip.Prefix
	hooks    []hook
}

// derive derives it from our own configuration.
func derive(cfg *config.Config, node config.Node, password string) (required, error) {
	k := cfg.Keepalived
	w := required{version: k.Version, routerID: k.VirtualRouterID, advert: seconds(k.AdvertInterval)}
	var err error
	if w.address, err = netip.ParsePrefix(cfg.VirtualIP); err != nil {
		return w, &IncompleteError{"virtual_ip", "is missing; keepalived needs the virtual IP with its prefix length"}
	}
	if w.address.Addr().Is6() && w.version != 3 {
		return w, &IncompleteError{"keepalived.version", "must be 3 for an IPv6 address"}
	}
	if cfg.Interface == "" {
		return w, &IncompleteError{"interface", "is missing; keepalived needs the interface that carries the virtual IP"}
	}
	if node.Priority < 1 || node.Priority > 254 {
		return w, &IncompleteError{"nodes", fmt.Sprintf("node %s needs a priority from 1 to 254", node.Name)}
	}
	if err := checkPassword(password); err != nil {
		return w, err
	}
	if k.Unicast {
		if w.source, err = unicast(node); err != nil {
			return w, err
		}
		for _, other := range cfg.Standbys(node) {
			if other.Local {
				continue // another pool of this machine
			}
			peer, err := unicast(other)
			if err != nil {
				return w, err
			}
			w.peers = append(w.peers, peer)
		}
		if len(w.peers) == 0 {
			return w, &IncompleteError{"nodes", "there is no other node"}
		}
	}
	w.eligible = filepath.Join(cfg.RunDir, state.EligibilityFile)
	w.check = command(cfg, "track-traefik")
	w.hooks = []hook{
		{"notify", command(cfg, "failover-notify", "event")},
		{"notify_master", command(cfg, "failover-notify", "master")},
		{"notify_backup", command(cfg, "failover-notify", "backup")},
		{"notify_fault", command(cfg, "failover-notify", "fault")},
		{"notify_stop", command(cfg, "failover-notify", "stop")},
		{"notify_master_rx_lower_pri", command(cfg, "failover-notify", "master")},
	}
	return w, nil
}

// command returns a command line for keepalived. keepalived splits it at blanks, so
// paths with blanks get quotes of their own.
func command(cfg *config.Config, program string, args ...string) string {
	words := append([]string{filepath.Join(cfg.Keepalived.Programs, program)}, args...)
	if file := cfg.File(); file != "" && file != config.DefaultFile {
		words = append(words, "--config", file)
	}
	for i, word := range words {
		if strings.ContainsAny(word, " \t") {
			words[i] = "'" + word + "'"
		}
	}
	return strings.Join(words, " ")
}

func quote(text string) string { return `"` + text + `"` }

// unicast returns a node's address, which keepalived can't look up by name.
func unicast(node config.Node) (netip.Addr, error) {
	address, err := netip.ParseAddr(node.Address)
	if err != nil {
		return address, &IncompleteError{"nodes",
			fmt.Sprintf("node %s has the host name %q, but unicast needs an IP address; give one, or set keepalived.unicast to false", node.Name, node.Address)}
	}
	return address.Unmap(), nil
}

// checkPassword refuses passwords that keepalived would cut or parse differently. It
// never prints the password.
func checkPassword(password string) error {
	const key = "keepalived.password_file"
	if len(password) > passwordLength {
		return &IncompleteError{key, fmt.Sprintf("the password has %d characters; keepalived ignores all after the first %d", len(password), passwordLength)}
	}
	for _, r := range password {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._+-/=:", r)
		if !plain {
			return &IncompleteError{key, "the password may contain only letters, digits and ._+-/=:, which keepalived reads unchanged"}
		}
	}
	return nil
}

// seconds formats a duration for keepalived: 1, or 0.1.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
