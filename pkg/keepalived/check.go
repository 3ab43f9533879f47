package keepalived

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/exit"
)

// Difference is a dangerous difference in an installed configuration.
type Difference struct {
	Where string `json:"where"` // file and line, or the file
	What  string `json:"what"`
	Why   string `json:"why"` // the effect
	Fix   string `json:"fix"`
}

func (d Difference) String() string {
	return fmt.Sprintf("%s: %s: %s; %s", d.Where, d.What, d.Why, d.Fix)
}

// FileError is a configuration that could not be read.
type FileError struct {
	File string
	Err  error
}

func (e *FileError) Error() string {
	cause := e.Err
	if path, ok := errors.AsType[*fs.PathError](cause); ok {
		cause = path.Err
	}
	return fmt.Sprintf("read keepalived's configuration %s: %v", e.File, cause)
}

func (e *FileError) Unwrap() error { return e.Err }

// ExitCode is 78, EX_CONFIG of sysexits.h.
func (e *FileError) ExitCode() int { return exit.Config }

// Hint says what to do next.
func (e *FileError) Hint() string {
	if errors.Is(e.Err, fs.ErrNotExist) {
		return "install it: failover-notify keepalived > " + e.File
	}
	return ""
}

// CompareFile compares the installed file, with all included files, with the required
// configuration. It also checks the programs that the file names, as keepalived's
// script security does.
func CompareFile(file string, cfg *config.Config, node config.Node, password string) ([]Difference, error) {
	tree, p, err := parseFile(file)
	if err != nil {
		return nil, &FileError{File: file, Err: err}
	}
	c, err := newComparison(file, tree, p, cfg, node, password)
	if err != nil {
		return nil, err
	}
	c.compare()
	c.programs(osFiles{})
	return c.found, nil
}

// Compare compares the text of an installed configuration with the required one. It
// does not check programs.
func Compare(installed string, cfg *config.Config, node config.Node, password string) ([]Difference, error) {
	file := cfg.Keepalived.File
	tree, p, err := parseText(file, installed)
	if err != nil {
		return nil, &FileError{File: file, Err: err}
	}
	c, err := newComparison(file, tree, p, cfg, node, password)
	if err != nil {
		return nil, err
	}
	c.compare()
	return c.found, nil
}

// comparison compares an installed configuration with the required one.
type comparison struct {
	file     string
	tree     []statement
	parser   *parser
	cfg      *config.Config
	node     config.Node
	password string
	want     required
	found    []Difference
}

func newComparison(file string, tree []statement, p *parser, cfg *config.Config, node config.Node, password string) (*comparison, error) {
	want, err := derive(cfg, node, password)
	if err != nil {
		return nil, err
	}
	return &comparison{file: file, tree: tree, parser: p, cfg: cfg, node: node, password: password, want: want}, nil
}

func (c *comparison) add(where, what, why, fix string) {
	c.found = append(c.found, Difference{Where: where, What: what, Why: why, Fix: fix})
}

// compare compares all statements.
func (c *comparison) compare() {
	for _, s := range c.parser.unreadable {
		c.add(s.at(), "included file "+s.value()+" can't be read", "keepalived may ignore its content", "correct the path, or remove the line")
	}
	for _, s := range c.parser.obscure {
		c.add(s.at(), fmt.Sprintf("%q depends on keepalived's conditions or variables", strings.Join(s.words, " ")),
			"its effect can't be checked", "write plain lines, as failover-notify keepalived does")
	}
	c.globals()
	instances := c.instances()
	switch len(instances) {
	case 0:
		c.add(c.file, fmt.Sprintf("no vrrp_instance has the virtual IP %s", c.want.address),
			"the virtual IP does not move", "write the file again: failover-notify keepalived > "+c.file)
	case 1:
		c.instance(instances[0])
	default:
		for _, s := range instances[1:] {
			c.add(s.at(), fmt.Sprintf("another vrrp_instance (%s) has the virtual IP or the virtual_router_id of %s, at %s", s.value(), instances[0].value(), instances[0].at()),
				"both claim the virtual IP", "remove one")
		}
		c.instance(instances[0])
	}
}

// globals checks global_defs; several blocks count together.
func (c *comparison) globals() {
	var block []statement
	for _, s := range named(c.tree, "global_defs") {
		block = append(block, s.block...)
	}
	if len(named(block, "enable_script_security")) == 0 {
		c.add(c.file, "global_defs has no enable_script_security",
			"programs that other users can change would run as root", "add enable_script_security")
	}
	users := named(block, "script_user")
	if len(users) == 0 {
		c.add(c.file, "global_defs has no script_user",
			"with script security keepalived then runs no program, or runs it as keepalived_script, which can't read the state", "add script_user root")
	}
	for _, s := range users {
		if s.value() != "root" {
			c.add(s.at(), "script_user is "+s.value(), "the programs need to run as root", "set script_user root")
		}
	}
	for _, s := range named(block, "vrrp_strict") {
		c.add(s.at(), "vrrp_strict", "it forbids unicast and passwords, and drops packets to the virtual IP", "remove it")
	}
}

// instances returns the vrrp_instances with our virtual IP or router id.
func (c *comparison) instances() []statement {
	var found []statement
	for _, s := range named(c.tree, "vrrp_instance") {
		ours := false
		for _, a := range addresses(s.block, "virtual_ipaddress", "virtual_ipaddress_excluded") {
			ours = ours || a.Addr() == c.want.address.Addr()
		}
		for _, id := range named(s.block, "virtual_router_id") {
			ours = ours || id.value() == fmt.Sprint(c.want.routerID) && onInterface(s.block, c.cfg.Interface)
		}
		if ours {
			found = append(found, s)
		}
	}
	return found
}

// onInterface reports whether an instance names the interface, or none.
func onInterface(block []statement, iface string) bool {
	lines := named(block, "interface")
	return len(lines) == 0 || lines[len(lines)-1].value() == iface
}

// addresses returns the addresses listed in a block's blocks of those names.
// An address without a prefix length gets its full length, as keepalived adds it.
func addresses(block []statement, keywords ...string) []netip.Prefix {
	var found []netip.Prefix
	for _, list := range named(block, keywords...) {
		for _, s := range list.block {
			for _, word := range s.words[:1] {
				if prefix, err := netip.ParsePrefix(word); err == nil {
					found = append(found, prefix)
				} else if address, err := netip.ParseAddr(word); err == nil {
					found = append(found, netip.PrefixFrom(address, address.BitLen()))
				}
			}
		}
	}
	return found
}
