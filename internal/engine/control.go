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
	var result error
	if err := e.call(ctx, func(l *loop) { result = l.control(c) }); err != nil {
		return err
	}
	return result
}

func (l *loop) control(c signalbox.Control) error {
	if l.auth == nil {
		return ErrNoTerm
	}
	c.At = l.now()
	next := l.state.Controls
	next.Pauses, next.Words = slices.Clone(next.Pauses), slices.Clone(next.Words)
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
	return nil
}

// apply changes the controls; an error says what can't be done and why.
func (l *loop) apply(w *write, next *signalbox.Controls, c signalbox.Control) error {
	now := l.now()
	next.Pauses = slices.DeleteFunc(next.Pauses, func(p signalbox.Control) bool { return !p.Until.IsZero() && !now.Before(p.Until) })
	switch c.Kind {
	case signalbox.Kill:
		next.Killed = &c
	case signalbox.Pause:
		if err := l.checkScope(c.Scope); err != nil {
			return err
		}
		if !c.Until.IsZero() && !now.Before(c.Until) {
			return fmt.Errorf("a pause must end in the future, got %s", c.Until)
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
	case signalbox.Release:
		return l.release(w, c)
	case signalbox.TakeBack, signalbox.Acknowledge:
		return l.word(w, next, c)
	default:
		return fmt.Errorf("unknown control %q", c.Kind)
	}
	return nil
}

// checkScope refuses scopes that name nothing: a pause that stops nothing is
// worse than none.
func (l *loop) checkScope(scope string) error {
	kind, name, _ := strings.Cut(scope, "/")
	set := l.set()
	var ok bool
	switch kind {
	case "all":
		ok = name == ""
	case "policy":
		_, ok = set.Policies[name]
	case "owner":
		_, ok = set.Owners[name]
	case "target":
		ok = name != ""
	default:
		ok = false
	}
	if !ok {
		return fmt.Errorf("scope must be all, policy/NAME, owner/NAME or target/TARGET of the configuration, got %q", scope)
	}
	return nil
}

// release lets automation act again on a target that it had stopped on, and on
// the incidents that gave up on it.
func (l *loop) release(w *write, c signalbox.Control) error {
	t := signalbox.Target(strings.TrimPrefix(c.Scope, "target/"))
	if l.state.Targets[t] == nil {
		return fmt.Errorf("no target %q is known", t)
	}
	next := l.target(w, t)
	next.Ineffective = 0
	next.StoppedAt = time.Time{}
	for id, inc := range l.state.Incidents {
		if inc.GaveUp != "" && !inc.Closed() && len(w.incs) < chunk && l.lastOn(inc, t) {
			l.incident(w, id).GaveUp = ""
		}
	}
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
		next.Words = append(next.Words, c)
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
	np.Event, np.At = signalbox.PageAcknowledge, l.now()
	np.Want++
	return nil
}

// killPage tells the default owner that nothing is remediated any more, and
// what is thrown; and that it is over.
func (l *loop) killPage() {
	if l.auth == nil {
		return
	}
	key := "signalbox-kill"
	why := l.facts.KillFile
	if k := l.state.Controls.Killed; k != nil {
		why = "killed by " + k.Who + ": " + k.Reason
	}
	old := l.state.Pages[key]
	told := old != nil && old.Event == signalbox.PageTrigger
	if told == (why != "") {
		return
	}
	w := &write{}
	p := l.page(w, key)
	p.Owner, p.At, p.Why, p.Event = l.set().DefaultOwner, l.now(), why, signalbox.PageTrigger
	if why == "" {
		p.Event = signalbox.PageResolve
	}
	p.Want++
	p.Body = signalbox.PageBody{
		Summary: "signalbox remediates nothing: " + why, Severity: "warning", Source: "signalbox/" + l.e.o.Replica, At: p.At,
		Thrown: l.thrownNow(l.state, ""),
	}
	w.entry(journal.PageWanted, "", "", p.Body)
	l.commit(w)
}
