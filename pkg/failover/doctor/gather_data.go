package doctor

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// streamed holds the pool features that streams can require of the receiver.
var streamed = []string{"bookmark_v2", "embedded_data", "encryption", "large_blocks", "large_dnode", "large_microzap", "longname", "lz4_compress", "zstd_compress"}

// zfsFacts returns the replicated datasets and their pools.
func (d *Doctor) zfsFacts(ctx context.Context) (ZFS, error) {
	var z ZFS
	said, err := d.output(ctx, "zfs", "version")
	if err != nil {
		return z, err
	}
	for _, word := range strings.Fields(said) {
		if module, ok := strings.CutPrefix(word, "zfs-kmod-"); ok {
			z.Module, _, _ = strings.Cut(module, "-")
		} else if program, ok := strings.CutPrefix(word, "zfs-"); ok {
			z.Version, _, _ = strings.Cut(program, "-")
		}
	}
	if err := d.datasets(ctx, &z); err != nil {
		return z, err
	}
	pools := map[string]bool{}
	for _, one := range z.Datasets {
		if !one.Missing {
			pools[zfs.PoolOf(one.Name)] = true
		}
	}
	for _, name := range sortedKeys(pools) {
		pool, err := d.pool(ctx, name)
		if err != nil {
			return z, err
		}
		z.Pools = append(z.Pools, pool)
	}
	return z, d.allowed(ctx, &z)
}

func (d *Doctor) output(ctx context.Context, argv ...string) (string, error) {
	out, err := d.Node.Runner.Output(ctx, d.Patience, argv...)
	return string(out), err
}

// datasets adds the replicated datasets.
func (d *Doctor) datasets(ctx context.Context, z *ZFS) error {
	states, err := d.Node.Data.State(ctx)
	if err != nil {
		return err
	}
	var names, excluded []string
	for _, entry := range d.config().Replication.Datasets {
		excluded = append(excluded, entry.Exclude...)
	}
	for _, s := range states {
		if !s.Missing {
			names = append(names, s.Name)
		}
	}
	roots := topmost(append(slices.Clone(names), excluded...))
	properties, err := d.zfs.Properties(ctx, roots, "used", "available", "keylocation", "canmount")
	if err != nil {
		return err
	}
	for _, name := range excluded {
		if properties[name] != nil {
			z.Excluded = append(z.Excluded, name)
		}
	}
	for _, s := range states {
		p := properties[s.Name]
		number := func(name string) int64 {
			n, _ := strconv.ParseInt(p[name].Value, 10, 64) // "" if it has none
			return n
		}
		one := Dataset{DatasetState: s, Source: sourceOf(d.config().Replication.Datasets, s.Name),
			Used: number("used"), Available: number("available"), KeyAt: p["keylocation"].Value}
		one.MountsAtBoot = s.Type == string(zfs.Filesystem) && p["canmount"].Value == "on" && strings.HasPrefix(s.Mountpoint, "/")
		if file, ok := strings.CutPrefix(one.KeyAt, "file://"); ok {
			_, err := os.Stat(file)
			one.KeyGone = err != nil
		}
		z.Datasets = append(z.Datasets, one)
	}
	return nil
}

// topmost returns the names that do not lie within another one.
func topmost(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(names, func(other string) bool { return other != name && zfs.Within(name, other) })
	})
}

// sourceOf returns the name of a dataset on the node that sends it.
func sourceOf(entries []config.Dataset, name string) string {
	for _, entry := range entries {
		if zfs.Within(name, entry.Name) {
			return name
		}
	}
	for _, entry := range entries {
		if target := entry.TargetName(); zfs.Within(name, target) {
			return entry.Name + strings.TrimPrefix(name, target)
		}
	}
	return name
}

// pool returns one pool.
func (d *Doctor) pool(ctx context.Context, name string) (Pool, error) {
	pool := Pool{Name: name, Features: map[string]string{}}
	said, err := d.output(ctx, "zpool", "list", "-H", "-p", "-o", "health,capacity", name)
	if err != nil {
		return pool, err
	}
	if words := strings.Fields(said); len(words) == 2 {
		pool.Health = words[0]
		pool.Percent, err = strconv.Atoi(words[1])
	} else {
		err = errors.New("parse zpool list: unexpected output " + strconv.Quote(said))
	}
	if err != nil {
		return pool, err
	}
	said, err = d.output(ctx, "zpool", "get", "-H", "-p", "-o", "property,value", "all", name)
	if err != nil {
		return pool, err
	}
	for line := range strings.Lines(said) {
		property, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if feature, ok := strings.CutPrefix(property, "feature@"); ok && slices.Contains(streamed, feature) {
			pool.Features[feature] = value
		}
	}
	return pool, nil
}

// allowed adds the permissions of the user that the other nodes log in as.
func (d *Doctor) allowed(ctx context.Context, z *ZFS) error {
	user := d.config().SSH.User
	if user == "root" || user == "" {
		return nil
	}
	var names []string
	for _, one := range z.Datasets {
		if !one.Missing {
			names = append(names, one.Name)
		}
	}
	z.Allowed = map[string][]string{}
	for _, root := range topmost(names) {
		said, err := d.output(ctx, "zfs", "allow", root)
		if err != nil {
			return err
		}
		z.Allowed[root] = permissions(said, user)
	}
	return nil
}

// permissions parses the output of zfs allow. Permission sets count as their members,
// and the user counts as a member of every group.
func permissions(text, user string) []string {
	sets, mine := map[string][]string{}, map[string]bool{}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && strings.HasPrefix(words[0], "@"):
			sets[words[0]] = strings.Split(words[1], ",")
		case len(words) == 3 && (words[0] == "user" && words[1] == user || words[0] == "group"),
			len(words) == 2 && words[0] == "everyone":
			for permission := range strings.SplitSeq(words[len(words)-1], ",") {
				mine[permission] = true
			}
		}
	}
	for name, members := range sets {
		if mine[name] {
			for _, member := range members {
				mine[member] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(mine))
}
