package policy

import (
	"slices"

	signalbox "github.com/signalbox/signalbox"
)

// back is the move that takes an action back; nil where no such step is known.
func (l *look) back(a *signalbox.Action) *move {
	if a.Forecast.Undo == nil {
		return nil
	}
	return &move{plan: l.inc.Plan, step: a.Forecast.Undo, undoes: a}
}

func undoMode(a *signalbox.Action) signalbox.UndoMode {
	if a.Step.Undo == "" {
		return signalbox.UndoAsk
	}
	return a.Step.Undo
}

// goBack turns what the guards found into the decision to take back, or to
// preview that. ok is false where they forbid it.
func (l *look) goBack(m *move, f finding) (d signalbox.Decision, ok bool) {
	d = signalbox.Decision{Verdict: signalbox.Undo, Takes: m.undoes.ID, Step: m.step}
	switch {
	case f.preview:
		d.Verdict = signalbox.Preview
		return d, true
	case f.effect != passes:
		return d, false
	}
	if why := l.wantsApproval(m); why != "" {
		return l.approved(m, d, why), true
	}
	return d, true
}

// isBack reports whether a forecast found that a move back was made by hand.
func isBack(m *move) bool {
	return m.forecast != nil && m.forecast.Refused == "" && m.forecast.Already
}

// takeBackChain takes back, newest first, what a chain of steps threw that was
// verified at its end and did not help. It ends at the first that does not go
// back by itself: what was thrown before it may be needed by it.
func (l *look) takeBackChain(last *signalbox.Action) (d signalbox.Decision, decided bool) {
	for _, a := range slices.Backward(l.actions) {
		if a != last && a.Outcome != "" {
			break // of what was judged before
		}
		if a.Undoes != "" || a.Step.Tells || !l.stands(a) {
			continue
		}
		if d, decided = l.takeBackIneffective(a); decided || undoMode(a) != signalbox.UndoAuto {
			return d, decided
		}
	}
	return d, false
}

// takeBackIneffective takes back, at once, an action that did not help, if its
// switch may go back by itself. decided is false where there is nothing to take
// back, and the runbook goes on.
func (l *look) takeBackIneffective(a *signalbox.Action) (d signalbox.Decision, decided bool) {
	if !l.stands(a) {
		return d, false
	}
	if a.Forecast.Expires != 0 {
		l.note("limit", false, "%s stays until its time is over or all is well: a limit does not heal what it is set for", throw(&a.Step))
		return d, false
	}
	if mode := undoMode(a); mode != signalbox.UndoAuto {
		l.note("undo", false, "%s did not help and stays thrown: its undo is %s", throw(&a.Step), mode)
		return d, false
	}
	if tried := l.undoOf(a.ID); tried != nil {
		return l.giveUp(throw(&a.Step)+" did not help, and could not be taken back: "+tried.Reason, ""), true
	}
	m := l.back(a)
	if m == nil {
		return l.giveUp(throw(&a.Step)+" did not help, and no step is known that takes it back", ""), true
	}
	f := l.consider(m)
	if d, ok := l.goBack(m, f); ok {
		return d, true
	}
	if isBack(m) {
		l.note("undo", true, "%s was taken back by hand", throw(&a.Step))
		return d, false
	}
	if f.effect == waits {
		return l.held(), true
	}
	return l.escalate(throw(&a.Step)+" did not help, and is not taken back: "+f.why, ""), true
}

// ineffective reports whether an action did not help an incident that is still
// ill: it is then better taken back at once. After the incident is over, it is
// taken back with the same care as any other.
func (l *look) ineffective(a *signalbox.Action) bool {
	if a.Outcome == "" { // of a chain: what its last action did counts for all
		last := l.lastSwitched()
		return last != nil && last.Outcome == notHelped && !l.clear()
	}
	return a.Outcome == notHelped && !l.clear()
}

// onWord takes back, on a person's word, what an incident has thrown. asked is
// false where nobody asked, or where nothing is left to take back.
func (l *look) onWord() (d signalbox.Decision, asked bool) {
	if !l.hasWord() {
		return d, false
	}
	for _, a := range slices.Backward(l.actions) {
		if a.Step.Tells || undoMode(a) == signalbox.UndoNever || !l.stands(a) {
			continue
		}
		m := l.back(a)
		if m == nil || l.undoOf(a.ID) != nil {
			return d, false // what was thrown before it may be needed by it
		}
		m.byWord = true
		l.note("undo", true, "a person asked to take %s back", throw(&a.Step))
		f := l.consider(m)
		if d, ok := l.goBack(m, f); ok {
			return d, true
		}
		if !isBack(m) {
			return l.held(), true
		}
	}
	return d, false
}

func (l *look) hasWord() bool {
	for _, c := range l.w.State.Controls.Words {
		if c.Kind == signalbox.TakeBack && c.Scope == "incident/"+string(l.inc.ID) {
			return true
		}
	}
	return false
}
