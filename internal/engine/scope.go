package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// mayHold refuses a pause, or a taking, of nothing, and one without a reason.
// The kill switch needs none: it must work at once.
func (l *loop) mayHold(c signalbox.Control) error {
	if err := l.checkScope(c.Scope); err != nil {
		return err
	}
	if c.Kind == signalbox.Pause && strings.HasPrefix(c.Scope, "incident/") {
		return fmt.Errorf("an incident is taken, not paused: scope must be all, policy/NAME, owner/NAME or target/TARGET, got %q", c.Scope)
	}
	if strings.TrimSpace(c.Reason) == "" {
		return fmt.Errorf("%s needs a reason, for the journal and for those who find it", c.Kind)
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
	case "incident":
		inc := l.state.Incidents[signalbox.IncidentID(name)]
		ok = inc != nil && !inc.Closed()
	}
	if !ok {
		return fmt.Errorf("scope must be all, policy/NAME or owner/NAME of the configuration, target/TARGET, or incident/ID of an open incident, got %q", scope)
	}
	return nil
}

// wholeScope makes a shortened incident id whole.
func (l *loop) wholeScope(c *signalbox.Control) error {
	short, ok := strings.CutPrefix(c.Scope, "incident/")
	if !ok || l.state.Incidents[signalbox.IncidentID(short)] != nil {
		return nil
	}
	inc, err := l.find(short)
	if err != nil {
		return err
	}
	c.Scope = "incident/" + string(inc.ID)
	return nil
}

// scopesOf are the scopes that a control of one scope is in at once.
func (l *loop) scopesOf(scope string) []string {
	if action, ok := strings.CutPrefix(scope, "action/"); ok {
		a := l.state.Actions[signalbox.ActionID(action)]
		if a == nil {
			return []string{scope}
		}
		return append([]string{scope, "policy/" + a.Policy}, l.scopesOf("incident/"+string(a.Incident))...)
	}
	id, ok := strings.CutPrefix(scope, "incident/")
	if !ok {
		return []string{scope}
	}
	return append([]string{scope}, scopesOfIncident(l.state.Incidents[signalbox.IncidentID(id)])...)
}

// scopesOfIncident are those of its owner, and of the policy that acts on it.
func scopesOfIncident(inc *signalbox.Incident) (scopes []string) {
	if inc == nil {
		return nil
	}
	if inc.Owner != "" {
		scopes = append(scopes, "owner/"+inc.Owner)
	}
	if inc.Plan != nil {
		scopes = append(scopes, "policy/"+inc.Plan.Policy)
	}
	return scopes
}

// release gives back to automation what a person took, a target that it had
// stopped on or found another's hand on, and the incidents that gave up on it.
func (l *loop) release(w *write, next *signalbox.Controls, c signalbox.Control) error {
	kind, name, named := strings.Cut(c.Scope, "/")
	if !named && c.Scope != "all" { // a bare target, as it is printed
		kind, name = "target", c.Scope
		c.Scope = "target/" + c.Scope
	}
	n := len(next.Taken)
	next.Taken = slices.DeleteFunc(next.Taken, func(p signalbox.Control) bool { return p.Scope == c.Scope })
	was := n > len(next.Taken)
	switch kind {
	case "target":
		t := signalbox.Target(name)
		if l.state.Targets[t] == nil && !was {
			return fmt.Errorf("no target %q is known", t)
		}
		if l.state.Targets[t] != nil {
			ts := l.target(w, t)
			l.accept(ts)
			ts.Ineffective, ts.Hand = 0, nil
			ts.StoppedAt = time.Time{}
		}
		var gaveUp []signalbox.IncidentID
		for id, inc := range l.state.Incidents {
			if inc.GaveUp != "" && !inc.Closed() && l.lastOn(inc, t) {
				gaveUp = append(gaveUp, id)
			}
		}
		return l.inParts(w, gaveUp, c, func(w *write, id signalbox.IncidentID) { l.handBack(w, id, c.Who) })
	case "incident":
		inc := l.state.Incidents[signalbox.IncidentID(name)]
		if inc == nil || inc.Closed() {
			if was { // it ended while a person had it
				return nil
			}
			return fmt.Errorf("no open incident %q", name)
		}
		l.handBack(w, inc.ID, c.Who)
		return nil
	}
	if !was {
		return fmt.Errorf("nothing is taken with scope %q", c.Scope)
	}
	return nil
}

// accept takes a target over as the hand that was found on it has left it. What an
// incident had thrown that is over by now does not stand any more.
func (l *loop) accept(ts *signalbox.TargetState) {
	if ts.Hand == nil {
		return
	}
	ts.Accepted = ts.Hand.Position
	a := l.state.Actions[ts.Thrown]
	if a == nil || a.Step.Tool || ts.Accepted == "" || ts.Accepted == a.Step.To {
		return
	}
	if inc := l.state.Incidents[a.Incident]; inc == nil || inc.Closed() {
		ts.Thrown = ""
	}
}

// takenBack puts on record that a person has taken an action back: it stands no
// more.
func (l *loop) takenBack(w *write, id signalbox.ActionID) {
	a := l.state.Actions[id]
	if a == nil {
		return
	}
	for _, t := range a.Forecast.Targets {
		if ts := l.state.Targets[t]; ts != nil && ts.Thrown == id {
			l.target(w, t).Thrown = ""
		}
	}
}

// handBack lets automation go on with an incident.
func (l *loop) handBack(w *write, id signalbox.IncidentID, who string) {
	inc := l.incident(w, id)
	inc.GaveUp, inc.Trigger, inc.ReleasedAt = "", who, l.now()
}

// restorePolicy gives a policy that was demoted its configured autonomy back.
func (l *loop) restorePolicy(w *write, c signalbox.Control) error {
	name, ok := strings.CutPrefix(c.Scope, "policy/")
	ps := l.state.Policies[name]
	switch {
	case !ok || ps == nil:
		return fmt.Errorf("scope must be policy/NAME of the configuration, got %q", c.Scope)
	case ps.Demoted == nil:
		return fmt.Errorf("policy %s is not demoted", name)
	}
	var asked []signalbox.IncidentID
	for id, inc := range l.state.Incidents {
		if !inc.Closed() && inc.Plan == nil && slices.Contains(l.set().Handbook.On(inc.Reading.Detector), name) {
			asked = append(asked, id)
		}
	}
	if err := l.inParts(w, asked, c, func(w *write, id signalbox.IncidentID) { l.incident(w, id).Trigger = c.Who }); err != nil {
		return err
	}
	l.policyState(w, name).Demoted = nil
	l.demotionPage(w, name, "")
	return nil
}

// inParts edits incidents in the order of their ids: the last ones, as many as a
// transaction takes, in w, and those before them in transactions of their own.
// These come first, so that after a failure between two the control is not there,
// and is given again.
func (l *loop) inParts(w *write, ids []signalbox.IncidentID, c signalbox.Control, change func(*write, signalbox.IncidentID)) error {
	slices.Sort(ids)
	for ; len(ids) > chunk; ids = ids[chunk:] {
		part := &write{}
		for _, id := range ids[:chunk] {
			change(part, id)
		}
		part.entries = append(part.entries, journal.Record{Kind: journal.Housekeeping, Who: c.Who, Data: c})
		if !l.commit(part) {
			return ErrNoTerm
		}
	}
	for _, id := range ids {
		change(w, id)
	}
	return nil
}

// estimate records the owner's word on when an incident will be over.
func (l *loop) estimate(w *write, c signalbox.Control) error {
	id, ok := strings.CutPrefix(c.Scope, "incident/")
	inc := l.state.Incidents[signalbox.IncidentID(id)]
	switch {
	case !ok || inc == nil || inc.Closed():
		return fmt.Errorf("scope must be incident/ID of an open incident, got %q", c.Scope)
	case c.Until.IsZero():
		return errors.New("an estimate needs the time at which it will be over")
	}
	next := l.incident(w, inc.ID)
	next.ETA = &c
	l.inform(w, next)
	l.tellNote(w, next, signalbox.StatusUpdate, "%s expects it to be over at %s: %s", c.Who, c.Until.UTC().Format(time.RFC3339), c.Reason)
	w.entry(journal.IncidentChanged, inc.ID, "", c)
	return nil
}
