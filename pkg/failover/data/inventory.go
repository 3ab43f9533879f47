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

// properties are the properties that list reads, in one call.
var properties = []string{"type", "mounted", "mountpoint", "canmount", "readonly", "written", "keystatus", "keylocation",
	"encryptionroot", "receive_resume_token", "sharenfs", "sharesmb", zfs.StreamProperty, zfs.DemotedProperty, zfs.ContainerProperty}

// dataset is one filesystem or volume as listed.
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
	keyAt      string // its own keylocation
	keyRoot    string
	partial    bool // it has a partial receive
	incomplete bool // and no complete snapshot: that was its first receive
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

// path returns its mountpoint, or "" if that is none or legacy.
func (d *dataset) path() string {
	if !strings.HasPrefix(d.mountpoint, "/") {
		return ""
	}
	return filepath.Clean(d.mountpoint)
}

// released reports whether it was released here and stores its earlier properties.
func (d *dataset) released() bool { return d.demoted.Local() != "" }

// replica reports whether it is in the state in which zfs-replicate receives datasets.
func (d *dataset) replica() bool {
	stream := d.stream.Local()
	return d.readonly.Local() == "on" && stream != "" && stream != zfs.NoStream
}

// inventory holds this node's datasets.
type inventory struct {
	all        map[string]*dataset // with excluded ones and containers
	replicated []*dataset          // sorted by name
	missing    []string            // configured datasets that this node does not have
	suspended  []string            // configured datasets in suspended pools
}

func (h *inventory) replicates(name string) bool {
	_, found := slices.BinarySearchFunc(h.replicated, name, func(d *dataset, name string) int { return strings.Compare(d.name, name) })
	return found
}

// list lists the datasets with all properties in one call. It leaves out suspended
// pools, whose answer could take forever.
func (d *Data) list(ctx context.Context) (*inventory, error) {
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
	h := &inventory{all: map[string]*dataset{}}
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
		h.all[name].incomplete = newest[name] == ""
	}
	d.sort(h)
	return h, nil
}

// sort finds the replicated datasets, the missing and the suspended ones.
func (d *Data) sort(h *inventory) {
	mine := map[string]*dataset{}
	for _, entry := range d.cfg.Replication.Datasets {
		root := d.localRoot(entry, h.all)
		switch {
		case root == "" && (d.suspended(zfs.PoolOf(entry.Name)) || d.suspended(zfs.PoolOf(entry.TargetName()))):
			h.suspended = append(h.suspended, entry.Name)
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
	h.replicated = slices.SortedFunc(maps.Values(mine), func(a, b *dataset) int { return cmp.Compare(a.name, b.name) })
}

// suspended reports whether a pool is suspended. The kernel knows without disk access.
func (d *Data) suspended(pool string) bool {
	state, err := os.ReadFile(filepath.Join(d.Kstat, pool, "state"))
	return err == nil && strings.TrimSpace(string(state)) == "SUSPENDED"
}

// MissingError is a configured dataset that this node does not have.
type MissingError struct{ Name string }

func (e *MissingError) Error() string { return fmt.Sprintf("dataset %s is not on this node", e.Name) }

// Hint says where to look.
func (e *MissingError) Hint() string {
	return "see 'zfs list' and replication.datasets; import a missing pool with 'zpool import'"
}

// SuspendedError is a configured dataset in a pool that has lost its disks.
type SuspendedError struct{ Name string }

func (e *SuspendedError) Error() string {
	return fmt.Sprintf("dataset %s: I/O of pool %s is suspended", e.Name, zfs.PoolOf(e.Name))
}

// Hint says what to do.
func (e *SuspendedError) Hint() string {
	return "see 'zpool status'; reconnect the disks, then 'zpool clear'"
}
