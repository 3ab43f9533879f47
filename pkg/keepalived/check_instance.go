package keepalived

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// instance checks the vrrp_instance of our virtual IP.
func (c *comparison) instance(s statement) {
	c.state(s)
	c.values(s)
	c.refresh(s)
	c.address(s)
	c.peers(s)
	c.authentication(s)
	c.trackedScripts(s)
	c.trackedFile(s)
	c.weights(s)
	c.hookLines(s)
	for _, group := range named(c.tree, "vrrp_sync_group") {
		c.add(group.at(), "a vrrp_sync_group", "the members change state together, so another member's fault moves the virtual IP", "remove the instance from the group")
	}
}

// state checks the settings that decide on preemption.
func (c *comparison) state(s statement) {
	for _, line := range named(s.block, "state") {
		if line.value() != "BACKUP" {
			c.add(line.at(), "state "+line.value(), "it clears nopreempt, so this node takes the virtual IP back when it returns", "set state BACKUP, on all nodes")
		}
	}
	if len(named(s.block, "nopreempt")) == 0 {
		c.add(s.at(), "nopreempt is missing", "this node takes the virtual IP back when it returns, while its data is stale", "add nopreempt, on all nodes")
	}
	for _, line := range named(s.block, "preempt_delay") {
		c.add(line.at(), "preempt_delay", "it requests preemption", "remove it")
	}
	for _, line := range named(s.block, "no_accept") {
		c.add(line.at(), "no_accept", "packets to the virtual IP are dropped", "remove it")
	}
	for _, line := range named(s.block, "dont_track_primary") {
		c.add(line.at(), "dont_track_primary", "a pulled cable is then no fault, so this node keeps the virtual IP", "remove it")
	}
	for _, line := range named(s.block, "strict_mode") {
		if line.value() == "" || line.value() == "on" || line.value() == "true" || line.value() == "yes" {
			c.add(line.at(), "strict_mode", "it forbids unicast and passwords, and drops packets to the virtual IP", "remove it")
		}
	}
}

// values checks lines with one value. Of several lines keepalived uses the last.
func (c *comparison) values(s statement) {
	for _, v := range []struct {
		keyword, want, unset, why string
		number                    bool
	}{
		{"interface", c.cfg.Interface, "", "the virtual IP would be in another network", false},
		{"virtual_router_id", strconv.Itoa(c.want.routerID), "", "the nodes don't hear each other, so both take the virtual IP", true},
		{"priority", strconv.Itoa(c.node.Priority), "100", "it decides which node takes over first; equal priorities leave that to chance", true},
		{"advert_int", c.want.advert, "1", "a node that expects adverts more often than the other sends them takes over without need", true},
	} {
		have, where := v.unset, s.at()
		if lines := named(s.block, v.keyword); len(lines) > 0 {
			last := lines[len(lines)-1]
			have, where = last.value(), last.at()
		}
		same := have == v.want
		if x, err := strconv.ParseFloat(have, 64); err == nil && v.number && !same {
			y, err := strconv.ParseFloat(v.want, 64)
			same = err == nil && x == y
		}
		if !same {
			c.add(where, fmt.Sprintf("%s is %s, not %s", v.keyword, orNone(have), v.want), v.why, "set "+v.keyword+" "+v.want)
		}
	}
	version, where := "2", s.at()
	for _, g := range named(c.tree, "global_defs") {
		for _, line := range named(g.block, "vrrp_version") {
			version, where = line.value(), line.at()
		}
	}
	for _, line := range named(s.block, "version") {
		version, where = line.value(), line.at()
	}
	if version != strconv.Itoa(c.want.version) {
		c.add(where, fmt.Sprintf("the VRRP version is %s, not %d", version, c.want.version), "nodes with different versions don't hear each other, so both take the virtual IP", fmt.Sprintf("set version %d, on all nodes", c.want.version))
	}
}

// refresh checks that the virtual IP is announced repeatedly.
func (c *comparison) refresh(s statement) {
	lines := named(s.block, "garp_master_refresh")
	for _, g := range named(c.tree, "global_defs") {
		if len(lines) == 0 {
			lines = named(g.block, "vrrp_garp_master_refresh")
		}
	}
	have, where := "", s.at()
	if len(lines) > 0 {
		last := lines[len(lines)-1]
		have, where = last.value(), last.at()
	}
	if n, err := strconv.Atoi(have); err != nil || n < 1 || n > garpLongest {
		c.add(where, "garp_master_refresh is "+orNone(have), "after both nodes had the virtual IP, clients may still send to the node that released it",
			fmt.Sprintf("set garp_master_refresh %d", garpRefresh))
	}
}

// garpLongest is the accepted time, in seconds, until the network learns again which
// node has the virtual IP.
const garpLongest = 60

func orNone(text string) string {
	if text == "" {
		return "missing"
	}
	return text
}

// address checks the list of addresses.
func (c *comparison) address(s statement) {
	have := addresses(s.block, "virtual_ipaddress")
	if !slices.Contains(have, c.want.address) {
		texts := make([]string, len(have))
		for i, a := range have {
			texts[i] = a.String()
		}
		c.add(s.at(), fmt.Sprintf("virtual_ipaddress has %s, not %s", orNone(strings.Join(texts, ", ")), c.want.address),
			"the other programs expect another address or prefix length", "list "+c.want.address.String())
	}
}

// peers checks the unicast peers.
func (c *comparison) peers(s statement) {
	var have []netip.Addr
	for _, list := range named(s.block, "unicast_peer") {
		for _, line := range list.block {
			if a, err := netip.ParseAddr(line.words[0]); err == nil {
				have = append(have, a)
			}
		}
	}
	missing := slices.DeleteFunc(slices.Clone(c.want.peers), func(a netip.Addr) bool { return slices.Contains(have, a) })
	more := slices.DeleteFunc(slices.Clone(have), func(a netip.Addr) bool { return slices.Contains(c.want.peers, a) })
	const deaf = "nodes that don't hear each other all take the virtual IP"
	switch {
	case len(c.want.peers) == 0 && len(have) > 0:
		c.add(s.at(), "unicast_peer, although keepalived.unicast is false", deaf, "remove unicast_peer, or set keepalived.unicast to true, on all nodes")
	case len(have) == 0 && len(c.want.peers) > 0:
		c.add(s.at(), "unicast_peer is missing", deaf+"; the others use unicast", "write the file again, or set keepalived.unicast to false")
	case len(missing) > 0:
		c.add(s.at(), fmt.Sprintf("unicast_peer lacks %v", missing), deaf, "list all other nodes")
	case len(more) > 0:
		c.add(s.at(), fmt.Sprintf("unicast_peer has %v, which is not a node", more), "a foreign host takes part", "list the other nodes only")
	}
	for _, line := range named(s.block, "unicast_src_ip") {
		if a, err := netip.ParseAddr(line.value()); err != nil || c.want.source.IsValid() && a != c.want.source {
			c.add(line.at(), fmt.Sprintf("unicast_src_ip is %s, not %s", line.value(), c.want.source), "the other nodes ignore its adverts", "set this node's own address")
		}
	}
}

// authentication checks the password, and never prints it.
func (c *comparison) authentication(s statement) {
	have, where := "", s.at()
	for _, block := range named(s.block, "authentication") {
		for _, line := range named(block.block, "auth_pass") {
			have, where = line.value(), line.at()
		}
	}
	const deaf = "nodes with different passwords ignore each other, so both take the virtual IP"
	if len(have) > passwordLength {
		c.add(where, fmt.Sprintf("auth_pass has %d characters", len(have)), fmt.Sprintf("keepalived ignores all after the first %d", passwordLength), fmt.Sprintf("use at most %d characters, on all nodes", passwordLength))
	}
	switch {
	case have == "" && c.password != "":
		c.add(where, "auth_pass is missing", deaf, "set it to the content of keepalived.password_file")
	case have != "" && c.password == "":
		c.add(where, "auth_pass is set, but keepalived.password_file is not", deaf+" once this file is rendered again", "write it into a file and set keepalived.password_file, or remove it on all nodes")
	case have[:min(len(have), passwordLength)] != c.password:
		c.add(where, "auth_pass differs from keepalived.password_file", deaf, "set it to the content of that file, on all nodes")
	}
}

// trackedScripts checks that track-traefik is tracked.
func (c *comparison) trackedScripts(s statement) {
	tracked, where := "", s.at()
	for _, script := range named(c.tree, "vrrp_script") {
		words := commandWords(script)
		ours := len(words) > 0 && filepath.Base(words[0]) == "track-traefik"
		in := slices.ContainsFunc(entries(s.block, "track_script"), func(e statement) bool { return e.words[0] == script.value() })
		if ours && in {
			tracked, where = script.value(), script.at()
			c.check(script, words)
		}
	}
	if tracked == "" {
		c.add(where, "track-traefik is not tracked", "a node with a dead Traefik keeps the virtual IP", "add the vrrp_script, and name it in track_script")
	}
}

// check checks the settings of our vrrp_script.
func (c *comparison) check(script statement, words []string) {
	if want := strings.Fields(c.want.check)[0]; words[0] != want {
		c.add(script.at(), fmt.Sprintf("the check is %s, not %s", words[0], want), "it may be another version, or missing", "call "+want)
	}
	for _, v := range []struct {
		keyword string
		most    float64
		why     string
	}{
		{"interval", 1, "keepalived notices a failure later"},
		{"timeout", 1, "keepalived notices a hanging check later"},
		{"fall", 2, "keepalived notices a failure later"},
	} {
		for _, line := range named(script.block, v.keyword) {
			if x, err := strconv.ParseFloat(line.value(), 64); err != nil || x > v.most {
				c.add(line.at(), fmt.Sprintf("%s is %s", v.keyword, line.value()), v.why, fmt.Sprintf("set %s %v", v.keyword, v.most))
			}
		}
	}
	for _, line := range named(script.block, "timeout") {
		if x, err := strconv.ParseFloat(line.value(), 64); err == nil && x < 1 {
			c.add(line.at(), "timeout is "+line.value(), "the check needs up to 0.8 s to report a hang", "set timeout 1")
		}
	}
}

// trackedFile checks that keepalived tracks the eligibility file.
func (c *comparison) trackedFile(s statement) {
	for _, file := range named(c.tree, "track_file", "vrrp_track_file") {
		path := ""
		for _, line := range named(file.block, "file") {
			path = line.value()
		}
		if path != c.want.eligible {
			continue
		}
		for _, line := range named(file.block, "init_file") {
			c.add(line.at(), "init_file", "keepalived creates the file itself, so an ineligible node takes the virtual IP at boot", "remove it")
		}
		for _, entry := range entries(s.block, "track_file") {
			if entry.words[0] != file.value() {
				continue
			}
			// The entry's own weight replaces that of the definition.
			weight := weightOf(entry.words)
			if weight == "" {
				for _, line := range named(file.block, "weight") {
					weight = strings.Join(line.words[1:], " ")
				}
			}
			if weight != "0 reverse" {
				c.add(entry.at(), fmt.Sprintf("track_file %s has the weight %q", file.value(), weight), "a missing file counts as healthy, so an ineligible node takes the virtual IP", "set weight 0 reverse")
			}
			return
		}
	}
	c.add(s.at(), "track_file "+c.want.eligible+" is missing", "an ineligible node takes the virtual IP: at boot, under a hold, after a conflict", "write the file again: failover-notify keepalived > "+c.file)
}

// weights finds weights that prevent a takeover: a node that does not preempt stays a
// backup, however low the other node's priority falls.
func (c *comparison) weights(s statement) {
	const why = "a node with nopreempt never takes over because a priority falls"
	for _, entry := range entries(s.block, "track_script", "track_interface", "track_process", "track_bfd") {
		if w := strings.Fields(weightOf(entry.words)); len(w) > 0 && w[0] != "0" {
			c.add(entry.at(), fmt.Sprintf("%s has weight %s", entry.words[0], w[0]), why, "set weight 0, so that a failure is a fault")
		}
	}
	for _, script := range named(c.tree, "vrrp_script", "vrrp_track_process") {
		in := slices.ContainsFunc(entries(s.block, "track_script", "track_process"), func(e statement) bool {
			return e.words[0] == script.value() && weightOf(e.words) == ""
		})
		for _, line := range named(script.block, "weight") {
			if in && line.value() != "0" {
				c.add(line.at(), fmt.Sprintf("%s has weight %s", script.value(), line.value()), why, "set weight 0, so that a failure is a fault")
			}
		}
	}
}

// weightOf returns the words after weight in an entry, or "".
func weightOf(words []string) string {
	if i := slices.Index(words, "weight"); i >= 0 {
		return strings.Join(words[i+1:], " ")
	}
	return ""
}

// entries returns the lines in all blocks of those names.
func entries(block []statement, keywords ...string) []statement {
	var found []statement
	for _, list := range named(block, keywords...) {
		found = append(found, list.block...)
	}
	return found
}
