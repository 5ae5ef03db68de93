package policy

import (
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// guardSilence holds what Alertmanager holds, by a silence or an inhibition: who
// silences an alert knows of it. The same stops its pages.
func guardSilence(l *look, _ *move) answer {
	if s := l.suppressed(); s != "" {
		return answer{effect: waits, detail: "it is held under " + s, lifts: lifts["suppressed"]}
	}
	if a := l.silencesAge(); a.effect != passes {
		return a
	}
	return answer{effect: passes, detail: "no silence or inhibition"}
}

// silencesAge holds while Alertmanager's silences, where they count for all
// incidents, can't be read: somebody may have silenced this. Its page goes out.
func (l *look) silencesAge() answer {
	if !l.h.config.Silences {
		return answer{effect: passes}
	}
	l.readSilences()
	at, lifts := l.w.Facts.Silenced.At, "Alertmanager's silences can be read again"
	if age := l.now.Sub(at).Abs(); !at.IsZero() && age <= silencesOld {
		l.at(at.Add(silencesOld + time.Nanosecond))
		return answer{effect: passes}
	}
	detail := fmt.Sprintf("Alertmanager's silences were read %s, at most %s old are relied on", clock(at), span(silencesOld))
	return l.waitsFor(corroborateWithin, answer{detail: detail, lifts: lifts})
}

// silencesOld is how old the silences may be that are relied on.
const silencesOld = 5 * time.Minute

// silenced finds a silence of Alertmanager's that matches what an incident is
// about, for incidents that are not its own alerts: its labels, with its detector
// as alertname and its subject.
func (l *look) silenced(r *signalbox.Reading) string {
	if !l.h.config.Silences {
		return ""
	}
	l.readSilences()
	for i := range l.w.Facts.Silenced.List {
		s := &l.w.Facts.Silenced.List[i]
		if !l.now.Before(s.Until) || len(s.Matchers) == 0 {
			continue
		}
		all := true
		for _, m := range s.Matchers {
			all = all && m.Matches(labelOf(r, m.Name))
		}
		if all {
			l.at(s.Until)
			return fmt.Sprintf("silence %s of %s until %s: %s", s.ID, s.Who, s.Until.UTC().Format(time.RFC3339), s.Comment)
		}
	}
	return ""
}

func labelOf(r *signalbox.Reading, name string) string {
	switch v, ok := r.Labels[name]; {
	case ok:
		return v
	case name == "alertname":
		return r.Detector
	case name == "subject":
		return r.Subject
	}
	return ""
}
