package track

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// ForgetAfter is how long a series that is gone and not an open incident is
// still known: long enough that its absence is seen and told, short enough that
// the churn of names does not grow without bound.
const ForgetAfter = time.Hour

// Tracker follows the series of one detector from look to look. It is not safe
// for concurrent use.
//
// # The clock
//
// Only time between two successive looks that both knew the series counts,
// as breach or as clear. It is the samples' own time that counts, where they
// have one: a sample that is looked at again proves nothing anew, so that one
// bad sample of a server which then stops never lasts for long. Time in which a series was Unknown counts as neither:
// it pauses both clocks and breaks no streak, so that a gap in the data neither
// opens an incident, nor closes one, nor makes an ill series start again.
// Looks further apart than the greatest gap count as Unknown in between.
type Tracker struct {
	timing Timing
	maxGap time.Duration
	series map[string]*series
	last   map[string]signalbox.Reading
	good   time.Time
}

// series is what is remembered of one series.
type series struct {
	condition signalbox.Condition // of the last look
	since     time.Time           // of condition
	looked    time.Time           // the last look
	sampled   time.Time           // the sample time of the last look; zero: it had none
	known     signalbox.Condition // of the last look that knew it; Unknown: none did
	knownAt   time.Time
	held      time.Duration // counted time of known
	calm      time.Duration // counted time since it was last breached
	onset     time.Time     // of the breach under way, or of the open incident
	well      time.Time     // before onset
	clearAt   time.Time     // the last clear look
	open      bool
	lost      bool // open, and its last edge says Unknown
}

// New returns a tracker that has seen nothing. maxGap is the greatest time
// between two looks that counts as seen; 0: any.
func New(timing Timing, maxGap time.Duration) *Tracker {
	return &Tracker{timing: timing, maxGap: maxGap, series: map[string]*series{}, last: map[string]signalbox.Reading{}}
}

// Restore takes in what is durably known: the readings of the incidents that
// are open, and when the last good round was. It may be called late, after the
// first rounds: what is open stays open until it is clear, under its own onset.
func (t *Tracker) Restore(open []signalbox.Reading, good time.Time) {
	if good.After(t.good) {
		t.good = good
	}
	for _, r := range open {
		s, seen := t.series[r.Series]
		switch {
		case r.Series == "" || seen && r.Condition == signalbox.Clear:
			continue
		case !seen:
			s = &series{since: r.At, looked: r.At, known: signalbox.Breached, knownAt: r.At}
			t.series[r.Series] = s
		}
		if r.Condition == signalbox.Clear { // its incident waits for something else; the breach is over
			s.known, s.clearAt = signalbox.Clear, r.At
		} else {
			s.open, s.lost = true, r.Condition == signalbox.Unknown
			s.onset, s.well = r.OnsetAt, r.WellAt
		}
		if !seen {
			r.Condition = s.known
			t.last[r.Series] = s.remembered(r)
		}
	}
}

// Resume takes in how long breaches were counted that are no incidents yet, by
// whoever looked before. What lies between counts as Unknown. Series that were
// looked at meanwhile are passed over.
func (t *Tracker) Resume(streaks []signalbox.Streak) {
	for _, k := range streaks {
		if k.Series == "" || t.series[k.Series] != nil {
			continue
		}
		t.series[k.Series] = &series{
			since: k.LookedAt, looked: k.LookedAt, known: signalbox.Breached, knownAt: k.LookedAt,
			held: k.Held, onset: k.OnsetAt, well: k.WellAt,
		}
	}
}

// Last returns the last reading of each series that knew its condition, or for
// a series that was never known the last reading at all: what a Detector's
// Judge takes as was. It is read-only, and changes with the next Step.
func (t *Tracker) Last() map[string]signalbox.Reading { return t.last }

// Good is the moment of the last round in which every series was known; zero:
// there was none.
func (t *Tracker) Good() time.Time { return t.good }

// Open returns a reading of each series that is open, as Restore takes it: with
// its onset, and Breached also while it waits to be clear for long enough.
func (t *Tracker) Open() []signalbox.Reading {
	var open []signalbox.Reading
	for id, s := range t.series {
		if s.open {
			r := t.last[id]
			r.Condition, r.OnsetAt, r.WellAt = signalbox.Breached, s.onset, s.well
			if s.lost {
				r.Condition = signalbox.Unknown
			}
			open = append(open, r)
		}
	}
	return open
}

// IsGood reports whether every series of a round is known.
func IsGood(readings []signalbox.Reading) bool {
	for i := range readings {
		if readings[i].Condition == signalbox.Unknown {
			return false
		}
	}
	return true
}
