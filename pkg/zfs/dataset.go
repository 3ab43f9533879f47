package zfs

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Type is the type of a dataset.
type Type string

// The types of datasets that are replicated.
const (
	Filesystem Type = "filesystem"
	Volume     Type = "volume"
)

// StreamProperty is the user property in which a replica stores the send flags of
// its streams: toggling them between runs can corrupt files (openzfs/zfs#6224).
// NoStream stands for none.
const StreamProperty = "understudy:stream"

// ContainerProperty marks a standby's own pool root. The content of the active
// node's pool root lies in a dataset below it, because a pool root can't be received
// into. Its value is the dataset's own name: datasets below inherit the property,
// but are no containers.
const ContainerProperty = "understudy:container"

// Dataset is a filesystem or volume as "zfs list" shows it. Sizes are bytes.
type Dataset struct {
	Name           string `json:"name"`
	Type           Type   `json:"type"`
	GUID           GUID   `json:"guid"`
	CreateTXG      uint64 `json:"createtxg"`
	Written        int64  `json:"written"` // since its newest snapshot
	Used           int64  `json:"used"`
	Available      int64  `json:"available"`
	Referenced     int64  `json:"referenced"`
	Origin         string `json:"origin,omitempty"` // snapshot that the dataset is a clone of
	Encrypted      bool   `json:"encrypted,omitempty"`
	KeyStatus      string `json:"keystatus,omitempty"`
	ReadOnly       bool   `json:"readonly,omitempty"`
	CanMount       string `json:"canmount,omitempty"`
	Mounted        bool   `json:"mounted,omitempty"`
	Mountpoint     string `json:"mountpoint,omitempty"`
	Compression    string `json:"compression,omitempty"`
	ResumeToken    string `json:"resume_token,omitempty"`    // of a partial receive
	StreamFlags    string `json:"stream_flags,omitempty"`    // value of StreamProperty
	Container      bool   `json:"container,omitempty"`       // marked by ContainerProperty
	Snapshots      []Snap `json:"-"`                         // by createtxg, oldest first
	EncryptionRoot string `json:"encryption_root,omitempty"` // dataset that holds the key
}

// Replica reports whether zfs-replicate receives into the dataset. A dataset stops
// being a replica when it is made writable.
func (d *Dataset) Replica() bool { return d.ReadOnly && d.StreamFlags != "" }

// Snap is a snapshot or a bookmark of a dataset. Two snapshots are the same
// data when their GUIDs are equal, whatever their names.
type Snap struct {
	Name      string `json:"n"` // the part after @ or #
	GUID      GUID   `json:"g"`
	CreateTXG uint64 `json:"t"`
	Clones    int    `json:"c,omitempty"`
	Bookmark  bool   `json:"b,omitempty"`
}

// Full returns the full name of the snapshot or bookmark on a dataset.
func (s Snap) Full(dataset string) string {
	if s.Bookmark {
		return dataset + "#" + s.Name
	}
	return dataset + "@" + s.Name
}

// Root is a dataset to list, alone or with all datasets below it.
type Root struct {
	Name      string `json:"name"`
	Recursive bool   `json:"recursive"`
}

const datasetColumns = "name,type,guid,createtxg,written,used,available,referenced,origin," +
	"encryption,keystatus,encryptionroot,readonly,canmount,mounted,mountpoint,compression," +
	"receive_resume_token," + StreamProperty + "," + ContainerProperty

// Datasets lists filesystems and volumes with their snapshots and bookmarks,
// in the order of their names (parents first). Roots that do not exist are
// left out. It costs two processes, or four when some roots are recursive and
// some are not.
func (z *ZFS) Datasets(ctx context.Context, roots []Root) ([]Dataset, error) {
	return z.datasets(ctx, roots, "snapshot,bookmark")
}

// DatasetsBare is Datasets without bookmarks, which only a sender needs.
func (z *ZFS) DatasetsBare(ctx context.Context, roots []Root) ([]Dataset, error) {
	return z.datasets(ctx, roots, "snapshot")
}

func (z *ZFS) datasets(ctx context.Context, roots []Root, kinds string) ([]Dataset, error) {
	return listRoots(roots, func(names []string, recursive bool) ([]Dataset, error) {
		datasets, err := z.listDatasets(ctx, names, recursive)
		if err != nil || len(datasets) == 0 {
			return nil, err
		}
		snaps, err := z.listSnapshots(ctx, kinds, names, recursive)
		if err != nil {
			return nil, err
		}
		snaps.addTo(datasets)
		return datasets, nil
	})
}

// listRoots lists the recursive roots in one call and the others in another. It
// returns each dataset once, in the order of their names.
func listRoots(roots []Root, list func(names []string, recursive bool) ([]Dataset, error)) ([]Dataset, error) {
	var all []Dataset
	for _, recursive := range []bool{true, false} {
		var names []string
		for _, root := range roots {
			if root.Recursive == recursive {
				names = append(names, root.Name)
			}
		}
		if len(names) == 0 {
			continue
		}
		datasets, err := list(names, recursive)
		if err != nil {
			return nil, err
		}
		all = append(all, datasets...)
	}
	slices.SortFunc(all, func(a, b Dataset) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(all, func(a, b Dataset) bool { return a.Name == b.Name }), nil
}

func depth(recursive bool, alone string) []string {
	if recursive {
		return []string{"-r"}
	}
	return []string{"-d", alone}
}

func (z *ZFS) listDatasets(ctx context.Context, names []string, recursive bool) ([]Dataset, error) {
	argv := append([]string{"zfs", "list", "-H", "-p", "-o", datasetColumns, "-t", "filesystem,volume"}, depth(recursive, "0")...)
	rows, err := z.table(ctx, append(argv, names...))
	if err != nil {
		return nil, fmt.Errorf("list datasets of %s: %w", strings.Join(names, ", "), err)
	}
	datasets := make([]Dataset, 0, len(rows))
	for _, row := range rows {
		d, err := parseDataset(row)
		if err != nil {
			return nil, err
		}
		datasets = append(datasets, d)
	}
	return datasets, nil
}

func parseDataset(row []string) (Dataset, error) {
	if want := strings.Count(datasetColumns, ",") + 1; len(row) != want {
		return Dataset{}, fmt.Errorf("parse zfs list: %d columns instead of %d in %q", len(row), want, strings.Join(row, "\t"))
	}
	d := Dataset{
		Name: row[0], Type: Type(row[1]), Origin: unset(row[8]),
		Encrypted: row[9] != "off" && row[9] != "-", KeyStatus: unset(row[10]), EncryptionRoot: unset(row[11]),
		ReadOnly: row[12] == "on", CanMount: unset(row[13]), Mounted: row[14] == "yes", Mountpoint: unset(row[15]),
		Compression: unset(row[16]), ResumeToken: unset(row[17]), StreamFlags: unset(row[18]),
		Container: row[19] == row[0],
	}
	if d.StreamFlags == NoStream {
		d.StreamFlags = ""
	}
	var err error
	if d.GUID, err = ParseGUID(row[2]); err != nil {
		return Dataset{}, fmt.Errorf("parse zfs list: %s: %w", d.Name, err)
	}
	if d.CreateTXG, err = strconv.ParseUint(row[3], 10, 64); err != nil {
		return Dataset{}, fmt.Errorf("parse zfs list: %s: %w", d.Name, err)
	}
	for column, to := range map[int]*int64{4: &d.Written, 5: &d.Used, 6: &d.Available, 7: &d.Referenced} {
		if unset(row[column]) == "" {
			continue
		}
		if *to, err = strconv.ParseInt(row[column], 10, 64); err != nil {
			return Dataset{}, fmt.Errorf("parse zfs list: %s: %w", d.Name, err)
		}
	}
	return d, nil
}

// unset turns the "-" that zfs prints for a property without a value into "".
func unset(value string) string {
	if value == "-" {
		return ""
	}
	return value
}

// Parent returns the dataset above, or "" for a pool's root.
func Parent(name string) string {
	if slash := strings.LastIndexByte(name, '/'); slash >= 0 {
		return name[:slash]
	}
	return ""
}

// PoolOf returns the first component of a dataset's name.
func PoolOf(name string) string {
	pool, _, _ := strings.Cut(name, "/")
	return pool
}

// Within reports whether name is root or lies below it.
func Within(name, root string) bool {
	return name == root || strings.HasPrefix(name, root+"/")
}

// DatasetOf returns the dataset of a snapshot's full name.
func DatasetOf(snapshot string) string {
	name, _, _ := strings.Cut(snapshot, "@")
	return name
}

// SnapshotOf returns the part of a snapshot's full name after the @.
func SnapshotOf(full string) string {
	_, name, _ := strings.Cut(full, "@")
	return name
}

// OnlySnapshots returns the snapshots without the bookmarks, oldest first.
func (d *Dataset) OnlySnapshots() []Snap {
	snaps := make([]Snap, 0, len(d.Snapshots))
	for _, snap := range d.Snapshots {
		if !snap.Bookmark {
			snaps = append(snaps, snap)
		}
	}
	return snaps
}

// Newest returns the newest snapshot; bookmarks do not count.
func (d *Dataset) Newest() (Snap, bool) {
	for _, snap := range slices.Backward(d.Snapshots) {
		if !snap.Bookmark {
			return snap, true
		}
	}
	return Snap{}, false
}

// Find returns the first snapshot that matches; bookmarks do not count.
func (d *Dataset) Find(match func(Snap) bool) (Snap, bool) {
	for _, snap := range d.Snapshots {
		if !snap.Bookmark && match(snap) {
			return snap, true
		}
	}
	return Snap{}, false
}

// WithGUID returns the snapshot with a guid; bookmarks do not count.
func (d *Dataset) WithGUID(guid GUID) (Snap, bool) {
	return d.Find(func(s Snap) bool { return s.GUID == guid })
}
