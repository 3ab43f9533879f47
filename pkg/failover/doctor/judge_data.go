package doctor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/failover/rules"
	"github.com/understudy-ha/understudy/pkg/report"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Limits for the used capacity of a pool, in percent.
const (
	nearlyFull = 90
	full       = 97
)

// needed holds the permissions of the user who receives.
var needed = []string{"create", "receive", "mount", "destroy", "rename", "readonly", "canmount", "userprop"}

// zfs judges a node's OpenZFS, pools and datasets.
func (j *judge) zfs(f *Facts, add add) {
	z := f.ZFS
	if z == nil {
		return
	}
	if z.Module != "" && z.Version != "" && z.Module != z.Version {
		add("zfs-version", Warning, fmt.Sprintf("ZFS's programs have version %s, its kernel module has %s", z.Version, z.Module), "the programs may use features that the module lacks", "reboot into the kernel with the new module, or: apt install --reinstall zfs-dkms")
	}
	for _, p := range z.Pools {
		switch {
		case p.Health == "DEGRADED":
			add("pool", Warning, "pool "+p.Name+" is DEGRADED", "the next failing disk can destroy the data", "zpool status "+p.Name)
		case p.Health != "" && p.Health != "ONLINE":
			add("pool", Error, "pool "+p.Name+" is "+p.Health, "its data can't be taken over or received", "zpool status "+p.Name+"; then: zpool clear "+p.Name)
		}
		switch {
		case p.Percent >= full:
			add("space", Error, fmt.Sprintf("pool %s is %d %% full", p.Name, p.Percent), "receiving and writing stop", "zfs list -r -t all -o name,used -s used "+p.Name)
		case p.Percent >= nearlyFull:
			add("space", Warning, fmt.Sprintf("pool %s is %d %% full", p.Name, p.Percent), "it becomes slow, and receiving will stop", "zfs list -r -t all -o name,used -s used "+p.Name)
		}
	}
	for _, root := range sortedKeys(z.Allowed) {
		missing := slices.DeleteFunc(slices.Clone(needed), func(p string) bool { return slices.Contains(z.Allowed[root], p) })
		if len(missing) > 0 {
			add("zfs-allow", Error, fmt.Sprintf("user %s lacks %s on %s", j.cfg.SSH.User, strings.Join(missing, ","), root), "nothing can be received", fmt.Sprintf("zfs allow %s %s %s", j.cfg.SSH.User, strings.Join(missing, ","), root))
		}
	}
	for i := range z.Datasets {
		j.dataset(f, &z.Datasets[i], add)
	}
	j.excluded()
}

// dataset judges one dataset.
func (j *judge) dataset(f *Facts, d *Dataset, add add) {
	if d.Missing {
		why, fix := "projects that use it do not start", "zfs list; zpool import"
		if j.standby(f) {
			why, fix = "the standby lacks its data", "on "+j.active.Node+": zfs-replicate run"
		}
		add("dataset", Error, "dataset "+d.Name+" is missing", why, fix)
		return
	}
	if f == j.active {
		switch {
		case d.KeyNeeded:
			add("key", Error, "the key of "+d.Name+" is not loaded on the active node", "its data can't be used", "zfs load-key "+d.Name+"; zfs mount "+d.Name)
		case !d.Writable && (d.Replica || d.Demoted):
			add("dataset", Error, "dataset "+d.Name+" is read-only on the active node", "services that write to it fail", "failover-notify status --transition shows the reason; then: failover-notify master")
		}
		return
	}
	if d.KeyNeeded && (d.KeyAt == "prompt" || d.KeyGone) {
		add("key", Error, "the key of "+d.Name+" is not loaded, and there is no file to load it from", "a takeover can't mount it",
			"put the key into a file, the same on both nodes: zfs set keylocation=file:///etc/understudy/"+zfs.PoolOf(d.Name)+".key "+d.Name)
	}
	if !j.standby(f) {
		return
	}
	switch {
	case d.Writable:
		add("replica", Error, "dataset "+d.Name+" is writable on a standby", "a write to it makes the next replication a conflict", "zfs set readonly=on "+d.Name)
	case d.Replica && d.Written > 0:
		add("replica", Error, fmt.Sprintf("dataset %s was written to on the standby (%s since its newest snapshot)", d.Name, report.Bytes(d.Written)), "replication skips it, so it becomes stale", "on this node: zfs-replicate rejoin, which preserves the changes")
	}
	if d.Mounted {
		add("replica-mounted", Warning, "dataset "+d.Name+" is mounted on a standby", "programs read stale data from it, and can block a takeover", "zfs unmount "+d.Name)
	}
	if d.MountsAtBoot && d.Replica {
		add("replica-canmount", Warning, "dataset "+d.Name+" has canmount=on on a standby", "the next boot mounts it", "zfs set canmount=noauto "+d.Name)
	}
}

// excluded judges excluded datasets: one that no node has is probably misspelled, and
// the intended dataset is replicated.
func (j *judge) excluded() {
	here := map[string]bool{}
	for _, f := range j.nodes {
		if f.ZFS == nil {
			return
		}
		for _, name := range f.ZFS.Excluded {
			here[name] = true
		}
	}
	for _, entry := range j.cfg.Replication.Datasets {
		for _, name := range entry.Exclude {
			if !here[name] {
				j.found.on("")("exclude", Warning, "replication.datasets excludes "+name+", which no node has", "the intended dataset may be replicated", "zfs list -r "+zfs.Parent(name)+"; correct it in "+j.file())
			}
		}
	}
}

// replication judges the age of the replicas.
func (j *judge) replication() {
	if j.active == nil || len(j.cfg.Replication.Datasets) == 0 || j.active.Status == nil || j.active.Status.Replication == nil {
		return
	}
	add := j.found.on(j.active.Node)
	now := j.active.Time
	for _, node := range j.cfg.Nodes {
		if node.Name == j.active.Node {
			continue
		}
		at := slices.IndexFunc(j.active.Status.Replication.Sent, func(s rules.Sent) bool { return s.Node == node.Name })
		if at < 0 || j.active.Status.Replication.Sent[at].LastSuccess.IsZero() {
			what := "nothing has been sent to " + node.Name + " yet"
			if at >= 0 && j.active.Status.Replication.Sent[at].Error != "" {
				what += ": " + j.active.Status.Replication.Sent[at].Error
			}
			add("lag", Error, what, "all data of this node is at risk", "zfs-replicate run")
			continue
		}
		s := j.active.Status.Replication.Sent[at]
		age := now.Sub(s.LastSuccess)
		old := fmt.Sprintf("the last complete replication to %s was %s ago", node.Name, report.Duration(age))
		switch {
		case len(s.Conflicts) > 0:
			add("replication", Error, fmt.Sprintf("%s and %s both have unreplicated changes in %s", j.active.Node, node.Name, strings.Join(slices.Sorted(maps.Keys(s.Conflicts)), ", ")),
				"replication touches neither, and each lacks the other's changes", "zfs-replicate rejoin on "+node.Name+", or failover-notify resolve --keep NODE; both preserve everything")
		case age > j.cfg.Lag.Critical:
			add("lag", Error, old, "later writes are at risk", "zfs-replicate run; check that it is scheduled")
		case s.LastRun.After(s.LastSuccess):
			why := s.Error
			if why == "" {
				why = "some datasets failed"
			}
			add("replication", Error, "the last replication to "+node.Name+" failed: "+why, "later writes are at risk", "zfs-replicate status; zfs-replicate run")
		case age > j.cfg.Lag.Warning:
			add("lag", Warning, old, "later writes are at risk", "zfs-replicate run; check that it is scheduled")
		}
	}
}

// space judges whether standbys have space for the next streams.
func (j *judge) space() {
	if j.active == nil || j.active.ZFS == nil {
		return
	}
	for _, f := range j.others(j.active) {
		if f.ZFS != nil {
			j.spaceOn(f, j.found.on(f.Node))
		}
	}
}

func (j *judge) spaceOn(f *Facts, add add) {
	here, free := map[string]*Dataset{}, map[string]int64{}
	for i := range f.ZFS.Datasets {
		d := &f.ZFS.Datasets[i]
		here[d.Source] = d
		free[zfs.PoolOf(d.Name)] = max(free[zfs.PoolOf(d.Name)], d.Available)
	}
	var largest, over int64
	name := ""
	var absent []string
	for i := range j.active.ZFS.Datasets {
		d := &j.active.ZFS.Datasets[i]
		there := here[d.Source]
		if there == nil && !d.Missing && !lacks(f, d.Source) {
			absent = append(absent, d.Name)
		}
		if there == nil || there.Missing {
			continue
		}
		if d.Written > there.Available {
			add("space", Error, fmt.Sprintf("%s has space for %s, but %s were written on %s", there.Name, report.Bytes(there.Available), report.Bytes(d.Written), j.active.Node), "there is no space for the next increment", "free space: zfs list -t snapshot -o name,used -s used -r "+there.Name)
		}
		if own := d.Used; own > largest && own > free[zfs.PoolOf(there.Name)] && leaf(j.active.ZFS.Datasets, d) {
			largest, over, name = own, free[zfs.PoolOf(there.Name)], there.Name
		}
	}
	if len(absent) > 0 {
		add("dataset", Error, "datasets not received yet: "+list(absent), "the standby lacks their data", "on "+j.active.Node+": zfs-replicate run")
	}
	if name != "" {
		add("space-full", Warning, fmt.Sprintf("no space to receive %s again (%s, %s free)", name, report.Bytes(largest), report.Bytes(over)), "without a common snapshot, it can't be received next to the present replica", "free space, or add disks to the pool")
	}
}

// lacks reports whether a node is known to lack a dataset, or one above it.
func lacks(f *Facts, source string) bool {
	return slices.ContainsFunc(f.ZFS.Datasets, func(d Dataset) bool { return d.Missing && zfs.Within(source, d.Source) })
}

// leaf reports whether a dataset has no datasets below it.
func leaf(all []Dataset, d *Dataset) bool {
	return !slices.ContainsFunc(all, func(o Dataset) bool { return strings.HasPrefix(o.Name, d.Name+"/") })
}
