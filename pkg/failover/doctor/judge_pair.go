package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// local are keys that may differ from node to node.
var local = []string{"node", "interface", "log_file", "state_dir", "run_dir", "ssh.identity_file", "ssh.known_hosts_file", "services.socket",
	"keepalived.file", "keepalived.programs", "keepalived.password_file", "metrics.textfile_dir", "notify.urls_file", "heartbeat.urls_file"}

// harmless are keys in which a difference makes no failover fail.
var harmless = []string{"lag.", "notify.", "heartbeat.", "metrics.", "images.", "replication.keep", "replication.bandwidth", "replication.parallel", "replication.timeouts."}

// pairs judges what must be the same on both of two nodes.
func (j *judging) pairs() {
	j.both(func(a, b *Facts) {
		add := j.found.on("")
		names := a.Node + " and " + b.Node
		if a.Release != b.Release {
			add("release", Warning, fmt.Sprintf("understudy is %s on %s and %s on %s", a.Release, a.Node, b.Release, b.Node), "they may not understand each other", "install the same one on both")
		}
		j.configs(a, b, add)
		if k, l := a.Keepalived, b.Keepalived; k != nil && l != nil {
			if k.Password != l.Password {
				add("password", Error, "keepalived's passwords on "+names+" differ", "the nodes don't hear each other, so both take the address", j.samePassword()+", and write keepalived's configuration again there")
			}
			if minor(k.Version) != minor(l.Version) && k.Version != "" && l.Version != "" {
				add("keepalived-version", Warning, fmt.Sprintf("keepalived is %s on %s and %s on %s", k.Version, a.Node, l.Version, b.Node), "what one's configuration can say the other may not know", "install the same one on both")
			}
		}
		j.projects(a, b, add)
	})
	if j.active == nil {
		return
	}
	for _, standby := range j.others(j.active) {
		j.features(standby)
		j.networks(standby)
	}
}

// samePassword is how the other node gets this node's password: which file it is in,
// the one who asks may not know.
func (j *judging) samePassword() string {
	if file := j.cfg.Keepalived.PasswordFile; file != "" {
		return "copy " + file + " to the other node"
	}
	return "name the same keepalived.password_file in " + j.file() + " on both nodes, copy that file from the one that has it to the other"
}

func minor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// configs compares the configurations.
func (j *judging) configs(a, b *Facts, add add) {
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
	fix := "copy " + j.file() + " to the other node; failover-notify config show, on both, tells where a value comes from"
	if len(bad) > 0 {
		add("config", Error, fmt.Sprintf("the configurations of %s and %s differ: %s", a.Node, b.Node, list(bad)), "a failover does on one node what the other does not expect", fix)
	}
	if len(odd) > 0 {
		add("config", Warning, fmt.Sprintf("the configurations of %s and %s differ: %s", a.Node, b.Node, list(odd)), "the nodes keep, or tell, different things", fix)
	}
}

// projects compares which projects there are.
func (j *judging) projects(a, b *Facts, add add) {
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
			j.found.on(lacks.Node)("projects-differ", Error, "projects of "+has.Node+" are not here: "+list(missing), "they would not be started after a failover", "git pull in "+j.cfg.Services.Directory+", or: image-sync")
		}
	}
}

// features compares what streams may need.
func (j *judging) features(standby *Facts) {
	if j.active.ZFS == nil || standby.ZFS == nil {
		return
	}
	add := j.found.on(standby.Node)
	if older(minor(standby.ZFS.Module), minor(j.active.ZFS.Module)) && standby.ZFS.Module != "" {
		add("zfs-version", Warning, fmt.Sprintf("ZFS is %s here and %s on %s", standby.ZFS.Module, j.active.ZFS.Module, j.active.Node), "it may not be able to receive what that one sends", "install the same version")
	}
	for _, from := range j.active.ZFS.Pools {
		for _, to := range standby.ZFS.Pools {
			if len(j.active.ZFS.Pools) > 1 && from.Name != to.Name {
				continue // which goes where is not known
			}
			for _, feature := range sortedKeys(from.Features) {
				if from.Features[feature] == "active" && to.Features[feature] != "active" && to.Features[feature] != "enabled" {
					add("features", Error, fmt.Sprintf("pool %s does not have the feature %s, which is in use on %s", to.Name, feature, j.active.Node), "streams that use it can't be received", j.enables(standby, to, feature))
				}
			}
		}
	}
}

// enables is how a pool of a standby comes to a feature. What its OpenZFS does not know,
// "zpool get" does not list, and can't be enabled.
func (j *judging) enables(standby *Facts, pool Pool, feature string) string {
	if _, known := pool.Features[feature]; !known {
		return fmt.Sprintf("install an OpenZFS on %s that knows it, such as the %s of %s: %s does not", standby.Node,
			cmp.Or(j.active.ZFS.Module, "one"), j.active.Node, cmp.Or(standby.ZFS.Module, "its own"))
	}
	return fmt.Sprintf("zpool set feature@%s=enabled %s", feature, pool.Name)
}

// networks compares the networks that must be there before a project starts.
func (j *judging) networks(standby *Facts) {
	if j.active.Services == nil || standby.Services == nil || standby.Services.Engine != "" {
		return
	}
	add := j.found.on(standby.Node)
	for _, name := range sortedKeys(j.active.Services.Networks) {
		here, there := standby.Services.Networks[name], j.active.Services.Networks[name]
		driver, _ := strings.CutSuffix(there, optional)
		fix := fmt.Sprintf("docker network create -d %s %s, with the options that it has on %s", driver, name, j.active.Node)
		switch {
		// A takeover makes those that are missing, as plain bridges.
		case there == "" || here == there || here == "" && there == "bridge":
		case here == "" && driver == "bridge":
			add("network", Warning, fmt.Sprintf("network %s is not here, and has options on %s", name, j.active.Node), "a takeover makes it, as a plain bridge", fix)
		case here == "":
			add("network", Error, fmt.Sprintf("network %s is not here, and is of driver %s on %s", name, driver, j.active.Node), "a takeover makes a plain bridge of that name, and the services are on another network", fix)
		case strings.TrimSuffix(here, optional) == driver:
			add("network", Warning, fmt.Sprintf("network %s has options on one node, and none on the other", name), "the services may not be reached as they were", "docker network rm "+name+"; "+fix)
		default:
			add("network", Error, fmt.Sprintf("network %s is of driver %s here, and %s on %s", name, here, there, j.active.Node), "the services would be on another network", "docker network rm "+name+"; "+fix)
		}
	}
}
