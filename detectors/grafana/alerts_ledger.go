package grafana

import (
	"cmp"
	"slices"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// maxKnown bounds how many firing alerts are kept in mind.
const maxKnown = 20_000

// ledger remembers which alerts were last known to fire. Grafana keeps its
// alerts in memory and does not tell when it started, so an alert that it no
// longer names may have ended, or be forgotten until its rule is evaluated
// again. It is taken as ended when no look has named it for warm_up, and is
// Unknown until then. It is safe for concurrent use.
type ledger struct {
	warmUp time.Duration

	mu    sync.Mutex
	began time.Time // the first good look: before, nothing is known
	lost  time.Time // an alert could not be kept in mind
	known map[alertKey]*remembered
}

type alertKey struct{ series, episode string }

// remembered is a firing alert.
type remembered struct {
	reading signalbox.Reading // as it was told last
	seen    time.Time         // when
	blind   time.Time         // since when it is Unknown without a break; zero: it is not
}

func newLedger(warmUp time.Duration) *ledger {
	return &ledger{warmUp: warmUp, known: map[alertKey]*remembered{}}
}

// heard takes in what a webhook says of an alert. One that is Unknown learns
// since when it is.
func (l *ledger) heard(firing bool, r *signalbox.Reading, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case firing:
		l.keep(r, at)
	case r.Condition == signalbox.Clear:
		delete(l.known, alertKey{r.Series, r.Episode})
	}
}

// looked takes in the whole list of what fires. absent are the alerts that it
// lacks and that are not yet taken as ended; whole says that what neither names
// has ended.
func (l *ledger) looked(list []signalbox.Reading, at time.Time) (absent []signalbox.Reading, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.began.IsZero() || at.Before(l.began) {
		l.began = at
	}
	there := make(map[alertKey]bool, len(list))
	for i := range list {
		there[alertKey{list[i].Series, list[i].Episode}] = true
		l.keep(&list[i], at)
	}
	for k, e := range l.known {
		switch {
		case there[k]:
		case at.Sub(e.seen).Abs() >= l.warmUp:
			delete(l.known, k)
		default:
			absent = append(absent, l.absent(e, at))
		}
	}
	slices.SortFunc(absent, func(a, b signalbox.Reading) int {
		return cmp.Or(cmp.Compare(a.Series, b.Series), cmp.Compare(a.Episode, b.Episode))
	})
	kept := l.lost.IsZero() || at.Sub(l.lost).Abs() >= l.warmUp
	return absent, kept && at.Sub(l.began) >= l.warmUp
}

func (l *ledger) absent(e *remembered, at time.Time) signalbox.Reading {
	r := unknown(e.reading, "Grafana no longer names it: that is its end when it lasts for "+kind.Duration(l.warmUp).String())
	r.At, r.SampleAt, r.Since, r.Confirmed = at, e.seen, time.Time{}, true
	return r
}

// keep remembers an alert that fires. A stand-in of a rule is told by itself.
func (l *ledger) keep(r *signalbox.Reading, at time.Time) {
	if !r.Since.IsZero() {
		return
	}
	k := alertKey{r.Series, r.Episode}
	e := l.known[k]
	if e == nil {
		if len(l.known) >= maxKnown {
			l.lost = at
			return
		}
		e = &remembered{}
		l.known[k] = e
	}
	if r.Condition != signalbox.Unknown {
		e.blind = time.Time{}
	} else if e.blind.IsZero() {
		e.blind = at
	}
	r.Since = e.blind
	e.reading, e.seen = *r, at
}
