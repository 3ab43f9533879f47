package move

import (
	"context"
	"testing"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover/failovertest"
	"github.com/understudy-ha/understudy/pkg/failover/watch"
)

// fake is a node of which only the state folder is real.
type fake struct {
	*failovertest.Fake
	mover *Mover
	sent  func() error
}

func newFake(t *testing.T) *fake {
	f := &fake{Fake: failovertest.New(t)}
	f.mover = New(f.Node)
	f.mover.Send = func(context.Context, string, time.Duration) error {
		if f.sent != nil {
			return f.sent()
		}
		return nil
	}
	return f
}

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
