package engine

import (
	"context"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// watchEvery is the least time between two looks at what the policies in shadow
// would throw for one incident.
const watchEvery = 5 * time.Minute

// watch looks at the switches that policies in shadow would throw, so that it can
// be told whether they would have acted: until that is counted, and not often.
// Looking changes nothing.
func (l *loop) watch(inc *signalbox.Incident, d *signalbox.Decision, now time.Time) {
	var steps []signalbox.Step
	for _, s := range d.Shadow {
		if s.Verdict == signalbox.Preview && s.Step != nil && !slices.Contains(inc.Told, wouldHave+s.Policy) {
			steps = append(steps, *s.Step)
		}
	}
	if len(steps) == 0 {
		return
	}
	if last, ok := l.shadowed[inc.ID]; ok && now.Sub(last).Abs() < watchEvery {
		if next := last.Add(watchEvery); d.Until.IsZero() || next.Before(d.Until) {
			l.due.schedule(inc.ID, inc.Reading.Detector, next)
		}
		return
	}
	l.shadowed[inc.ID] = now
	auth, set, id := l.auth, l.set(), inc.ID
	go func() {
		ctx, cancel := context.WithTimeout(auth.ctx, l.e.timing.Confirm)
		defer cancel()
		for _, step := range steps {
			fc, err := l.e.preview(ctx, set, step)
			if err != nil {
				fc = signalbox.Forecast{Refused: "can't be previewed: " + err.Error()}
			}
			fc.At = now
			l.e.post(context.WithoutCancel(ctx), func(l *loop) {
				if l.auth == auth {
					l.touch(l.facts.PutForecast(step.Hash(), &fc))
					l.touchIncident(id)
				}
			})
		}
	}()
}
