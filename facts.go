package signalbox

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Facts is the volatile part of the world: the freshest readings, forecasts
// and the health of sources. It is lost at a restart and gathered again. The
// engine's loop owns it; it is not safe for concurrent use.
type Facts struct {
	readings  map[string]map[string]*Reading // detector, series
	subjects  map[Key]map[string]*Reading    // ReadingKey(detector, subject), series
	forecasts map[string]*Forecast           // Step.Hash
	// KillFile says why the local kill file stops all remediation; empty: it
	// is not there.
	KillFile string
	// Silenced are the silences in force at Alertmanager, for incidents that it
	// does not hold itself.
	Silenced Silences

	censuses  map[string]map[string]*census // detector, labels
	wants     map[string]map[string]map[IncidentID]*Want
	wantOf    map[IncidentID]*Want
	calendars map[string]*Calendar
}

// NewFacts returns no facts: everything is Unknown.
func NewFacts() *Facts {
	return &Facts{
		readings:  map[string]map[string]*Reading{},
		subjects:  map[Key]map[string]*Reading{},
		forecasts: map[string]*Forecast{},
		censuses:  map[string]map[string]*census{},
		wants:     map[string]map[string]map[IncidentID]*Want{},
		wantOf:    map[IncidentID]*Want{},
		calendars: map[string]*Calendar{},
	}
}

// ReadingKey names the readings of a detector on a subject, for Reads.
func ReadingKey(detector, subject string) Key {
	return Key("fact/reading/" + KeyPart(detector) + "/" + KeyPart(subject))
}

// DetectorKey names all readings of a detector, for Reads.
func DetectorKey(detector string) Key { return Key("fact/detector/" + KeyPart(detector)) }

// OfDetector returns the freshest readings of a detector, sorted by series.
func (f *Facts) OfDetector(detector string) []*Reading {
	keys := slices.Sorted(maps.Keys(f.readings[detector]))
	list := make([]*Reading, len(keys))
	for i, k := range keys {
		list[i] = f.readings[detector][k]
	}
	return list
}

// ForecastKey names the forecast of a step, for Reads.
func ForecastKey(stepHash string) Key { return Key("fact/forecast/" + stepHash) }

// KillFileKey names the local kill file, for Reads.
const KillFileKey Key = "fact/killfile"

// Put takes a reading in, unless the one that it has is newer, and returns the
// key that changed.
func (f *Facts) Put(r *Reading) Key {
	if old := f.Reading(r.Detector, r.Series, r.Episode); old != nil && old.At.After(r.At) {
		return ReadingKey(r.Detector, r.Subject)
	}
	return f.Replace(r)
}

// Replace takes a reading in, whatever its time: of a round of polling, which
// come in order also when the clock went back.
func (f *Facts) Replace(r *Reading) Key {
	k := ReadingKey(r.Detector, r.Subject)
	series := r.Series + "\x00" + r.Episode
	if old := f.readings[r.Detector][series]; old != nil && old.Subject == r.Subject {
		f.counted(old, -1) // its place is taken below
	} else if old != nil {
		f.drop(old, series)
	}
	f.counted(r, 1)
	if f.readings[r.Detector] == nil {
		f.readings[r.Detector] = map[string]*Reading{}
	}
	if f.subjects[k] == nil {
		f.subjects[k] = map[string]*Reading{}
	}
	f.readings[r.Detector][series], f.subjects[k][series] = r, r
	return k
}

// Drop forgets a series: it ended, or its detector is gone.
func (f *Facts) Drop(detector, series, episode string) {
	key := series + "\x00" + episode
	if r := f.readings[detector][key]; r != nil {
		f.drop(r, key)
		delete(f.readings[detector], key)
	}
}

func (f *Facts) drop(r *Reading, series string) {
	f.counted(r, -1)
	k := ReadingKey(r.Detector, r.Subject)
	delete(f.subjects[k], series)
	if len(f.subjects[k]) == 0 {
		delete(f.subjects, k)
	}
}

// Reading returns the freshest reading of a series; nil: none, so Unknown.
func (f *Facts) Reading(detector, series, episode string) *Reading {
	return f.readings[detector][series+"\x00"+episode]
}

// Subject calls yield with the freshest reading of each series of a detector
// on a subject, in no order.
func (f *Facts) Subject(detector, subject string, yield func(*Reading)) {
	for _, r := range f.subjects[ReadingKey(detector, subject)] {
		yield(r)
	}
}

// Keep forgets the readings of a detector but those of the named series, and
// returns the keys that changed.
func (f *Facts) Keep(detector string, series map[string]bool) []Key {
	var changed []Key
	for key, r := range f.readings[detector] {
		if !series[r.Series] {
			f.drop(r, key)
			delete(f.readings[detector], key)
			changed = append(changed, ReadingKey(r.Detector, r.Subject))
		}
	}
	return changed
}

// DropReadings forgets the readings of before t: of series that are gone.
func (f *Facts) DropReadings(t time.Time) {
	for _, series := range f.readings {
		for key, r := range series {
			if r.At.Before(t) {
				f.drop(r, key)
				delete(series, key)
			}
		}
	}
}

// Streaks lists the breaches that were counted for at least so long and are no
// incidents yet, those that were counted longest first, and at most so many.
func (f *Facts) Streaks(least time.Duration, most int) []Streak {
	var list []Streak
	for detector, series := range f.readings {
		for _, r := range series {
			if r.Held >= least && r.Held > 0 && r.Episode == "" {
				list = append(list, Streak{Detector: detector, Series: r.Series, Held: r.Held, OnsetAt: r.OnsetAt, WellAt: r.WellAt, LookedAt: r.At})
			}
		}
	}
	slices.SortFunc(list, func(a, b Streak) int {
		return cmp.Or(cmp.Compare(b.Held, a.Held), cmp.Compare(a.Detector, b.Detector), cmp.Compare(a.Series, b.Series))
	})
	return list[:min(len(list), most)]
}

// PutForecast takes a forecast in and returns the key that changed.
func (f *Facts) PutForecast(stepHash string, fc *Forecast) Key {
	f.forecasts[stepHash] = fc
	return ForecastKey(stepHash)
}

// Forecast returns the newest forecast of a step; nil: none.
func (f *Facts) Forecast(stepHash string) *Forecast { return f.forecasts[stepHash] }

// DropForecasts forgets the forecasts made before t.
func (f *Facts) DropForecasts(t time.Time) {
	for h, fc := range f.forecasts {
		if fc.At.Before(t) {
			delete(f.forecasts, h)
		}
	}
}
