package rejoin

import (
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/run"
	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// Node is the node that rejoins, or whose preserved copies are listed.
type Node struct {
	Config   *config.Config
	Self     config.Node
	State    *state.Dir
	ZFS      *zfs.ZFS
	Programs run.Programs
	Log      zerolog.Logger
	Now      func() time.Time
}

// hasLocal reports whether one of the standbys is another pool of this machine.
func (n *Node) hasLocal() bool {
	return slices.ContainsFunc(n.Config.Nodes, func(other config.Node) bool { return other.Local })
}
