package failover

import (
	"context"
	"os"
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// unloadable are those of the datasets whose key a takeover can't load by itself: it
// has to be typed in, or its file is not here.
func (n *Node) unloadable(ctx context.Context, datasets []string) ([]string, error) {
	if len(datasets) == 0 {
		return nil, nil
	}
	z := zfs.New(n.Runner, n.Config.Replication.Timeouts.ZFS)
	keys, err := z.Properties(ctx, datasets, "encryptionroot", "keylocation")
	if err != nil {
		return nil, err
	}
	var roots []string
	for _, name := range datasets {
		if root := keys[name]["encryptionroot"].Value; keys[root] == nil && root != "" && root != "-" {
			roots = append(roots, root)
		}
	}
	if len(roots) > 0 {
		above, err := z.Properties(ctx, roots, "keylocation")
		if err != nil {
			return nil, err
		}
		for name, p := range above {
			if keys[name] == nil {
				keys[name] = p
			}
		}
	}
	var found []string
	for _, name := range datasets {
		if !loadable(keys[keys[name]["encryptionroot"].Value]["keylocation"].Value) {
			found = append(found, name)
		}
	}
	return found, nil
}

// loadable says whether there is a key at a keylocation of ZFS. What lies on another
// machine is believed to be there.
func loadable(at string) bool {
	file, local := strings.CutPrefix(at, "file://")
	if !local {
		return strings.Contains(at, "://")
	}
	_, err := os.Stat(file)
	return err == nil
}
