package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
)

func TestSystem(t *testing.T) {
	c := clock.System()
	before, err := c.SinceBoot()
	if err != nil || before <= 0 {
		t.Fatalf("since the boot: %v, %v", before, err)
	}
	time.Sleep(2 * time.Millisecond)
	after, err := c.SinceBoot()
	if err != nil || after-before < 2*time.Millisecond {
		t.Errorf("after 2 ms the time since the boot has grown by %v, %v", after-before, err)
	}
	if gap := time.Since(c.Now()); gap < 0 || gap > time.Second {
		t.Errorf("the wall clock differs from time.Now by %v", gap)
	}
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := clock.Pause(t.Context(), time.Hour); err != nil || time.Since(began) != time.Hour {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		if err := clock.Pause(ctx, time.Hour); !errors.Is(err, why) {
			t.Errorf("%v, want %v", err, why)
		}
		if err := clock.Pause(ctx, -1); err != nil {
			t.Errorf("nothing to wait for: %v", err)
		}
	})
}
