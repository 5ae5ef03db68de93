package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// ToldLimit begins the mark in Incident.Told of a limit that was paged.
const ToldLimit = "limit/"

// limited pages once for each limit that an action of the incident has set: what
// holds back work for a time is always told to its owner, with until when.
func (l *look) limited() (d signalbox.Decision, isNew bool) {
	for _, a := range l.actions {
		if a.Forecast.Expires == 0 || a.Undoes != "" || a.Stage != signalbox.Done {
			continue
		}
		if d, asks := l.expiry(a); asks {
			return d, true
		}
		mark := ToldLimit + string(a.ID)
		if slices.Contains(l.inc.Told, mark) {
			continue
		}
		why := fmt.Sprintf("%s, was %s, until %s", throw(&a.Step), found(&a.Forecast), clock(a.EndedAt.Add(time.Duration(a.Forecast.Expires))))
		l.note("limit", true, "%s", why)
		return signalbox.Decision{Verdict: signalbox.Escalate, Page: l.pageNote("Limited: "+why, ""), Told: mark}, true
	}
	return d, false
}

// ToldExpiry begins the mark in Incident.Told of a limit that is past its time.
const ToldExpiry = "expired/"

// expires is when a limit is to be lifted; zero: it is none.
func expires(a *signalbox.Action) time.Time {
	if a.Forecast.Expires == 0 || a.EndedAt.IsZero() {
		return time.Time{}
	}
	return a.EndedAt.Add(time.Duration(a.Forecast.Expires))
}

// expired reports whether an action set a limit whose time is over.
func (l *look) expired(a *signalbox.Action) bool {
	end := expires(a)
	return !end.IsZero() && !l.now.Before(end)
}

// expiry asks the owner, once, about a limit whose time is over while what it
// was set for is not known to be well: it stays until a person says so, or all
// is well. Where all is well it is lifted as any other.
func (l *look) expiry(a *signalbox.Action) (d signalbox.Decision, asks bool) {
	if !l.stands(a) {
		return d, false
	}
	if !l.expired(a) {
		l.at(expires(a)) // also where all is well: then it is lifted, whatever its undo
		return d, false
	}
	if l.clear() {
		return d, false
	}
	mark := ToldExpiry + string(a.ID)
	if slices.Contains(l.inc.Told, mark) {
		return d, false
	}
	why := fmt.Sprintf("%s should have ended at %s, and %s is not well: it stays until that is, or until you say signalboxctl undo %s",
		throw(&a.Step), clock(expires(a)), l.inc.Reading.Subject, l.inc.ID)
	l.note("limit", false, "%s", why)
	return signalbox.Decision{Verdict: signalbox.Escalate, Page: l.pageNote(why, ""), Told: mark}, true
}

// onlyLimits reports whether all that was thrown since the last verdict is
// limits, and nothing comes after: they hold work back, and heal nothing, so
// that nothing is judged while it is ill.
func (l *look) onlyLimits() bool {
	plan, limits := l.inc.Plan, false
	for _, a := range slices.Backward(l.actions) {
		if a.Undoes != "" || a.Stage != signalbox.Done || quiet(&a.Step) {
			continue
		}
		if a.Outcome != "" {
			break
		}
		if a.Forecast.Expires == 0 {
			return false
		}
		limits = true
	}
	return limits && plan != nil && l.cursor(plan).next < 0
}
