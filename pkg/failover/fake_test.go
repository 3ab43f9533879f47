package failover_test

import (
	"testing"

	"github.com/understudy-ha/understudy/pkg/failover/failovertest"
	"github.com/understudy-ha/understudy/pkg/failover/watch"
)

// fake is a node of which only the state folder is real.
type fake struct{ *failovertest.Fake }

func newFake(t *testing.T) *fake { return &fake{failovertest.New(t)} }

// watches runs the watcher until the test ends.
func (f *fake) watches(t *testing.T) {
	t.Helper()
	f.Runs(t, watch.New(f.Node).Watch)
}

// serving is a node that is active, with a peer that could take over.
func serving(t *testing.T) *fake {
	t.Helper()
	f := newFake(t)
	f.Serves(t)
	return f
}
