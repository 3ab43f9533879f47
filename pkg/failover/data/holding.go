package data

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// properties are all that is looked at, in one listing.
var properties = []string{"type", "mounted", "mountpoint", "canmount", "readonly", "written", "keystatus", "keylocation",
	"encryptionroot", "receive_resume_token", "sharenfs", "sharesmb", zfs.StreamProperty, zfs.DemotedProperty, zfs.ContainerProperty}

// dataset is one filesystem or volume as the listing shows it.
type dataset struct {
	name       string
	kind       zfs.Type
	mounted    bool
	mountpoint string // a path, none or legacy
	canmount   zfs.Property
	readonly   zfs.Property
	stream     zfs.Property
	demoted    zfs.Property
	written    int64 // bytes since its newest snapshot
	container  bool
	shared     bool // by NFS or SMB, by ZFS's own properties
	keyNeeded  bool
	keyAt      string // keylocation of its encryption root
	keyRoot    string
	partial    bool // a receive into it has broken off
	unborn     bool // and it was the first one: there is no whole snapshot
}

func parse(name string, p map[string]zfs.Property) *dataset {
	written, _ := strconv.ParseInt(p["written"].Value, 10, 64) // "" where there is none
	return &dataset{
		name: name, kind: zfs.Type(p["type"].Value), mounted: p["mounted"].Value == "yes", mountpoint: p["mountpoint"].Value,
		canmount: p["canmount"], readonly: p["readonly"], stream: p[zfs.StreamProperty], demoted: p[zfs.DemotedProperty],
		written: written, container: p[zfs.ContainerProperty].Value == name,
		keyNeeded: p["keystatus"].Value == "unavailable", keyAt: p["keylocation"].Value, keyRoot: p["encryptionroot"].Value,
		shared:  shares(p["sharenfs"]) || shares(p["sharesmb"]),
		partial: p["receive_resume_token"].Value != "",
	}
}

func shares(p zfs.Property) bool { return p.Value != "" && p.Value != "off" }

func (d *dataset) volume() bool { return d.kind == zfs.Volume }

func (d *dataset) readOnly() bool { return d.readonly.Value == "on" }

// path is where it is mounted or would be, or "".
func (d *dataset) path() string {
	if !strings.HasPrefix(d.mountpoint, "/") {
		return ""
	}
	return filepath.Clean(d.mountpoint)
}

// given reports whether it was given up here and remembers how it was.
func (d *dataset) given() bool { return d.demoted.Local() != "" }

// replica reports whether it is as zfs-replicate receives datasets.
func (d *dataset) replica() bool {
	stream := d.stream.Local()
	return d.readonly.Local() == "on" && stream != "" && stream != zfs.NoStream
}

// holding is what this node has.
type holding struct {
	all     map[string]*dataset // also what is excluded, and containers
	mine    []*dataset          // the replicated ones, by name
	missing []string            // entries of the config that are not here
	frozen  []string            // entries in pools whose input and output is suspended
}

func (h *holding) owns(name string) bool {
	_, found := slices.BinarySearchFunc(h.mine, name, func(d *dataset, name string) int { return strings.Compare(d.name, name) })
	return found
}

// list asks ZFS once for everything. A pool that is suspended is not asked:
// that could take for ever.
func (d *Data) list(ctx context.Context) (*holding, error) {
	var roots []string
	for _, root := range d.candidates() {
		if !d.suspended(zfs.PoolOf(root)) {
			roots = append(roots, root)
		}
	}
	found, err := d.zfs.Properties(ctx, roots, properties...)
	if err != nil {
		return nil, err
	}
	h := &holding{all: map[string]*dataset{}}
	var partial []string
	for name, p := range found {
		h.all[name] = parse(name, p)
		if h.all[name].partial {
			partial = append(partial, name)
		}
	}
	newest, err := d.zfs.Newest(ctx, partial)
	if err != nil {
		return nil, err
	}
	for _, name := range partial {
		h.all[name].unborn = newest[name] == ""
	}
	d.sort(h)
	return h, nil
}

// sort finds out which of all are replicated.
func (d *Data) sort(h *holding) {
	mine := map[string]*dataset{}
	for _, entry := range d.cfg.Replication.Datasets {
		root := d.rootHere(entry, h.all)
		switch {
		case root == "" && (d.suspended(zfs.PoolOf(entry.Name)) || d.suspended(zfs.PoolOf(entry.TargetName()))):
			h.frozen = append(h.frozen, entry.Name)
		case root == "":
			h.missing = append(h.missing, entry.Name)
		default:
			for name, dataset := range h.all {
				if covers(entry, root, name) && !dataset.container {
					mine[name] = dataset
				}
			}
		}
	}
	h.mine = slices.SortedFunc(maps.Values(mine), func(a, b *dataset) int { return cmp.Compare(a.name, b.name) })
}

// suspended asks the kernel, which answers without touching the disks.
func (d *Data) suspended(pool string) bool {
	state, err := os.ReadFile(filepath.Join(d.Kstat, pool, "state"))
	return err == nil && strings.TrimSpace(string(state)) == "SUSPENDED"
}

// MissingError is an entry of the config that this node does not hold.
type MissingError struct{ Name string }

func (e *MissingError) Error() string { return fmt.Sprintf("dataset %s is not on this node", e.Name) }

// Hint says what to look at.
func (e *MissingError) Hint() string {
	return "see 'zfs list' and replication.datasets; a pool that is not imported comes back with 'zpool import'"
}

// SuspendedError is an entry of the config that lies in a pool that has lost
// its disks.
type SuspendedError struct{ Name string }

func (e *SuspendedError) Error() string {
	return fmt.Sprintf("dataset %s: input and output of pool %s is suspended", e.Name, zfs.PoolOf(e.Name))
}

// Hint says what to do.
func (e *SuspendedError) Hint() string {
	return "see 'zpool status'; bring the disks back, then 'zpool clear'"
}
