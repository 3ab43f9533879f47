package lab

import (
	"context"
	"fmt"
	"path/filepath"
)

// MakePool makes a pool of that size in bytes on a node, in a file on its disk:
// a real pool on a virtual machine, a simulated one in namespaces. Extra
// arguments go to zpool create, before the name.
func MakePool(ctx context.Context, n Node, name string, size int64, extra ...string) error {
	file := "/var/lib/understudy-disk/" + name + ".pool"
	if _, err := n.Run(ctx, Argv("truncate", "-s", fmt.Sprint(size), file)); err != nil {
		return fmt.Errorf("make pool %s: %w", name, err)
	}
	argv := append([]string{"zpool", "create"}, extra...)
	if _, err := n.Run(ctx, Argv(append(argv, name, file)...)); err != nil {
		return fmt.Errorf("make pool %s: %w", name, err)
	}
	return nil
}

// Install copies a static program of the host to /usr/sbin of all nodes.
func (l *Lab) Install(ctx context.Context, hostPath string) error {
	return l.each(func(n Node) error {
		return n.CopyTo(ctx, hostPath, "/usr/sbin/"+filepath.Base(hostPath))
	})
}
