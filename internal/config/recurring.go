package config

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
)

// recurring reads times that recur, as Alertmanager's time intervals are.
func recurring(s spot, f freezeKeys) func(time.Time) bool {
	text := map[string]any{}
	for name, list := range map[string]names{"weekdays": f.Weekdays, "days_of_month": f.DaysOfMonth, "months": f.Months, "years": f.Years} {
		if len(list) > 0 {
			text[name] = list
		}
	}
	if len(f.Times) > 0 {
		times := make([]map[string]string, len(f.Times))
		for i, t := range f.Times {
			times[i] = map[string]string{"start_time": t.Start, "end_time": t.End}
		}
		text["times"] = times
	}
	if f.Location != "" {
		text["location"] = f.Location
	}
	b, err := json.Marshal(text)
	if err != nil {
		s.fail("can't be read: "+err.Error(), nil)
		return nil
	}
	var interval timeinterval.TimeInterval
	if err := json.Unmarshal(b, &interval); err != nil {
		s.fail("must be times as Alertmanager's time intervals have them: "+err.Error(), nil)
		return nil
	}
	return func(at time.Time) bool { return interval.ContainsTime(at.UTC()) }
}

// times says when it recurs, as it is configured: "friday, 16:00 to 24:00 in
// Europe/Berlin".
func (f freezeKeys) times() string {
	var parts []string
	for _, list := range []struct {
		what string
		of   names
	}{{"", f.Weekdays}, {"days of the month ", f.DaysOfMonth}, {"months ", f.Months}, {"years ", f.Years}} {
		if len(list.of) > 0 {
			parts = append(parts, list.what+strings.Join(list.of, " and "))
		}
	}
	var hours []string
	for _, t := range f.Times {
		hours = append(hours, t.Start+" to "+t.End)
	}
	if len(hours) > 0 {
		parts = append(parts, strings.Join(hours, " and "))
	}
	location := f.Location
	if location == "" {
		location = "UTC"
	}
	return strings.Join(parts, ", ") + " in " + location
}

// endsWithin is how far the end of times that recur is looked for.
const endsWithin = 8 * 24 * time.Hour

// ends makes the function that says when times that recur, and cover a moment,
// end after it; zero: not within endsWithin. It remembers the last answer, since
// all that is decided under one freeze asks for the same.
func ends(covers func(time.Time) bool) func(time.Time) time.Time {
	type stretch struct{ from, to, end time.Time } // of which each moment has the same end
	var last atomic.Pointer[stretch]
	return func(at time.Time) time.Time {
		from := at.Truncate(time.Minute)
		if s := last.Load(); s != nil && !from.Before(s.from) && from.Before(s.to) {
			return s.end
		}
		s := &stretch{from: from, to: from.Add(time.Minute)}
		for s.to.Sub(from) < endsWithin && covers(s.to) {
			s.to = s.to.Add(time.Minute)
		}
		if covers(s.to) { // its end comes into sight as time goes on
			s.to = from.Add(time.Hour)
		} else {
			s.end = s.to
		}
		last.Store(s)
		return s.end
	}
}
