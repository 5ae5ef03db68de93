package alerts

import (
	"maps"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// defaultWithin is how long a watchdog may stay away.
const defaultWithin = 5 * time.Minute

// WatchdogSettings name an alert that fires always, so that its absence shows
// that the way from the rules to here is broken.
type WatchdogSettings struct {
	// Labels that the alert has with exactly these values, like {alertname: Watchdog}.
	Match map[string]string `yaml:"match" json:"match" jsonschema:"required"`
	// The longest time in which it must come again, by webhook or in the present state.
	Within kind.Duration `yaml:"within,omitempty" json:"within,omitzero" default:"5m"`
}

func (s *WatchdogSettings) within() time.Duration {
	if s.Within == 0 {
		return defaultWithin
	}
	return s.Within.Std()
}

func (s *WatchdogSettings) validate(fail kind.Fail, reconcile time.Duration) {
	if s == nil {
		return
	}
	if len(s.Match) == 0 {
		fail("watchdog.match", "must name the labels of the alert, like {alertname: Watchdog}", nil)
	}
	ValidateMatch(fail, "watchdog.match", s.Match)
	switch within := s.within(); {
	case within < 2*time.Second || within > 24*time.Hour:
		fail("watchdog.within", "must be at least 2s and at most 24h", s.Within)
	case reconcile > 0 && within < 2*reconcile:
		fail("watchdog.within", "must be at least twice reconcile ("+kind.Duration(reconcile).String()+")", kind.Duration(within))
	}
}

// Watchdog is an alert that fires always. It is safe for concurrent use.
type Watchdog struct {
	match  map[string]string
	within time.Duration
}

// NewWatchdog returns the watchdog of valid settings; nil where they are nil.
func NewWatchdog(s *WatchdogSettings) *Watchdog {
	if s == nil {
		return nil
	}
	return &Watchdog{match: maps.Clone(s.Match), within: s.within()}
}

// Within is how long it may stay away; 0 where there is none.
func (w *Watchdog) Within() time.Duration {
	if w == nil {
		return 0
	}
	return w.within
}

// Same reports whether the other watches for the same alert.
func (w *Watchdog) Same(other *Watchdog) bool {
	if w == nil || other == nil {
		return w == other
	}
	return maps.Equal(w.match, other.match)
}

// Take takes the watchdog's own alerts out of a batch: they mean the opposite
// of all others. heard is the newest moment at which it is known to have
// fired, by the server's own sample where the present state was read; zero:
// the batch does not show it. It is pure; b is not changed.
func (w *Watchdog) Take(b signalbox.Batch) (rest signalbox.Batch, heard time.Time) {
	if w == nil {
		return b, heard
	}
	others := make([]signalbox.Reading, 0, len(b.Readings))
	for _, r := range b.Readings {
		switch {
		case !matches(w.match, r.Labels):
			others = append(others, r)
		case r.Condition == signalbox.Breached && r.SampleAt.After(heard):
			heard = r.SampleAt
		}
	}
	b.Readings = others
	return b, heard
}
