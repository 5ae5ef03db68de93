//go:build !linux

package etcd

import "time"

var processStart = time.Now()

// bootTime is the monotonic clock where there is no CLOCK_BOOTTIME. It stops
// while the machine is suspended, so a daemon that matters runs on Linux.
func bootTime() time.Duration { return time.Since(processStart) }
