package holder_test

import (
	"testing"

	"github.com/understudy-ha/understudy/pkg/failover/failovertest"
	"github.com/understudy-ha/understudy/pkg/failover/watch"
	"github.com/understudy-ha/understudy/pkg/lease"
)

// fake is a node of which only the state folder is real.
type fake struct {
	*failovertest.Fake
	etcd *lease.Etcd
}

func newFake(t *testing.T) *fake { return &fake{Fake: failovertest.New(t)} }

// watches runs the watcher until the test ends.
func (f *fake) watches(t *testing.T) {
	t.Helper()
	f.Runs(t, watch.New(f.Node).Watch)
}
