package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// Control puts a person's control on record, and in force with it. It returns
// ErrNoTerm when there is no store to record it in: the kill file works then.
func (e *Engine) Control(ctx context.Context, c signalbox.Control) error {
	_, err := e.ControlBy(ctx, c, nil)
	return err
}

// ControlBy is Control for one who is asked whether they may. may is told the
// scopes that the control is in at once (an incident's are also its policy's
// and its owner's), and whether the kill switch is thrown; its error refuses
// the control, in the same moment in which it would be set. It must not block.
// The control is returned as it was set, its scope whole.
func (e *Engine) ControlBy(ctx context.Context, c signalbox.Control, may func(c signalbox.Control, scopes []string, killed bool) error) (signalbox.Control, error) {
	var result error
	if err := e.call(ctx, func(l *loop) { result = l.control(&c, may) }); err != nil {
		return c, err
	}
	return c, result
}

func (l *loop) control(given *signalbox.Control, may func(signalbox.Control, []string, bool) error) error {
	if err := l.noTerm(); err != nil {
		return err
	}
	c := *given
	c.At = l.now()
	next := l.state.Controls
	next.Pauses, next.Words, next.Taken = slices.Clone(next.Pauses), slices.Clone(next.Words), slices.Clone(next.Taken)
	if err := l.wholeScope(&c); err != nil {
		return err
	}
	if may != nil {
		if err := may(c, l.scopesOf(c.Scope), next.Killed != nil); err != nil {
			return err
		}
	}
	*given = c
	w := &write{}
	if err := l.apply(w, &next, c); err != nil {
		return err
	}
	w.put(journal.PutControls(next))
	w.require(l.state, signalbox.ControlsKey)
	w.entries = append(w.entries, journal.Record{Kind: journal.ControlSet, Who: c.Who, Data: c})
	if !l.commit(w) {
		return ErrNoTerm
	}
	l.e.metrics.controls.Inc()
	l.e.o.Log.Warn("control", "kind", c.Kind, "scope", c.Scope, "who", c.Who, "reason", c.Reason, "until", c.Until)
	if c.Kind == signalbox.Kill || c.Kind == signalbox.Resume {
		l.killPage()
	}
	if c.Kind == signalbox.Confirm {
		l.storeConfirmed()
	}
	return nil
}

// apply changes the controls; an error says what can't be done and why.
func (l *loop) apply(w *write, next *signalbox.Controls, c signalbox.Control) error {
	now := l.now()
	ended := func(p signalbox.Control) bool { return !inForce(p, now) }
	next.Pauses, next.Taken = slices.DeleteFunc(next.Pauses, ended), slices.DeleteFunc(next.Taken, ended)
	if !c.Until.IsZero() && !now.Before(c.Until) {
		return fmt.Errorf("%s must end in the future, got %s", c.Kind, c.Until)
	}
	switch c.Kind {
	case signalbox.Kill:
		next.Killed = &c
	case signalbox.Pause:
		if err := l.mayHold(c); err != nil {
			return err
		}
		next.Pauses = append(slices.DeleteFunc(next.Pauses, func(p signalbox.Control) bool { return p.Scope == c.Scope }), c)
	case signalbox.Resume:
		n := len(next.Pauses)
		next.Pauses = slices.DeleteFunc(next.Pauses, func(p signalbox.Control) bool { return p.Scope == c.Scope })
		if c.Scope == "all" && next.Killed != nil {
			next.Killed, n = nil, -1
		}
		if n == len(next.Pauses) {
			return fmt.Errorf("nothing is paused or killed with scope %q", c.Scope)
		}
		next.Lifted = lifted(next.Lifted, c, now)
	case signalbox.Take:
		if err := l.mayHold(c); err != nil {
			return err
		}
		next.Taken = append(slices.DeleteFunc(next.Taken, func(p signalbox.Control) bool { return p.Scope == c.Scope }), c)
	case signalbox.Release:
		return l.release(w, next, c)
	case signalbox.Restore:
		return l.restorePolicy(w, c)
	case signalbox.Estimate:
		return l.estimate(w, c)
	case signalbox.Happened, signalbox.NotHappened:
		return l.settleByWord(w, c)
	case signalbox.Confirm:
		return l.confirmStore(w, c)
	case signalbox.TakeBack, signalbox.Acknowledge:
		return l.word(w, next, c)
	default:
		return fmt.Errorf("unknown control %q", c.Kind)
	}
	return nil
}

// settleByWord ends an action in doubt as a person says, who has looked.
func (l *loop) settleByWord(w *write, c signalbox.Control) error {
	id := signalbox.ActionID(strings.TrimPrefix(c.Scope, "action/"))
	a := l.state.Actions[id]
	switch {
	case a == nil:
		return fmt.Errorf("no action %q is on record", id)
	case !a.InFlight():
		return fmt.Errorf("action %s is settled: it is %s", id, a.Stage)
	case l.running[id] && l.settling[id] == nil:
		return fmt.Errorf("action %s is being sent: its answer is awaited for at most %s", id, l.e.timing.Start)
	case strings.TrimSpace(c.Reason) == "":
		return fmt.Errorf("%s needs a reason: what was seen at the target, and where", c.Kind)
	case !l.settling[id].settled():
		return fmt.Errorf("action %s is being sent again: its answer is awaited for at most %s, look at the target then", id, l.e.timing.Start)
	}
	p := signalbox.Progress{Reason: fmt.Sprintf("%s says that it is %s: %s", c.Who, c.Kind, c.Reason)}
	stage := signalbox.Broken
	if c.Kind == signalbox.Happened {
		stage, p.Receipt = signalbox.Done, signalbox.Receipt{At: l.now(), Detail: p.Reason}
	}
	l.finishIn(w, a, stage, p)
	return nil
}

// lastOn reports whether one of the incident's actions touched t.
func (l *loop) lastOn(inc *signalbox.Incident, t signalbox.Target) bool {
	for _, id := range inc.Actions {
		if a := l.state.Actions[id]; a != nil && slices.Contains(a.Forecast.Targets, t) {
			return true
		}
	}
	return false
}

// The bounds of the resumes that are remembered.
const (
	liftedFor  = 24 * time.Hour
	mostLifted = 100
)

// lifted adds a resume to those that are remembered, the last of a person on a scope.
func lifted(was []signalbox.Control, c signalbox.Control, now time.Time) []signalbox.Control {
	c.At = now
	kept := slices.DeleteFunc(slices.Clone(was), func(o signalbox.Control) bool {
		return now.Sub(o.At) >= liftedFor || o.Scope == c.Scope && o.Who == c.Who
	})
	return append(kept[max(0, len(kept)-mostLifted+1):], c)
}

// setGoing reports whether a person has set in motion what an approval is about:
// the incident, or by lifting what held it while the incident was open.
func (l *loop) setGoing(a *signalbox.Approval, inc *signalbox.Incident, who string) bool {
	about := &signalbox.Action{Incident: a.Incident, Policy: a.Policy, Forecast: signalbox.Forecast{Targets: a.Targets}}
	word := slices.ContainsFunc(l.state.Controls.Words, func(c signalbox.Control) bool {
		return c.Kind == signalbox.TakeBack && c.Who == who && c.Scope == "incident/"+string(a.Incident)
	})
	return word || who == a.Trigger || who == inc.Trigger || slices.ContainsFunc(l.state.Controls.Lifted, func(c signalbox.Control) bool {
		return c.Who == who && !c.At.Before(inc.OpenedAt) && covers(c, about, inc.Owner)
	})
}

// word records what a person says once: take this incident's switch back, or
// acknowledge its page.
func (l *loop) word(w *write, next *signalbox.Controls, c signalbox.Control) error {
	id := signalbox.IncidentID(strings.TrimPrefix(c.Scope, "incident/"))
	inc := l.state.Incidents[id]
	if inc == nil || inc.Closed() {
		return fmt.Errorf("no open incident %q", id)
	}
	if c.Kind == signalbox.TakeBack {
		if len(l.thrownNow(l.state, id)) == 0 {
			return fmt.Errorf("nothing is thrown by incident %s", id)
		}
		if why := l.staysThrown(id); why != "" {
			return errors.New(why)
		}
		next.Words = append(next.Words, c)
		l.incident(w, id).Trigger = c.Who
		if inc.Reading.Condition != signalbox.Clear && inc.Plan != nil && l.state.Policies[inc.Plan.Policy] != nil {
			l.policyState(w, inc.Plan.Policy).Record.ByHand++
			l.demote(w, id, inc.Plan.Policy, fmt.Sprintf("%s took its switch back while incident %s was open", c.Who, id))
		}
		return nil
	}
	p := l.state.Pages[inc.Page]
	if p == nil {
		return fmt.Errorf("incident %s has no page", id)
	}
	if p.Sent < p.Want {
		return errors.New("its page is not sent yet: there is nothing to acknowledge")
	}
	np := l.page(w, inc.Page)
	np.AckedAt, np.AckedBy = l.now(), c.Who
	tellAcknowledged(np, l.now())
	for _, rung := range l.rungs(inc.Page) {
		if rung.AckedAt.IsZero() && !rung.SentAt.IsZero() {
			rung = l.page(w, rung.Key)
			rung.AckedAt, rung.AckedBy = l.now(), c.Who
			tellAcknowledged(rung, l.now())
		}
	}
	return nil
}

// staysThrown says why no word takes back what an incident has thrown; empty:
// one of its actions can be taken back.
func (l *loop) staysThrown(id signalbox.IncidentID) string {
	var never []string
	for _, ts := range l.state.Targets {
		a := l.state.Actions[ts.Thrown]
		if a == nil || a.Incident != id || a.Step.Tells {
			continue
		}
		if a.Step.Undo != signalbox.UndoNever {
			return ""
		}
		never = append(never, fmt.Sprintf("%s has undo: never, and is taken back by hand: %s", a.Step.Name, a.Forecast.ByHand))
	}
	slices.Sort(never)
	return strings.Join(slices.Compact(never), "; ")
}
