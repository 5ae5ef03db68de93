package policy

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// guardTaken yields to one who took the incident, its policy, its owner's incidents
// or a target, until it is released. It is all that what tells yields to: a
// person's hand in a channel takes nothing over.
func guardTaken(l *look, m *move) answer {
	c := l.takenByWord(m)
	if c == nil && (!quiet(m.step) || m.undoes == nil) { // who acknowledged takes over what is done, and not the word that it is over
		c = l.acknowledged()
	}
	if c == nil {
		return answer{effect: passes, detail: "nobody took it"}
	}
	until := ""
	if !c.Until.IsZero() {
		until = " until " + clock(c.Until)
	}
	return answer{blocks, fmt.Sprintf("%s was taken by %s at %s%s: %s", c.Scope, c.Who, clock(c.At), until, c.Reason), "signalboxctl release '" + c.Scope + "'"}
}

// guardHand yields to people: to one who took the incident, its policy, its
// owner's incidents or a target; and to a hand that is found on a target, which
// is not where the last action left it. It yields until a person releases it.
func guardHand(l *look, m *move) answer {
	if a := guardTaken(l, m); a.effect != passes {
		return a
	}
	for _, t := range m.targets {
		l.readTarget(t)
		s := l.w.State.Targets[t]
		if s != nil && s.Hand != nil {
			return answer{blocks, fmt.Sprintf("another's hand is on %s since %s: %s", t, clock(s.Hand.At), s.Hand.Found), "signalboxctl release 'target/" + string(t) + "'"}
		}
	}
	if m.forecast == nil {
		return answer{}
	}
	if hand := l.foundHand(m); hand != nil {
		if !m.shadow { // which causes nothing
			l.hands = append(l.hands, *hand)
		}
		return answer{blocks, fmt.Sprintf("another's hand is on %s: %s", hand.Target, hand.Found), "signalboxctl release 'target/" + string(hand.Target) + "'"}
	}
	return answer{effect: passes, detail: "nobody else's hand is on it"}
}

// takenByWord is the control by which a person took what a move is about; nil: none.
func (l *look) takenByWord(m *move) *signalbox.Control {
	l.read(signalbox.ControlsKey)
	for i := range l.w.State.Controls.Taken {
		c := &l.w.State.Controls.Taken[i]
		if !c.Until.IsZero() {
			if !l.now.Before(c.Until) {
				continue
			}
			l.at(c.Until)
		}
		if l.pauses(*c, m) || c.Scope == "incident/"+string(l.inc.ID) {
			return c
		}
	}
	return nil
}

// acknowledged is an acknowledged page as a control, where the configuration
// says that who acknowledges takes over.
func (l *look) acknowledged() *signalbox.Control {
	if !l.h.config.AcknowledgeTakes || l.inc.Page == "" {
		return nil
	}
	l.read(signalbox.PageKey(l.inc.Page))
	return Took(l.inc, l.w.State.Pages[l.inc.Page])
}

// AcknowledgeTakes reports whether who acknowledges a page takes its incident.
func (h *Handbook) AcknowledgeTakes() bool { return h.config.AcknowledgeTakes }

// Took is the control that the acknowledgement of an incident's page stands for
// where acknowledging takes; nil: the page is not acknowledged, or the incident
// was released since.
func Took(inc *signalbox.Incident, p *signalbox.Page) *signalbox.Control {
	if p == nil || p.AckedAt.IsZero() || !p.AckedAt.After(inc.ReleasedAt) {
		return nil
	}
	return &signalbox.Control{Kind: signalbox.Take, Scope: "incident/" + string(inc.ID), Who: p.AckedBy, At: p.AckedAt, Reason: "acknowledged its page"}
}

// foundHand compares what a forecast found with where our last action left the
// target: another position there is another's doing.
func (l *look) foundHand(m *move) *signalbox.FoundHand {
	f := m.forecast
	for _, t := range f.Targets {
		if f.Hand != "" {
			return &signalbox.FoundHand{Target: t, Found: f.Hand, Position: found(f)}
		}
		s, a := l.thrownOn(t)
		if a == nil || a.Step.Tool || a.Step.Name != m.step.Name || l.outdated(f, a.EndedAt) || f.At.Equal(a.EndedAt) {
			continue // it may show what was there before the action; of a tool, what is done is no position: its kind tells
		}
		at := found(f)
		if at == a.Step.To || at == s.Accepted && at != "" {
			continue
		}
		again := ""
		if at == found(&a.Forecast) {
			if m.undoes != nil { // who puts it back where it was takes the action back, and no more
				continue
			}
			again = " again"
		}
		return &signalbox.FoundHand{Target: t, Position: at, Found: fmt.Sprintf("found at %s%s, left at %s by action %s", at, again, a.Step.To, a.ID)}
	}
	return nil
}

// thrownOn is a target with the action whose effect stands on it; nil: none.
func (l *look) thrownOn(t signalbox.Target) (*signalbox.TargetState, *signalbox.Action) {
	l.readTarget(t)
	s := l.w.State.Targets[t]
	if s == nil || s.Thrown == "" {
		return s, nil
	}
	l.read(signalbox.ActionKey(s.Thrown))
	return s, l.w.State.Actions[s.Thrown]
}

// against is the policy whose doing a hand that was found is against: that of the
// action that it changed while its incident was ill, else the one that acts on
// this incident. Empty: nobody's. Where all is well again, people may put back
// what is left.
func (l *look) against(hands []signalbox.FoundHand) string {
	for _, h := range hands {
		_, a := l.thrownOn(h.Target)
		if a == nil || a.Step.To == h.Position && !a.Step.Tool {
			continue
		}
		l.read(signalbox.IncidentKey(a.Incident))
		if inc := l.w.State.Incidents[a.Incident]; inc != nil && !inc.Closed() && ill(inc) {
			return a.Policy
		}
		return "" // of something that was well again
	}
	if len(hands) > 0 && ill(l.inc) && l.inc.Plan != nil {
		return l.inc.Plan.Policy
	}
	return ""
}
