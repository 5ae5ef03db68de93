package etcd

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime reads the clock that also counts while the machine is suspended;
// Go's own monotonic clock stops then (clock_gettime(2), CLOCK_BOOTTIME).
func bootTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("clock_gettime(CLOCK_BOOTTIME): " + err.Error()) // there since Linux 2.6.39
	}
	return time.Duration(ts.Nano())
}
