package policy

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Made is one page that was made for an incident of its own.
type Made struct {
	Detector string
	At       time.Time
}

// The bounds of pages before a storm is told as one.
const (
	stormWithin      = 5 * time.Minute
	mostOfDetector   = 5
	mostOfOwner      = 10
	stormOf          = "storm/"
	changeCause      = "change/"
	targetCause      = "target/"
	seenCause        = "seen/"
	recentlyFinished = 15 * time.Minute
)

// Storm says which page a further incident joins where an owner got many lately:
// beyond 5 of one detector in 5 minutes that detector's, beyond 10 in all the
// owner's. Empty: it gets its own.
func Storm(owner, detector string, lately []Made, now time.Time) string {
	all, same := 0, 0
	for _, m := range lately {
		if now.Sub(m.At).Abs() >= stormWithin {
			continue
		}
		all++
		if m.Detector == detector {
			same++
		}
	}
	switch {
	case all >= mostOfOwner:
		return stormOf + owner
	case same >= mostOfDetector:
		return stormOf + owner + "/" + detector
	}
	return ""
}

// Lately drops what no longer counts in a storm.
func Lately(made []Made, now time.Time) []Made {
	kept := made[:0:0]
	for _, m := range made {
		if now.Sub(m.At).Abs() < stormWithin {
			kept = append(kept, m)
		}
	}
	return kept
}

// causes are what incidents have in common that are one for people: the target
// that is touched, the deploy or migration under way, and the illness of one subject
// that a policy is told of by several detectors.
func (l *look) causes() (causes []string) {
	causes = l.seen()
	for _, t := range l.touches {
		causes = append(causes, targetCause+string(t))
	}
	for i := range l.h.config.Changes {
		c := &l.h.config.Changes[i]
		if going, _, _ := l.going(c); going || l.ended(c) {
			causes = append(causes, changeCause+c.Name)
		}
	}
	return causes
}

// seen are the causes by which several detectors tell a policy of one illness: on
// one subject, or a witness on another that is ill with it.
func (l *look) seen() (causes []string) {
	r := &l.inc.Reading
	for _, policy := range l.h.seenBy[r.Detector] {
		causes = append(causes, seenCause+policy+"/"+r.Subject)
	}
	for _, rule := range l.h.afar[r.Detector] {
		for _, w := range rule.Witnesses {
			if w.Detector == r.Detector && w.Subject == r.Subject {
				causes = append(causes, seenCause+rule.Name+"@"+w.Subject)
			}
		}
	}
	if l.own == nil {
		return causes
	}
	for _, rule := range l.h.on[r.Detector] {
		for _, w := range rule.Witnesses {
			if w.Subject != "" && l.labelsAgree(rule, false) && l.ill(w) {
				causes = append(causes, seenCause+rule.Name+"@"+w.Subject)
			}
		}
	}
	return causes
}

// ill reports whether a reading of a witness is breached.
func (l *look) ill(w signalbox.Witness) (ill bool) {
	l.read(signalbox.ReadingKey(w.Detector, w.Subject))
	l.w.Facts.Subject(w.Detector, w.Subject, func(r *signalbox.Reading) { ill = ill || r.Condition == signalbox.Breached })
	return ill
}

// ended reports whether a change was under way a short while ago.
func (l *look) ended(c *Change) bool {
	for _, r := range l.changeReadings(c) {
		if r.Condition == signalbox.Clear && !r.EndedAt.IsZero() && l.now.Sub(r.EndedAt) < recentlyFinished {
			return true
		}
	}
	return false
}
