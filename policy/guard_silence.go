package policy

import (
	"fmt"
	"time"
)

// guardSilence holds what Alertmanager holds, by a silence or an inhibition: who
// silences an alert knows of it. The same stops its pages.
func guardSilence(l *look, _ *move) answer {
	if s := l.suppressed(); s != "" {
		return answer{effect: waits, detail: "it is held under " + s, lifts: lifts["suppressed"]}
	}
	return answer{effect: passes, detail: "no silence or inhibition"}
}

// silenced finds a silence of Alertmanager's that matches the incident, for
// incidents that are not its own alerts: its labels, with its detector as
// alertname and its subject.
func (l *look) silenced() string {
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
			all = all && m.Matches(l.label(m.Name))
		}
		if all {
			l.at(s.Until)
			return fmt.Sprintf("silence %s of %s until %s: %s", s.ID, s.Who, s.Until.UTC().Format(time.RFC3339), s.Comment)
		}
	}
	return ""
}

func (l *look) label(name string) string {
	r := &l.inc.Reading
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
