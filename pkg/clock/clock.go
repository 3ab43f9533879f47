// Package clock owns the two clocks of a node: the wall clock, which people read
// and anybody may set, and the time since the boot, which nobody can set. What
// waits or expires counts by the second one.
//
// Pause waits by the runtime timers, which fake time replaces.
//
// It must not know what is timed. It imports nothing of this project, so that a
// simulated node can have clocks of its own.
package clock

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is what a node reads the time from.
type Clock interface {
	// Now returns the wall clock's time.
	Now() time.Time
	// SinceBoot returns the time since the boot, including suspend
	// (CLOCK_BOOTTIME of clock_gettime(2)).
	SinceBoot() (time.Duration, error)
}

// System returns the clocks of this machine.
func System() Clock { return system{} }

type system struct{}

func (system) Now() time.Time { return time.Now() }

func (system) SinceBoot() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, fmt.Errorf("read the time since the boot: %w", err)
	}
	return time.Duration(now.Nano()), nil
}
