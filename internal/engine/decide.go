package engine

import (
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/policy"
)

// round is how many incidents one call of Decide is given at the most, so that
// mail is not kept waiting by a storm.
const round = 256

// touch makes due what read the key.
func (l *loop) touch(k signalbox.Key) {
	for id := range l.index.readers[k] {
		l.touchIncident(id)
	}
}

func (l *loop) touchIncident(id signalbox.IncidentID) {
	if inc := l.state.Incidents[id]; inc != nil && !inc.Closed() {
		l.due.add(id, inc.Reading.Detector)
	}
}

// decide takes the decisions that are due, and carries each out.
func (l *loop) decide() {
	for rounds := 0; l.auth != nil && rounds < 64; rounds++ {
		now := l.now()
		ids := l.due.pop(now, round)
		if len(ids) == 0 {
			return
		}
		if ids = l.ripe(ids); len(ids) == 0 {
			continue
		}
		w := &policy.World{State: l.state, Facts: l.facts, Now: now, Unseen: l.unseen()}
		begun := time.Now() //nolint:forbidigo // measures, decides nothing
		decisions := l.set().Handbook.Decide(w, ids)
		l.e.metrics.decideSeconds.Observe(time.Since(begun).Seconds())
		for i := range decisions {
			l.index.read(decisions[i].Incident, decisions[i].Reads)
		}
		slices.SortStableFunc(decisions, byOwner)
		t := l.together(now)
		for i := range decisions {
			d := decisions[i] // a copy, so that keeping one does not keep all
			if t.changes(d.Reads) || !recordedOnly(d.Verdict) {
				t.commit()
			}
			if l.auth == nil {
				return
			}
			// An earlier decision of this round may have changed what this one
			// read: then it is taken again, on the world as it is now.
			if _, again := l.due.now[d.Incident]; !again {
				l.carryOut(&d, now, t)
			}
		}
		t.commit()
		if len(l.e.mail) > 0 {
			return // in a storm what is due never ends: what came meanwhile is taken in first
		}
	}
}

// byOwner puts decisions next to each other that page the same owner, so that
// what they share is written once.
func byOwner(a, b signalbox.Decision) int { return strings.Compare(paged(&a), paged(&b)) }

func paged(d *signalbox.Decision) string {
	if d.Page == nil {
		return ""
	}
	return d.Page.Owner
}

// unseen are, during the warm-up, the detectors that had no round yet.
func (l *loop) unseen() map[string]bool {
	if l.warm {
		return nil
	}
	unseen := map[string]bool{}
	for name, d := range l.set().Detectors {
		if d.Polled && !d.Health && !l.seen[name] {
			unseen[name] = true
		}
	}
	return unseen
}

// warmUp ends the time after a start in which nothing was asked yet: what is
// not known then would look as if it could not be known.
func (l *loop) warmUp() {
	if l.warm || l.warmBy.IsZero() {
		return
	}
	if l.now().Before(l.warmBy) {
		if len(l.unseen()) > 0 {
			return
		}
	}
	l.warm, l.seen = true, nil
	for id := range l.state.Incidents {
		l.touchIncident(id)
	}
}

// ripe leaves out, during the warm-up, the incidents that are of before the
// start or of a polled detector; the end of the warm-up makes them due again.
func (l *loop) ripe(ids []signalbox.IncidentID) []signalbox.IncidentID {
	if l.warm {
		return ids
	}
	begun := l.warmBy.Add(-l.e.timing.WarmUp)
	return slices.DeleteFunc(ids, func(id signalbox.IncidentID) bool {
		inc := l.state.Incidents[id]
		return inc != nil && (inc.OpenedAt.Before(begun) || l.set().Detectors[inc.Reading.Detector].Polled)
	})
}

// carryOut does what one decision asks; what it only leaves on record is gathered
// in t.
func (l *loop) carryOut(d *signalbox.Decision, now time.Time, t *together) {
	inc := l.state.Incidents[d.Incident]
	if inc == nil || inc.Closed() {
		return
	}
	l.last[d.Incident] = d
	l.due.schedule(d.Incident, inc.Reading.Detector, d.Until)
	l.wants(d.Incident, d.Want)
	l.e.metrics.decisions[d.Verdict].Inc()
	l.watch(inc, d, now)
	switch d.Verdict {
	case signalbox.Preview:
		l.ask(d)
	case signalbox.Act, signalbox.Undo:
		t.add(d)
		t.commit()
		l.act(d, now)
	case signalbox.Settle:
		l.settle(d, now)
	case signalbox.Resolve, signalbox.Hold, signalbox.Verify, signalbox.Escalate, signalbox.Ask, signalbox.Advance:
		t.add(d)
	}
}

// wants notes where an incident wants a switch to be (nil: nowhere), for those
// that want the same one.
func (l *loop) wants(id signalbox.IncidentID, want *signalbox.Want) {
	for _, k := range l.facts.PutWant(id, want) {
		l.touch(k)
	}
}

// note adds to w a decision that differs from the one before it, with the page
// that it asks for; false: it does not differ.
func (l *loop) note(w *write, d *signalbox.Decision) bool {
	sig := d.Signature()
	old := l.state.Incidents[d.Incident]
	if old == nil || old.Decided == sig {
		return false
	}
	inc := l.incident(w, d.Incident)
	inc.Decided = sig
	if d.GaveUp != "" {
		inc.GaveUp = d.GaveUp
	}
	l.consequences(w, inc, d)
	w.entry(journal.Decision, d.Incident, d.Takes, decided{d, l.facts.Reading(inc.Reading.Detector, inc.Reading.Series, inc.Reading.Episode)})
	if d.Page != nil && d.Verdict != signalbox.Act { // a step that pages is taken by pageStep
		l.wantPage(w, inc, *d.Page)
		if d.GaveUp != "" && !l.set().Handbook.Answers(inc.Owner).Escalates { // else the end of the ladder asks
			l.tellNote(w, inc, signalbox.Responders, "automation gives up: %s", d.GaveUp)
		}
	} else {
		l.tellNote(w, inc, signalbox.PlainNote, "%s: %s", d.Verdict, blocking(d))
	}
	l.e.o.Log.Info("decided", "incident", d.Incident, "subject", inc.Reading.Subject, "verdict", d.Verdict, "because", blocking(d))
	return true
}

// decided is what the journal keeps of a decision: with the reading that it
// used.
type decided struct {
	*signalbox.Decision
	Reading *signalbox.Reading `json:"reading,omitempty"`
}

// blocking tells the reasons that held a decision, or all when none did.
func blocking(d *signalbox.Decision) string {
	var held, all string
	for _, r := range d.Because {
		text := r.Guard + ": " + r.Detail
		if all != "" {
			all += "; "
		}
		all += text
		if r.Passed {
			continue
		}
		if held != "" {
			held += "; "
		}
		held += text
	}
	if held != "" {
		return held
	}
	return all
}

// reconfigured puts the set's configuration on record: since when each policy
// may act, and what ended because its detector is gone.
func (l *loop) reconfigured() {
	if l.auth == nil {
		return
	}
	set, now := l.set(), l.now()
	w := &write{}
	for name, hash := range set.Policies {
		if p := l.state.Policies[name]; p == nil || p.Hash != hash {
			ps := l.policyState(w, name) // a demotion, and what it did, outlive an edit
			ps.Hash, ps.ActivatedAt = hash, now
			if ps.Record.Since.IsZero() {
				ps.Record.Since = now
			}
		}
		if w.size() >= chunk {
			l.commit(w)
			w = &write{}
		}
	}
	for name, ps := range l.state.Policies {
		_, ok := set.Policies[name]
		switch {
		case ok || w.size()+len(w.deletes) >= chunk:
		case ps.Demoted == nil:
			w.deletes = append(w.deletes, signalbox.PolicyKey(name))
		case ps.Hash != "": // it comes back as it went, and is activated anew then
			gone := l.policyState(w, name)
			gone.Hash, gone.ActivatedAt = "", time.Time{}
		}
	}
	if l.state.Active.Hash != set.Hash {
		w.put(journal.PutActive(signalbox.ActiveConfig{Hash: set.Hash, Seq: l.state.Active.Seq + 1, At: now}))
	}
	if w.size()+len(w.deletes) > 0 {
		w.entry(journal.Config, "", "", map[string]any{"hash": set.Hash, "policies": set.Policies})
		if !l.commit(w) {
			return
		}
	}
	l.count()
	l.expire(now)
	for id := range l.state.Incidents {
		l.touchIncident(id)
	}
}

// expire ends the incidents whose detector the configuration no longer has,
// unless something of theirs is in flight or stands.
func (l *loop) expire(now time.Time) {
	t := l.together(now)
	for id, inc := range l.state.Incidents {
		if name := inc.Reading.Detector; inc.Closed() || l.isDetector(name) || l.set().MayCome(name) || l.busy(inc) || l.stands(inc) {
			continue
		}
		t.add(&signalbox.Decision{
			Incident: id, Verdict: signalbox.Resolve, End: signalbox.Expired,
			Because: []signalbox.Reason{{Guard: "detector", Detail: "the configuration no longer has " + inc.Reading.Detector}},
		})
		if l.auth == nil {
			return
		}
	}
	t.commit()
}

func (l *loop) isDetector(name string) bool {
	_, ok := l.set().Detectors[name]
	return ok
}

func (l *loop) busy(inc *signalbox.Incident) bool {
	for _, id := range inc.Actions {
		if a := l.state.Actions[id]; a != nil && a.InFlight() {
			return true
		}
	}
	return false
}
