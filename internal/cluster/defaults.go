package cluster

import (
	"time"

	"github.com/signalbox/signalbox/internal/kind"
)

// The default of stale_after and its bounds. A watch without events shows a
// sign of life every ten seconds, and a lost connection is noticed within 45.
const (
	defaultStale = 45 * time.Second
	leastStale   = 20 * time.Second
	mostStale    = 10 * time.Minute
)

// New returns settings with their defaults.
func New() *Settings { return &Settings{StaleAfter: kind.Duration(defaultStale)} }
