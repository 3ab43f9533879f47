package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// local holds the keys that may differ between nodes.
var local = []string{"node", "interface", "log_file", "state_dir", "run_dir", "ssh.identity_file", "ssh.known_hosts_file", "services.socket",
	"keepalived.file", "keepalived.programs", "keepalived.password_file", "metrics.textfile_dir", "notify.urls_file", "heartbeat.urls_file"}

// harmless holds prefixes of keys whose difference makes no failover fail.
var harmless = []string{"lag.", "notify.", "heartbeat.", "metrics.", "images.", "replication.keep", "replication.bandwidth", "replication.parallel", "replication.timeouts."}

// pairs judges what must be the same on two nodes.
func (j *judge) pairs() {
	j.eachPair(func(a, b *Facts) {
		add := j.found.on("")
		names := a.Node + " and " + b.Node
		if a.Release != b.Release {
			add("release", Warning, fmt.Sprintf("Understudy is %s on %s and %s on %s", a.Release, a.Node, b.Release, b.Node), "they may not understand each other", "install the same release on both")
		}
		j.configs(a, b, add)
		if k, l := a.Keepalived, b.Keepalived; k != nil && l != nil {
			if k.Password != l.Password {
				add("password", Error, "keepalived's passwords on "+names+" differ", "the nodes ignore each other's adverts, so both take the virtual IP", j.samePassword()+", and write keepalived's configuration there again")
			}
			if minor(k.Version) != minor(l.Version) && k.Version != "" && l.Version != "" {
				add("keepalived-version", Warning, fmt.Sprintf("keepalived is %s on %s and %s on %s", k.Version, a.Node, l.Version, b.Node), "one node may not understand the other's configuration", "install the same version on both")
			}
		}
		j.projects(a, b)
	})
	if j.active == nil {
		return
	}
	for _, standby := range j.others(j.active) {
		j.features(standby)
		j.networks(standby)
	}
}

// samePassword returns how to copy the password to the other node. The configuration
// of the node that asks may not name its file.
func (j *judge) samePassword() string {
	if file := j.cfg.Keepalived.PasswordFile; file != "" {
		return "copy " + file + " to the other node"
	}
	return "name the same keepalived.password_file in " + j.file() + " on both nodes, and copy that file to the node that lacks it"
}

func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// configs compares the configurations.
func (j *judge) configs(a, b *Facts, add add) {
	if a.Config == nil || b.Config == nil {
		return
	}
	var bad, odd []string
	keys := append(sortedKeys(a.Config), sortedKeys(b.Config)...)
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		switch {
		case a.Config[key] == b.Config[key], slices.Contains(local, key):
		case slices.ContainsFunc(harmless, func(start string) bool { return strings.HasPrefix(key, start) }):
			odd = append(odd, key)
		default:
			bad = append(bad, key)
		}
	}
	fix := "copy " + j.file() + " to the other node; failover-notify config show, on both, shows the source of each value"
	if len(bad) > 0 {
		add("config", Error, fmt.Sprintf("the configurations of %s and %s differ: %s", a.Node, b.Node, list(bad)), "the nodes act differently in a failover", fix)
	}
	if len(odd) > 0 {
		add("config", Warning, fmt.Sprintf("the configurations of %s and %s differ: %s", a.Node, b.Node, list(odd)), "the nodes retain, or report, different things", fix)
	}
}

// projects compares the lists of projects.
func (j *judge) projects(a, b *Facts) {
	if a.Services == nil || b.Services == nil {
		return
	}
	names := func(f *Facts) []string {
		var list []string
		for _, p := range f.Services.Projects {
			list = append(list, p.Name)
		}
		return list
	}
	for _, two := range [][2]*Facts{{a, b}, {b, a}} {
		has, lacks := two[0], two[1]
		here := names(lacks)
		missing := slices.DeleteFunc(names(has), func(name string) bool { return slices.Contains(here, name) })
		if len(missing) > 0 {
			j.found.on(lacks.Node)("projects-differ", Error, "missing projects of "+has.Node+": "+list(missing), "they would not start after a failover", "git pull in "+j.cfg.Services.Directory+", or: image-sync")
		}
	}
}

// features compares the pool features that streams require.
func (j *judge) features(standby *Facts) {
	if j.active.ZFS == nil || standby.ZFS == nil {
		return
	}
	add := j.found.on(standby.Node)
	if older(minor(standby.ZFS.Module), minor(j.active.ZFS.Module)) && standby.ZFS.Module != "" {
		add("zfs-version", Warning, fmt.Sprintf("ZFS is %s here and %s on %s", standby.ZFS.Module, j.active.ZFS.Module, j.active.Node), "this node may be unable to receive the active node's streams", "install the same version")
	}
	for _, from := range j.active.ZFS.Pools {
		for _, to := range standby.ZFS.Pools {
			if len(j.active.ZFS.Pools) > 1 && from.Name != to.Name {
				continue // the destination of a pool is unknown
			}
			for _, feature := range sortedKeys(from.Features) {
				if from.Features[feature] == "active" && to.Features[feature] != "active" && to.Features[feature] != "enabled" {
					add("features", Error, fmt.Sprintf("pool %s lacks the feature %s, which is in use on %s", to.Name, feature, j.active.Node), "streams that use it can't be received", j.featureFix(standby, to, feature))
				}
			}
		}
	}
}

// featureFix returns how to enable a feature of a standby's pool. "zpool get" does not
// list features that its OpenZFS does not know; those can't be enabled.
func (j *judge) featureFix(standby *Facts, pool Pool, feature string) string {
	if _, known := pool.Features[feature]; !known {
		return fmt.Sprintf("install an OpenZFS on %s that has the feature, such as %s as on %s: %s lacks it", standby.Node,
			cmp.Or(j.active.ZFS.Module, "one"), j.active.Node, cmp.Or(standby.ZFS.Module, "its own"))
	}
	return fmt.Sprintf("zpool set feature@%s=enabled %s", feature, pool.Name)
}

// networks compares the networks that must exist before a project starts.
func (j *judge) networks(standby *Facts) {
	if j.active.Services == nil || standby.Services == nil || standby.Services.Engine != "" {
		return
	}
	add := j.found.on(standby.Node)
	for _, name := range sortedKeys(j.active.Services.Networks) {
		here, there := standby.Services.Networks[name], j.active.Services.Networks[name]
		driver, _ := strings.CutSuffix(there, optional)
		fix := fmt.Sprintf("docker network create -d %s %s, with its options on %s", driver, name, j.active.Node)
		switch {
		// A takeover creates missing networks, as plain bridges.
		case there == "" || here == there || here == "" && there == "bridge":
		case here == "" && driver == "bridge":
			add("network", Warning, fmt.Sprintf("network %s is missing, and has options on %s", name, j.active.Node), "a takeover creates it as a plain bridge", fix)
		case here == "":
			add("network", Error, fmt.Sprintf("network %s is missing, and has driver %s on %s", name, driver, j.active.Node), "a takeover creates a plain bridge of that name, which is another network", fix)
		case strings.TrimSuffix(here, optional) == driver:
			add("network", Warning, fmt.Sprintf("network %s has options on one node, and none on the other", name), "clients may not reach the services as before", "docker network rm "+name+"; "+fix)
		default:
			add("network", Error, fmt.Sprintf("network %s has driver %s here, and %s on %s", name, here, there, j.active.Node), "the services would be on another network", "docker network rm "+name+"; "+fix)
		}
	}
}
