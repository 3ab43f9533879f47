package failover

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// ticks is this moment in clock ticks since the boot, by the clock that
// processes' start times are in.
func ticks() (uint64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, fmt.Errorf("read the time since the boot: %w", err)
	}
	return uint64(time.Duration(now.Nano()) * ticksPerSecond / time.Second), nil
}
