package config

import (
	"fmt"
	"path/filepath"
	"strings"
)

func (k checker) replication() {
	r := k.config.Replication
	if !isSnapshotPrefix(r.Prefix) {
		k.bad("replication.prefix", "%q is not the start of a snapshot name: letters, digits, '_', '.', ':' and '-'", r.Prefix)
	}
	if r.Keep.Last < 1 {
		k.bad("replication.keep.last", "must be at least 1: the newest snapshot is what the next run starts from")
	}
	if _, given := k.config.sources["replication.keep_on_standby.last"]; given && r.KeepOnStandby.Last < 1 {
		k.bad("replication.keep_on_standby.last", "must be at least 1: the newest snapshot is what the next run starts from")
	}
	k.hook("replication.pre_snapshot", r.PreSnapshot)
	k.hook("replication.post_snapshot", r.PostSnapshot)

	for i, d := range r.Datasets {
		k.dataset(fmt.Sprintf("replication.datasets[%d]", i), d)
	}
	for i, d := range r.Datasets {
		for j, other := range r.Datasets[:i] {
			k.pair(fmt.Sprintf("replication.datasets[%d]", i), d, fmt.Sprintf("replication.datasets[%d]", j), other)
		}
	}
	k.localTargets()
}

func (k checker) hook(path string, h Hook) {
	if len(h.Command) == 0 {
		return
	}
	if program := h.Command[0]; program == "" || strings.Contains(program, "/") && !filepath.IsAbs(program) {
		k.bad(path+".command", "%q is neither an absolute path nor the name of a program", program)
	}
}

// dataset checks one dataset by itself.
func (k checker) dataset(path string, d Dataset) {
	if d.Name == "" {
		k.bad(path+".name", "is missing")
		return
	}
	if fault := datasetFault(d.Name); fault != "" {
		k.bad(path+".name", "%q is not a dataset name: %s", d.Name, fault)
		return
	}
	if fault := datasetFault(d.Target); d.Target != "" && fault != "" {
		k.bad(path+".target", "%q is not a dataset name: %s", d.Target, fault)
	}
	for i, e := range d.Exclude {
		at := fmt.Sprintf("%s.exclude[%d]", path, i)
		switch {
		case datasetFault(e) != "":
			k.bad(at, "%q is not a dataset name: %s", e, datasetFault(e))
		case !strings.HasPrefix(e, d.Name+"/"):
			k.bad(at, "%q is not below %s", e, d.Name)
		case !d.Recursive:
			k.bad(at, "%q is not taken anyway, since recursive is false", e)
		}
	}
}

// pair checks that two datasets do not overlap, here or on the standby.
func (k checker) pair(path string, d Dataset, otherPath string, other Dataset) {
	if d.Name == "" || other.Name == "" {
		return
	}
	switch {
	case d.Name == other.Name:
		k.bad(path+".name", "%q is %s already", d.Name, otherPath)
		return
	case other.Covers(d.Name):
		k.bad(path+".name", "%q is part of %s (%s) already; exclude it there or remove it here", d.Name, otherPath, other.Name)
		return
	case d.Covers(other.Name):
		k.bad(path+".name", "%q has %s (%s) in it already; exclude that here or remove it there", d.Name, otherPath, other.Name)
		return
	}
	if overlap(d, other) || overlap(other, d) {
		k.bad(path+".target", "%q and the target of %s, %q, are the same dataset or one within the other", d.TargetName(), otherPath, other.TargetName())
	}
}

// overlap reports whether the target of inner is, or lies in, what outer
// writes on the standby.
func overlap(outer, inner Dataset) bool {
	if outer.TargetName() == inner.TargetName() {
		return true
	}
	below, within := strings.CutPrefix(inner.TargetName(), outer.TargetName()+"/")
	return within && outer.Covers(outer.Name+"/"+below)
}

// Covers reports whether the dataset of that name is part of d: d itself, or
// below it when d is recursive, and not excluded.
func (d Dataset) Covers(name string) bool {
	if name == d.Name {
		return true
	}
	if !d.Recursive || !strings.HasPrefix(name, d.Name+"/") {
		return false
	}
	for _, e := range d.Exclude {
		if name == e || strings.HasPrefix(name, e+"/") {
			return false
		}
	}
	return true
}

// localTargets checks that replication on one machine does not write into
// what it reads.
func (k checker) localTargets() {
	local := ""
	for _, n := range k.config.Nodes {
		if n.Local {
			local = n.Name
		}
	}
	if local == "" {
		return
	}
	datasets := k.config.Replication.Datasets
	for i, d := range datasets {
		path := fmt.Sprintf("replication.datasets[%d].target", i)
		if d.Target == "" {
			k.bad(path, "is missing: node %s is local, so %q needs another name there", local, d.Name)
			continue
		}
		for _, read := range datasets {
			if read.Covers(d.Target) || strings.HasPrefix(read.Name, d.Target+"/") {
				k.bad(path, "%q overlaps with %s, which is read on the same machine (node %s is local)", d.Target, read.Name, local)
				break
			}
		}
	}
}

// datasetFault says why ZFS would refuse a filesystem or volume of that name,
// or returns "" for a legal one. The rules are those of entity_namecheck and
// pool_namecheck in OpenZFS's zfs_namecheck.c, and '%', which ZFS keeps for
// itself.
func datasetFault(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > 255:
		return "it is longer than 255 bytes"
	}
	for i := range len(name) {
		c := name[i]
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && !strings.ContainsRune("-_.: /", rune(c)) {
			if c == '@' || c == '#' {
				return "it names a snapshot or bookmark"
			}
			return fmt.Sprintf("%q is not allowed in it", []rune(name[i:])[0])
		}
	}
	components := strings.Split(name, "/")
	for _, c := range components {
		switch c {
		case "":
			return "a '/' stands at an end or beside another"
		case ".", "..":
			return "a part of it is " + c
		}
	}
	pool := components[0]
	if c := pool[0] | 0x20; c < 'a' || c > 'z' {
		return "the pool's name must begin with a letter"
	}
	for _, reserved := range []string{"mirror", "raidz", "draid", "spare", "log"} {
		if pool == reserved || reserved != "log" && strings.HasPrefix(pool, reserved) {
			return fmt.Sprintf("a pool can't be called %q", pool)
		}
	}
	return ""
}
