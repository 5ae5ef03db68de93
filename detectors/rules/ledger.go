package rules

import (
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// State is that of one alert, in Prometheus' words.
type State string

// The states.
const (
	Inactive State = "inactive"
	Pending  State = "pending"
	Firing   State = "firing"
)

// Alert is one alert of a rule: Prometheus' state of it, and what is told here.
type Alert struct {
	Labels   map[string]string
	Value    float64
	State    State
	ActiveAt time.Time // its expression holds since
	FiredAt  time.Time // it fires since
	// KeptSince is since when it fires only by keep_firing_for.
	KeptSince time.Time

	series    string
	told      bool // it was told as Breached, and not as Clear since
	well      bool // it was told as Clear, and holds no more
	wellSince time.Time
	known     bool              // base is; it is not of an alert that fired before a restart
	base      map[string]string // labels of the sample, before the rule's own
	behind    []bool            // the parts of the proof that had a sample of it
	summary   string
	links     []signalbox.Link
	shown     float64 // the value in summary
	worded    bool    // summary and links are there
}

// ledger holds the alerts of one rule, and moves them as Prometheus does. It
// is not safe for concurrent use.
type ledger struct {
	rule   Rule
	alerts map[string]*Alert // by series
}

func newLedger(r Rule) *ledger { return &ledger{rule: r, alerts: map[string]*Alert{}} }

// found is one sample of the expression, with its labels as an alert's.
type found struct {
	series string
	labels map[string]string
	sample signalbox.Sample
}

var errTwins = errors.New("two samples have the same labels once the rule's labels are applied")

// look takes in what the expression gave at ts. After an error all is as it
// was, but for the limit, beyond which Prometheus forgets the rule's alerts.
func (l *ledger) look(all []found, ts time.Time) error {
	there := make(map[string]*found, len(all))
	for i := range all {
		if there[all[i].series] != nil {
			return errTwins
		}
		there[all[i].series] = &all[i]
	}
	for series, f := range there {
		l.meet(series, f, ts)
	}
	active := 0
	for series, a := range l.alerts {
		if there[series] == nil && !l.kept(a, ts) {
			l.end(series, a)
			continue
		}
		active++
		if a.State == Pending && ts.Sub(a.ActiveAt) >= l.rule.For {
			a.State, a.FiredAt = Firing, ts
		}
	}
	if l.rule.Limit > 0 && active > l.rule.Limit {
		for series, a := range l.alerts {
			l.end(series, a)
		}
		return fmt.Errorf("the rule has %d alerts, and its group's limit is %d", active, l.rule.Limit)
	}
	return nil
}

// meet notes an alert whose expression holds.
func (l *ledger) meet(series string, f *found, ts time.Time) {
	a := l.alerts[series]
	if a == nil {
		a = &Alert{State: Inactive, series: series}
		l.alerts[series] = a
	}
	if a.State == Inactive {
		a.State, a.ActiveAt = Pending, ts
	}
	if !a.known {
		a.behind = nil
	}
	a.Labels, a.Value, a.base, a.known = f.labels, f.sample.Value, f.sample.Labels, true
	a.KeptSince = time.Time{}
}

// kept reports whether an alert whose expression does not hold fires on.
func (l *ledger) kept(a *Alert, ts time.Time) bool {
	if a.State != Firing || l.rule.KeepFiringFor <= 0 {
		return false
	}
	if a.KeptSince.IsZero() {
		a.KeptSince = ts
	}
	return ts.Sub(a.KeptSince) < l.rule.KeepFiringFor
}

// end makes an alert inactive. One that was told stays known, until it is
// proved well.
func (l *ledger) end(series string, a *Alert) {
	a.State = Inactive
	a.KeptSince = time.Time{}
	if !a.told && !a.well {
		delete(l.alerts, series)
	}
}

// recall takes in an alert that is known from before a restart and not here:
// it fires on until its expression is seen not to hold, or is told on to be
// well.
func (l *ledger) recall(r signalbox.Reading) {
	a := l.alerts[r.Series]
	switch {
	case r.Series == "" || r.Condition == signalbox.Unknown || a != nil && (a.told || r.Condition == signalbox.Clear):
		return
	case a == nil:
		a = &Alert{series: r.Series, State: Inactive, Labels: r.Labels, Value: float64(r.Value), summary: r.Summary, links: r.Links, worded: true, shown: float64(r.Value)}
		l.alerts[r.Series] = a
	}
	if r.Condition == signalbox.Clear {
		a.well, a.wellSince = true, r.At
		return
	}
	a.State, a.told, a.well, a.ActiveAt, a.FiredAt = Firing, true, false, r.OnsetAt, r.OnsetAt
}
