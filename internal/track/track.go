// Package track turns the Readings of a detector into edges: a series became
// ill for long enough, or well for long enough, or nobody knows. It is pure:
// its time comes with the readings.
package track

import "time"

// Timing says how long a condition must hold before it is an edge.
type Timing struct {
	For           time.Duration // breached without a break, before an incident opens
	ClearFor      time.Duration // clear without a break, before it is over
	KeepFiringFor time.Duration // after the last breached reading, before it is over
}
