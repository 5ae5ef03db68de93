package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// guardHealth asks that the position to throw to is proved healthy.
func guardHealth(l *look, m *move) answer {
	if m.step.Tool {
		return answer{effect: passes, detail: "it has no positions that could be proved healthy"}
	}
	return l.healthy(m.step.Health, m.step.To, 0)
}

// guardHealthBack asks that the old position is proved healthy, and has been for
// as long as the plan says. An action that did not help is taken back whatever
// the old position is, and a person's word stands above it.
func guardHealthBack(l *look, m *move) answer {
	a := m.undoes
	if l.ineffective(a) {
		return answer{effect: passes, detail: "not asked: " + throw(&a.Step) + " did not help"}
	}
	if a.Step.Tool {
		return answer{effect: passes, detail: "it has no positions that could be proved healthy"}
	}
	h := l.healthy(a.Step.Health, a.Forecast.Position, l.afterHealthy())
	if m.byWord && h.effect != passes {
		return answer{effect: passes, detail: "a person asked for it, though: " + h.detail}
	}
	return h
}

// healthy asks that all readings of what proves a position are clear and fresh,
// and have been clear for a time.
func (l *look) healthy(health map[string]signalbox.Witness, position string, during time.Duration) answer {
	w, ok := health[position]
	if !ok {
		return answer{effect: blocks, detail: fmt.Sprintf("nothing proves position %q healthy", position)}
	}
	a := l.clearFor(w, during)
	a.detail = fmt.Sprintf("position %q: %s", position, a.detail)
	return a
}

// clearFor asks that all readings of a witness are clear and fresh, and have
// been clear for a time.
func (l *look) clearFor(w signalbox.Witness, during time.Duration) answer {
	readings := l.witness(w)
	if len(readings) == 0 {
		return answer{effect: blocks, detail: fmt.Sprintf("no reading of %s on %s", w.Detector, w.Subject)}
	}
	unsure := answer{}
	for _, r := range readings {
		fresh, detail := l.fresh(r)
		if again := l.askedAgain(r); !again.IsZero() {
			l.at(again)
			unsure = answer{effect: waits, detail: fmt.Sprintf("%s on %s is unknown (%s), and is asked again until %s", w.Detector, w.Subject, detail, clock(again))}
			continue
		}
		if !fresh || r.Condition != signalbox.Clear {
			return answer{effect: blocks, detail: fmt.Sprintf("%s on %s is %s (%s)", w.Detector, w.Subject, r.Condition, detail)}
		}
		if during == 0 {
			continue
		}
		if end := r.Since.Add(during); r.Since.IsZero() || l.now.Before(end) {
			l.at(end)
			return answer{effect: blocks, detail: fmt.Sprintf("%s on %s is clear since %s, wanted for %s", w.Detector, w.Subject, clock(r.Since), span(during))}
		}
	}
	if unsure.effect != passes {
		return unsure
	}
	return answer{effect: passes, detail: w.Detector + " on " + w.Subject + " is clear"}
}

// Who is asked again is waited for by its interval and graceOfWitness, and by
// mostGrace at the most, before a person is called.
const (
	graceOfWitness = 5 * time.Second
	mostGrace      = 20 * time.Second
)

// askedAgain is until when a reading that became unknown just now is waited for:
// one answer that came late is no reason to page, and no proof of health either.
// Zero: it is known, or was not for too long, or nothing is asked again.
func (l *look) askedAgain(r *signalbox.Reading) time.Time {
	interval := l.h.detectors[r.Detector].Interval
	if r.Condition != signalbox.Unknown || interval <= 0 {
		return time.Time{}
	}
	end := r.Since.Add(min(interval+graceOfWitness, mostGrace))
	if r.Since.IsZero() || !l.now.Before(end) {
		return time.Time{}
	}
	return end
}

// witness returns the readings of a witness, sorted.
func (l *look) witness(w signalbox.Witness) []*signalbox.Reading {
	l.read(signalbox.ReadingKey(w.Detector, w.Subject))
	var readings []*signalbox.Reading
	l.w.Facts.Subject(w.Detector, w.Subject, func(r *signalbox.Reading) { readings = append(readings, r) })
	if len(readings) == 0 {
		l.missing(w.Detector)
	}
	slices.SortFunc(readings, func(a, b *signalbox.Reading) int {
		return strings.Compare(a.Series+"\x00"+a.Episode, b.Series+"\x00"+b.Episode)
	})
	return readings
}

// destination is what a condition sees of where a step would go. Its value is
// the worst of those that prove it, and is not known unless all are fresh.
func (l *look) destination(s *signalbox.Step) *destination {
	if s == nil {
		return nil
	}
	d := &destination{position: s.To, healthy: l.healthy(s.Health, s.To, 0).effect == passes}
	w, ok := s.Health[s.To]
	if !ok {
		return d
	}
	var worst *signalbox.Reading
	for _, r := range l.witness(w) {
		if fresh, _ := l.fresh(r); !fresh || celValue(r) == nil {
			return d
		}
		if worst == nil || worse(r, worst) {
			worst = r
		}
	}
	if worst != nil {
		d.value = celValue(worst)
	}
	return d
}

// worse compares in the direction in which the detector breaches.
func worse(a, b *signalbox.Reading) bool {
	if strings.HasPrefix(a.Threshold, "below") {
		return a.Value < b.Value
	}
	return a.Value > b.Value
}
