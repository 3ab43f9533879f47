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

// Difference is one thing in an installed configuration that keeps a takeover
// from going as it should.
type Difference struct {
	Where string `json:"where"` // file and line, or the file
	What  string `json:"what"`
	Why   string `json:"why"` // what comes of it
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

// CompareFile compares the installed file, with all that it includes, with
// what the node needs, and looks at the programs it names as keepalived's
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

// Compare compares the text of an installed configuration with what the node
// needs. The programs it names are not looked at.
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

// comparison is one configuration held against what is wanted.
type comparison struct {
	file     string
	tree     []statement
	parser   *parser
	cfg      *config.Config
	node     config.Node
	password string
	want     wanted
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

// compare looks at everything that the files say.
func (c *comparison) compare() {
	for _, s := range c.parser.unreadable {
		c.add(s.at(), "it includes "+s.arg(1)+", which can't be read", "keepalived may do without what stands there", "correct the path, or take the line out")
	}
	for _, s := range c.parser.obscure {
		c.add(s.at(), fmt.Sprintf("%q depends on keepalived's conditions or variables", strings.Join(s.words, " ")),
			"what it comes to can't be told here", "write plain lines, as failover-notify keepalived does")
	}
	c.globals()
	instances := c.instances()
	switch len(instances) {
	case 0:
		c.add(c.file, fmt.Sprintf("no vrrp_instance has the address %s", c.want.address),
			"nobody moves the address", "write the file again: failover-notify keepalived > "+c.file)
	case 1:
		c.instance(instances[0])
	default:
		for _, s := range instances[1:] {
			c.add(s.at(), fmt.Sprintf("another vrrp_instance (%s) has the address or the virtual_router_id of %s, at %s", s.arg(1), instances[0].arg(1), instances[0].at()),
				"the two fight over the address", "keep one")
		}
		c.instance(instances[0])
	}
}

// globals looks at global_defs; there may be several, which count together.
func (c *comparison) globals() {
	var block []statement
	for _, s := range named(c.tree, "global_defs") {
		block = append(block, s.block...)
	}
	if len(named(block, "enable_script_security")) == 0 {
		c.add(c.file, "global_defs has no enable_script_security",
			"programs that others may change would run as root", "add enable_script_security")
	}
	users := named(block, "script_user")
	if len(users) == 0 {
		c.add(c.file, "global_defs has no script_user",
			"with script security keepalived then runs nothing, or runs it as keepalived_script, who may not read the state", "add script_user root")
	}
	for _, s := range users {
		if s.arg(1) != "root" {
			c.add(s.at(), "script_user is "+s.arg(1), "the programs need root's rights", "set script_user root")
		}
	}
	for _, s := range named(block, "vrrp_strict") {
		c.add(s.at(), "vrrp_strict", "it forbids unicast and passwords and drops what is sent to the virtual IP", "take it out")
	}
}

// instances returns the vrrp_instances that have our address or our number.
func (c *comparison) instances() []statement {
	var found []statement
	for _, s := range named(c.tree, "vrrp_instance") {
		ours := false
		for _, a := range addresses(s.block, "virtual_ipaddress", "virtual_ipaddress_excluded") {
			ours = ours || a.Addr() == c.want.address.Addr()
		}
		for _, id := range named(s.block, "virtual_router_id") {
			ours = ours || id.arg(1) == fmt.Sprint(c.want.routerID) && onInterface(s.block, c.cfg.Interface)
		}
		if ours {
			found = append(found, s)
		}
	}
	return found
}

// onInterface reports whether an instance is on the interface, or says none.
func onInterface(block []statement, iface string) bool {
	lines := named(block, "interface")
	return len(lines) == 0 || lines[len(lines)-1].arg(1) == iface
}

// addresses returns the addresses listed in a block's blocks of those names.
// One without a prefix length has all its bits, as keepalived adds it.
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
