package signalbox

import "time"

// WantKey names where incidents want a switch to be, for Reads.
func WantKey(name string) Key { return Key("fact/want/" + KeyPart(name)) }

// PutWant takes in where an incident wants a switch to be (nil: nowhere), and
// returns the keys that changed.
func (f *Facts) PutWant(id IncidentID, w *Want) (changed []Key) {
	old := f.wantOf[id]
	if old == nil && w == nil || old != nil && w != nil && *old == *w {
		return nil
	}
	if old != nil {
		at := f.wants[old.Switch][old.To]
		delete(at, id)
		if len(at) == 0 {
			delete(f.wants[old.Switch], old.To)
		}
		delete(f.wantOf, id)
		changed = append(changed, WantKey(old.Switch))
	}
	if w == nil {
		return changed
	}
	if f.wants[w.Switch] == nil {
		f.wants[w.Switch] = map[string]map[IncidentID]*Want{}
	}
	if f.wants[w.Switch][w.To] == nil {
		f.wants[w.Switch][w.To] = map[IncidentID]*Want{}
	}
	f.wants[w.Switch][w.To][id], f.wantOf[id] = w, w
	return append(changed, WantKey(w.Switch))
}

// Wants returns who wants a switch to be where, by position; it must not be
// changed.
func (f *Facts) Wants(name string) map[string]map[IncidentID]*Want { return f.wants[name] }

// Calendar is what was read last of a calendar of freezes.
type Calendar struct {
	At      time.Time // when it was read; zero: never
	Windows []Window  // those that are near, sorted by From
	Err     string    // why the newest reading failed; empty: it did not
}

// Window is a time between two moments.
type Window struct {
	Name     string
	From, To time.Time
}

// CalendarKey names a calendar, for Reads.
func CalendarKey(name string) Key { return Key("fact/calendar/" + KeyPart(name)) }

// PutCalendar takes in what was read of a calendar, and returns the key that
// changed.
func (f *Facts) PutCalendar(name string, c *Calendar) Key {
	f.calendars[name] = c
	return CalendarKey(name)
}

// Calendar returns what was read last of a calendar; nil: never anything.
func (f *Facts) Calendar(name string) *Calendar { return f.calendars[name] }

// DropCalendar forgets a calendar: it is no longer configured, or is another
// one now. It returns the key that changed.
func (f *Facts) DropCalendar(name string) Key {
	delete(f.calendars, name)
	return CalendarKey(name)
}

// Silence is one silence in force at an Alertmanager.
type Silence struct {
	ID       string
	Matchers []Matcher
	Until    time.Time
	Who      string
	Comment  string
}

// Matcher matches one label, as Alertmanager's matchers do; a label that is
// missing has the empty value.
type Matcher struct {
	Name    string
	Matches func(value string) bool // pure
}

// SilencesKey names the silences, for Reads.
const SilencesKey Key = "fact/silences"

// Silences are the silences read last.
type Silences struct {
	At   time.Time // when they were read; zero: never
	List []Silence
	Err  string // why the newest reading failed; empty: it did not
}
