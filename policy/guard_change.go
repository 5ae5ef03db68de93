package policy

import (
	"fmt"
	"slices"

	signalbox "github.com/signalbox/signalbox"
)

// guardChange holds while a deploy or a migration is under way, as a detector
// sees it: what is ill then is its doing, and for those who do it. Policies that
// are meant for it act during it alone; a runbook that threw something during it
// goes on after it, since its own step may have ended it. Whether one is under
// way that can't be seen can't be excluded.
func guardChange(l *look, m *move) answer {
	if m.rule == nil || len(l.h.config.Changes) == 0 {
		return answer{effect: passes, detail: "no change is watched"}
	}
	var under, quiet, unseen, its []string
	for i := range l.h.config.Changes {
		c := &l.h.config.Changes[i]
		if slices.Contains(m.rule.Ignores, c.Name) {
			continue
		}
		going, seen, detail := l.going(c)
		meant := slices.Contains(m.rule.During, c.Name)
		switch {
		case meant && going:
			its = append(its, detail)
		case meant && seen && l.begun(m.plan):
		case meant:
			quiet = append(quiet, detail)
		case !seen:
			unseen = append(unseen, detail)
		case going:
			under = append(under, detail)
		}
	}
	switch {
	case len(quiet) > 0 && len(its) == 0:
		return answer{blocks, "it acts during " + fmt.Sprint(m.rule.During) + " only: " + joinAnd(quiet), "one of them is under way"}
	case len(under) > 0:
		return answer{blocks, joinAnd(under), lifts["change"]}
	case len(unseen) > 0:
		return answer{blocks, joinAnd(unseen), "fresh samples that show that none is under way"}
	}
	if len(its) > 0 {
		return answer{effect: passes, detail: "it is for this: " + joinAnd(its)}
	}
	return answer{effect: passes, detail: "no deploy or migration is under way"}
}

// begun reports whether a runbook has thrown something for the incident.
func (l *look) begun(plan *signalbox.Plan) bool {
	return slices.ContainsFunc(l.actions, func(a *signalbox.Action) bool {
		return a.Undoes == "" && a.Stage == signalbox.Done && a.Policy == plan.Policy && !quiet(&a.Step)
	})
}

// going reports whether a change is under way, and whether that is known.
func (l *look) going(c *Change) (going, seen bool, detail string) {
	kind := "deploy"
	if c.Migration {
		kind = "migration"
	}
	what := kind + " " + c.Name
	readings := l.changeReadings(c)
	if len(readings) == 0 {
		return false, false, what + ": no reading of " + c.Detector
	}
	for _, r := range readings {
		fresh, why := l.fresh(r)
		switch {
		case !fresh:
			detail = fmt.Sprintf("%s can't be seen: %s on %s, %s", what, r.Detector, r.Subject, why)
		case r.Condition == signalbox.Breached:
			return true, true, fmt.Sprintf("%s is under way: %s on %s since %s", what, r.Detector, r.Subject, clock(r.OnsetAt))
		}
	}
	if detail != "" {
		return false, false, detail
	}
	return false, true, what + " is not under way"
}

// changeReadings are what is seen of a change: on its subject, filled with the
// incident's labels, or on any.
func (l *look) changeReadings(c *Change) []*signalbox.Reading {
	if c.Subject != "" {
		subject, err := expand(c.Subject, l.inc.Reading.Labels)
		if err != nil {
			return nil
		}
		return l.witness(signalbox.Witness{Detector: c.Detector, Subject: subject})
	}
	l.read(signalbox.DetectorKey(c.Detector))
	readings := l.w.Facts.OfDetector(c.Detector)
	if len(readings) == 0 {
		l.missing(c.Detector)
	}
	return readings
}
