package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// move is one step that is being considered, forward or back.
type move struct {
	plan   *signalbox.Plan
	index  int
	step   *signalbox.Step
	rule   *rule             // the plan's policy as it is configured now; nil: it is gone
	undoes *signalbox.Action // the action that the step takes back; nil: forward
	shadow bool              // only to be recorded
	byWord bool              // a person asked for it

	spendIn  []string            // its scopes, once they were asked for
	forecast *signalbox.Forecast // nil: none yet
	targets  []signalbox.Target  // what it touches; none while there is no forecast
}

// hash is that of the step; of a policy's own it is known already.
func (m *move) hash() string {
	if r := m.rule; r != nil && m.index < len(r.Runbook) && m.step == &r.Runbook[m.index] {
		return r.hashes[m.index]
	}
	return m.step.Hash()
}

// effect is how a guard's answer weighs. The greatest of all guards counts.
type effect uint8

const (
	passes effect = iota
	waits         // holds without a page: it comes soon
	blocks        // holds and pages; asked again when something changes
	stops         // pages, and automation gives up on the incident
)

// answer is what a guard says, with its figures.
type answer struct {
	effect effect
	detail string
	lifts  string // what would change it, for people; empty where it passes
}

// guard is one of the conditions under which a move is made.
type guard struct {
	name string
	ask  func(l *look, m *move) answer
	// touched says that the answer depends on the targets or the forecast, so
	// that it is asked again when they are known.
	touched bool
}

// forwardGuards are asked before a switch is thrown, in this order.
func forwardGuards() []guard {
	return []guard{
		{name: "autonomy", ask: guardAutonomy},
		{name: "freshness", ask: guardFreshness},
		{name: "silence", ask: guardSilence},
		{name: "needs", ask: guardNeeds},
		{name: "onset", ask: guardOnset},
		{name: attemptsGuard, ask: guardAttempts},
		{name: "flapping", ask: guardFlapping},
		{name: "kill", ask: guardKill},
		{name: "pause", ask: guardPause, touched: true},
		{name: "hand", ask: guardHand, touched: true},
		{name: "freeze", ask: guardFreeze},
		{name: "change", ask: guardChange},
		{name: "dependency", ask: guardDependency},
		{name: "conflict", ask: guardConflict, touched: true},
		{name: "condition", ask: guardCondition},
		{name: "items", ask: guardItems, touched: true}, // its figures are told when it is asked again
		{name: "lane", ask: guardLane, touched: true},
		{name: "health", ask: guardHealth},
		{name: "blast", ask: guardBlast, touched: true},
		{name: "budget", ask: guardBudget, touched: true},
		{name: "forecast", ask: guardForecast, touched: true},
		{name: "in_flight", ask: guardInFlight, touched: true},
		{name: "cooldown", ask: guardCooldown, touched: true},
		{name: "restored", ask: guardRestored, touched: true},
		{name: "ineffective", ask: guardIneffective, touched: true},
	}
}

// backwardGuards are asked before a switch is taken back, in this order.
// Freeze and health let an action that did not help be taken back.
func backwardGuards() []guard {
	return []guard{
		{name: attemptsGuard, ask: guardAttempts},
		{name: "kill", ask: guardKill},
		{name: "pause", ask: guardPause, touched: true},
		{name: "hand", ask: guardHand, touched: true},
		{name: "freeze", ask: guardFreezeBack},
		{name: "health", ask: guardHealthBack},
		{name: "forecast", ask: guardForecast, touched: true},
		{name: "in_flight", ask: guardInFlight, touched: true},
	}
}

// finding is what all guards together say of a move.
type finding struct {
	effect  effect
	why     string // what weighs most, with its figures
	guard   string // whose it is
	preview bool   // nothing forbids it, but a forecast is wanted first
}

// consider asks the guards. They are asked first without a forecast: where one
// of them forbids the move as it is, nothing needs to be previewed.
func (l *look) consider(m *move) finding {
	guards := l.h.forward
	switch {
	case m.step.Tells && m.undoes == nil:
		guards = l.h.telling
	case m.step.Tells:
		guards, m.targets = l.h.tellingBack, m.undoes.Forecast.Targets
	case m.undoes != nil:
		guards, m.targets = l.h.backward, m.undoes.Forecast.Targets
	}
	var room [32]answer // more guards than there are
	answers := room[:len(guards)]
	l.brief = l.w.Facts.Forecast(m.hash()) != nil // then most are asked once more, and tell their figures then
	for i := range guards {
		answers[i] = l.consult(&guards[i], m)
	}
	f := weigh(guards, answers)
	foreseen := f.effect == passes && l.forecast(m)
	if l.brief && !foreseen {
		l.brief = false
		l.askTouched(guards, answers, m)
	}
	l.brief = false
	if f.effect != passes {
		l.noteAll(guards, answers)
		return f
	}
	if !foreseen {
		l.noteAll(guards, answers)
		l.note("forecast", false, "none that is less than %s old: asked for", span(l.h.config.ForecastAge))
		l.at(l.now.Add(l.h.config.ForecastAge)) // should the question get lost
		return finding{preview: true}
	}
	l.askTouched(guards, answers, m)
	l.noteAll(guards, answers)
	return weigh(guards, answers)
}

// consult asks one guard. What it blocks for a detector that has had no round since
// the start waits for that round: it would page for what is about to be known.
func (l *look) consult(g *guard, m *move) answer {
	l.early = ""
	a := g.ask(l, m)
	if a.effect == blocks && l.early != "" {
		a.effect, a.lifts = waits, "the first round of "+l.early
		a.detail += "; the first round of " + l.early + " since the start is still to come"
	}
	return a
}

// missing notes a detector of which nothing is known.
func (l *look) missing(detector string) {
	if l.w.Unseen[detector] {
		l.early = detector
	}
}

// askTouched asks those guards again whose answers depend on the targets.
func (l *look) askTouched(guards []guard, answers []answer, m *move) {
	for i := range guards {
		if guards[i].touched {
			answers[i] = l.consult(&guards[i], m)
		}
	}
}

// weigh finds the answer with the greatest effect.
func weigh(guards []guard, answers []answer) (f finding) {
	for i, a := range answers {
		if a.effect > f.effect {
			f.effect, f.why, f.guard = a.effect, guards[i].name+": "+a.detail, guards[i].name
		}
	}
	return f
}

// noteAll notes the answers of the guards that had something to say.
func (l *look) noteAll(guards []guard, answers []answer) {
	l.because = slices.Grow(l.because, len(guards)+2)
	for i, a := range answers {
		if a.detail != "" {
			l.because = append(l.because, signalbox.Reason{Guard: guards[i].name, Passed: a.effect == passes, Detail: a.detail, Lifts: a.lifts})
		}
	}
}

// forecast fills in the forecast of a move, if there is one that is young
// enough. A move in shadow is never acted on, so any forecast does.
func (l *look) forecast(m *move) bool {
	hash := m.hash()
	l.read(signalbox.ForecastKey(hash))
	f := l.w.Facts.Forecast(hash)
	if f == nil || !m.shadow && !l.young(f, m) {
		return false
	}
	m.forecast = f
	m.targets = append(append([]signalbox.Target(nil), m.targets...), f.Targets...)
	if !m.shadow {
		l.touches = m.targets
	}
	return true
}

// young reports whether a forecast still tells what is there: it is not old, and
// no action on what it touches came after it.
func (l *look) young(f *signalbox.Forecast, m *move) bool {
	if !l.within(f.At, l.h.config.ForecastAge) || m.undoes != nil && l.outdated(f, m.undoes.EndedAt) {
		return false
	}
	for _, t := range f.Targets {
		l.readTarget(t)
		s := l.w.State.Targets[t]
		if s == nil || s.Last == "" {
			continue
		}
		l.read(signalbox.ActionKey(s.Last))
		if a := l.w.State.Actions[s.Last]; a != nil && l.outdated(f, a.EndedAt) {
			return false
		}
	}
	return true
}

// within reports whether t is less than d away from now.
func (l *look) within(t time.Time, d time.Duration) bool {
	return l.now.Sub(t).Abs() < d
}

// outdated reports whether a forecast was made before a moment that has passed.
// One that is still to come, since the clock went back, outdates nothing: asking
// for ever newer forecasts would not help.
func (l *look) outdated(f *signalbox.Forecast, by time.Time) bool {
	return f.At.Before(by) && !by.After(l.now)
}

// take decides on a move forward.
func (l *look) take(m *move) signalbox.Decision {
	act := signalbox.Decision{Verdict: signalbox.Act, Plan: m.plan, Next: m.index, Step: m.step}
	if isPage(m.step) {
		return l.takePage(m, act)
	}
	if !m.shadow && l.root(l.dependsOn()) == nil { // else it waits for its root, and that one must not wait for it
		l.wanted = l.want(m)
	}
	f := l.consider(m)
	act.Spends = l.spends(m)
	switch {
	case f.preview:
		act.Verdict = signalbox.Preview
		return act
	case m.shadow && f.effect == passes:
		return act
	case m.shadow:
		return l.held()
	case m.autonomy() == Suggest:
		return l.suggest(m, f)
	case f.effect == passes:
		if why := l.wantsApproval(m); why != "" {
			return l.approved(m, act, why)
		}
		return act
	case f.effect == waits:
		return l.held()
	}
	why := "policy " + m.plan.Policy + " did not throw " + throw(m.step) + ": " + f.why
	if f.effect == stops {
		return l.giveUp(why, "")
	}
	return l.heldUp(m, f.guard, why)
}

// ToldHeld begins the mark in Incident.Told of a guard that held a step of a
// runbook which had paged before.
const ToldHeld = "held/"

// heldUp pages that a step is not taken. Where the owner's page is the runbook's
// own, it is brought up to date, once for each guard: who was paged by a step must
// learn that the next one is held.
func (l *look) heldUp(m *move, guard, why string) signalbox.Decision {
	mark := fmt.Sprint(ToldHeld, m.index, "/", guard)
	if l.inc.Page == "" || !l.paged(m.plan) || slices.Contains(l.inc.Told, mark) || l.suppressed() != "" {
		return l.escalate(why, "")
	}
	return signalbox.Decision{Verdict: signalbox.Escalate, Page: l.pageNote(why, ""), Told: mark}
}

// paged reports whether a step of a runbook has paged the incident's owner.
func (l *look) paged(plan *signalbox.Plan) bool {
	return slices.ContainsFunc(l.actions, func(a *signalbox.Action) bool {
		return a.Policy == plan.Policy && isPage(&a.Step) && a.Step.Name == l.owner()
	})
}

// takePage takes a step that only tells a person: no guard holds it back but
// its own condition.
func (l *look) takePage(m *move, act signalbox.Decision) signalbox.Decision {
	if a := guardCondition(l, m); a.effect != passes {
		l.note("condition", false, "%s", a.detail)
		if m.shadow {
			return l.held()
		}
		return l.escalate("policy "+m.plan.Policy+" did not page "+m.step.Name+": "+a.detail, "")
	}
	if s := l.suppressed(); s != "" {
		return l.hold("suppressed", "the source holds it under %s: no page", s)
	}
	l.note("page", true, "a page is never held back")
	act.Page = l.pageNote("step of "+m.plan.Policy, "")
	act.Page.Owner = m.step.Name
	return act
}
