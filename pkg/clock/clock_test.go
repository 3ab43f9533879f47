package clock_test

import (
	"testing"
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
