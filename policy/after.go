package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// afterClear brings an incident whose series is well to its end. What it has
// thrown is taken back first, newest first, as each switch's undo mode says: what
// goes back by itself is not taken back under what was thrown on it later and is
// held. What waits for a person's word holds nothing else, and nothing holds a
// limit whose time is over.
func (l *look) afterClear() signalbox.Decision {
	if d, waits := l.badlyEnded(); waits {
		return d
	}
	if d, waits := l.cutShort(); waits {
		return d
	}
	var waiting *signalbox.Decision
	held := false
	for _, a := range slices.Backward(l.actions) {
		if a.Step.Tells || !l.stands(a) || held && !l.expired(a) {
			continue
		}
		d, decided := l.restore(a)
		if !decided {
			continue
		}
		if d.Verdict != signalbox.Hold {
			return d
		}
		held = held || !l.waitsForWord(a)
		if waiting == nil {
			waiting = &d
		}
	}
	if waiting != nil {
		waiting.Back = l.handed
		return *waiting
	}
	if d, waits := l.leftOver(); waits {
		return d
	}
	if d, left := l.tellEnd(); left {
		return d
	}
	return l.resolve()
}

// waitsForWord reports whether it is a person who says when an action is taken
// back, and nobody has tried.
func (l *look) waitsForWord(a *signalbox.Action) bool {
	return undoMode(a) == signalbox.UndoAsk && !l.expired(a) && l.undoOf(a.ID) == nil
}

// badlyEnded pages for a step that ran and failed, such as the smoke tests after a
// rollback, though all is well again. The incident stays open until the page is
// acknowledged, and at most as long as what is thrown waits to be taken back.
func (l *look) badlyEnded() (d signalbox.Decision, waits bool) {
	i := slices.IndexFunc(l.actions, func(a *signalbox.Action) bool { return a.Undoes == "" && !a.Step.Tells && a.Ran() })
	if i < 0 {
		return d, false
	}
	a := l.actions[i]
	if l.inc.GaveUp == "" {
		return l.giveUp(throw(&a.Step)+" ran and failed"+failedIDs(a)+": "+a.Reason+l.notTaken("; "), ""), true
	}
	end := l.inc.ClearAt.Add(l.afterHealthy())
	if !l.now.Before(end) || l.heard() {
		return d, false
	}
	l.at(end)
	return l.hold("ran", "%s ran and failed: it stays open until its page is acknowledged, at most until %s", throw(&a.Step), clock(end)), true
}

// heard reports whether a person acknowledged the incident's page since it last
// told something; also where there is no page that could be.
func (l *look) heard() bool {
	if l.inc.Page == "" {
		return true
	}
	l.read(signalbox.PageKey(l.inc.Page))
	p := l.w.State.Pages[l.inc.Page]
	return p == nil || !p.AckedAt.IsZero() && !p.AckedAt.Before(p.At)
}

// restore decides on one action whose effect stands after its incident is over.
// decided is false where nothing is waited for.
func (l *look) restore(a *signalbox.Action) (d signalbox.Decision, decided bool) {
	mode := undoMode(a)
	if mode == signalbox.UndoAsk && l.expired(a) { // that it ends was said when it was set
		mode = signalbox.UndoAuto
	}
	if mode == signalbox.UndoNever {
		l.note("undo", true, "%s stays thrown: its undo is by hand only (%s)", throw(&a.Step), a.Forecast.ByHand)
		return d, false
	}
	m := l.back(a)
	if m == nil {
		return l.stuck(a, "no step is known that takes it back"), true
	}
	tried := l.undoOf(a.ID)
	if tried == nil && mode == signalbox.UndoAuto {
		if d, waits := l.settleDown(a); waits {
			return d, true
		}
	}
	if d, asked := l.byHand(m); asked {
		return d, d.Verdict != ""
	}
	switch _, proved := a.Step.Health[a.Forecast.Position]; {
	case tried != nil:
		return l.stuck(a, "taking it back failed: "+tried.Reason), true
	case mode == signalbox.UndoAuto && !proved && !a.Step.Tool:
		return l.stuck(a, fmt.Sprintf("nothing proves its old position %q healthy", a.Forecast.Position)), true
	case mode == signalbox.UndoAsk:
		return l.hold("undo_ask", "%s waits for a person's word to be taken back, or for a hand (%s)", throw(&a.Step), a.Forecast.ByHand), true
	}
	f := l.consider(m)
	if d, ok := l.goBack(m, f); ok {
		return d, true
	}
	if m.forecast != nil && m.forecast.Refused != "" || len(l.hands) > 0 {
		return l.stuck(a, f.why), true
	}
	return l.held(), true
}

// goneForGood is how long a series that was clear may be missing before a person
// is told that what was thrown for it stays thrown.
const goneForGood = 30 * time.Minute

// settleDown waits until all has been well for as long as the plan says: the
// incident's own series, and the position to go back to. A limit whose time is over
// waits no longer than until all is well.
func (l *look) settleDown(a *signalbox.Action) (d signalbox.Decision, waiting bool) {
	during := l.afterHealthy()
	switch end := expires(a); {
	case l.expired(a):
		during = 0
	case !end.IsZero():
		l.at(end)
	}
	if end := l.inc.ClearAt.Add(during); l.now.Before(end) {
		l.at(end)
		return l.hold("after_healthy", "clear since %s, wanted for %s before %s is taken back", clock(l.inc.ClearAt), span(during), throw(&a.Step)), true
	}
	own := l.reading()
	switch ended := !l.inc.Reading.EndedAt.IsZero(); {
	case own == nil && ended: // its detector proved that it is gone for good
		own = &l.inc.Reading
	case own == nil:
		end := l.inc.ClearAt.Add(during + goneForGood)
		if !l.now.Before(end) {
			return l.stuck(a, "its series can't be read any more"), true
		}
		l.at(end)
		return l.hold("after_healthy", "no reading of its series: not proved to be clear"), true
	default:
		if ok, why := l.fresh(own); !ok || own.Condition != signalbox.Clear {
			return l.hold("after_healthy", "its series is %s right now: %s", own.Condition, why), true
		}
	}
	// Another episode or series of the same subject may be ill by now.
	for _, r := range l.witness(signalbox.Witness{Detector: own.Detector, Subject: own.Subject}) {
		if ok, _ := l.fresh(r); ok && r.Condition == signalbox.Breached {
			return l.hold("after_healthy", "%s on %s is breached again", r.Detector, r.Subject), true
		}
	}
	h := l.healthy(a.Step.Health, a.Forecast.Position, during)
	if _, proved := a.Step.Health[a.Forecast.Position]; !proved || h.effect == passes { // a tool has no positions to prove
		return d, false
	}
	return l.hold("health", "%s stays thrown: %s", throw(&a.Step), h.detail), true
}

func (l *look) afterHealthy() time.Duration {
	if l.inc.Plan == nil {
		return 0
	}
	return l.inc.Plan.AfterHealthy
}

// byHand looks from time to time whether a person has taken a switch back. It
// answers with a Preview where that was not looked at lately, and with an empty
// decision where it was taken back; asked is false where it is still thrown.
func (l *look) byHand(m *move) (d signalbox.Decision, asked bool) {
	hash := m.step.Hash()
	l.read(signalbox.ForecastKey(hash))
	f := l.w.Facts.Forecast(hash)
	if f == nil || !l.within(f.At, lookAgain) || l.outdated(f, m.undoes.EndedAt) {
		l.note("forecast", false, "whether %s is still thrown was not looked at in the last %s: asked for", throw(&m.undoes.Step), span(lookAgain))
		l.at(l.now.Add(l.h.config.ForecastAge))
		return signalbox.Decision{Verdict: signalbox.Preview, Takes: m.undoes.ID, Step: m.step}, true
	}
	l.at(f.At.Add(lookAgain))
	if f.Already && f.Refused == "" {
		l.note("undo", true, "%s was taken back by hand", throw(&m.undoes.Step))
		l.handed = append(l.handed, m.undoes.ID)
		return d, true
	}
	return d, false
}

// stuck pages once that a switch stands thrown and does not go back by itself,
// and then waits for a hand.
func (l *look) stuck(a *signalbox.Action, why string) signalbox.Decision {
	l.note("undo", false, "%s stays thrown: %s (by hand: %s)", throw(&a.Step), why, a.Forecast.ByHand)
	if l.inc.GaveUp != "" {
		return l.escalate(l.inc.GaveUp, "")
	}
	return l.giveUp(throw(&a.Step)+" stays thrown: "+why, "")
}

// resolve ends an incident, in exactly one way.
func (l *look) resolve() signalbox.Decision {
	end, why := l.end()
	l.note("resolve", true, "clear since %s: %s", clock(l.inc.ClearAt), why)
	return signalbox.Decision{Verdict: signalbox.Resolve, End: end, Back: l.handed}
}

func (l *look) end() (signalbox.End, string) {
	var tried, failed, paged int
	for _, a := range l.actions {
		if isPage(&a.Step) {
			paged++
		}
		if a.Undoes != "" || quiet(&a.Step) {
			continue
		}
		if a.Outcome == signalbox.Recovered {
			return signalbox.Acted, throw(&a.Step) + " helped"
		}
		tried++
		if a.Outcome == notHelped {
			failed++
		}
	}
	switch {
	case failed > 0 || tried > 0 && l.inc.GaveUp != "":
		return signalbox.Failed, fmt.Sprintf("%d actions were taken, and none is known to have helped", tried)
	case l.inc.Page != "" || paged > 0:
		return signalbox.Escalated, "its owner was paged"
	case tried > 0:
		return signalbox.Failed, "what was done is not known to have helped"
	case l.suppressed() != "":
		return signalbox.Suppressed, "the source held it under " + l.suppressed()
	}
	return signalbox.Suppressed, "gone before anything was started"
}
