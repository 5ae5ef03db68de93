package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// look is one look at one incident. Whatever it consults goes through it, so
// that Reads, Because and Until of the decision are complete.
type look struct {
	h         *Handbook
	w         *World
	now       time.Time
	inc       *signalbox.Incident
	own       *signalbox.Reading  // the freshest of its series; nil: none
	actions   []*signalbox.Action // of the incident, in the order of their claims
	lost      signalbox.ActionID  // an action of the incident that has no record
	because   []signalbox.Reason
	reads     []signalbox.Key
	until     time.Time
	shadow    []signalbox.Shadow
	depends   []string              // subjects that the incident's depends on; nil: not looked up
	hands     []signalbox.FoundHand // others' hands that were found
	handed    []signalbox.ActionID  // what people have taken back by hand
	wanted    *signalbox.Want       // where it wants a switch
	touches   []signalbox.Target    // what its step would touch
	inDomains []string              // the failure domains of the incident; nil: not looked up
	asked     []signalbox.Target    // whose states are among reads
	brief     bool                  // guards that pass need not say with which figures
	early     string                // a detector that was looked for, and whose first round is to come
}

func newLook(h *Handbook, w *World, inc *signalbox.Incident) *look {
	r := &inc.Reading
	l := &look{
		h: h, w: w, inc: inc,
		now: w.Now.Round(0), // wall time alone: a clock that goes back must not look like time passing
		own: w.Facts.Reading(r.Detector, r.Series, r.Episode),
	}
	l.reads = append(make([]signalbox.Key, 0, 32),
		signalbox.IncidentKey(inc.ID), signalbox.ActiveKey, signalbox.ControlsKey,
		signalbox.ReadingKey(r.Detector, r.Subject))
	if l.own != nil && l.own.Subject != r.Subject {
		l.read(signalbox.ReadingKey(l.own.Detector, l.own.Subject))
	}
	for _, id := range inc.Actions {
		l.read(signalbox.ActionKey(id))
		if a := w.State.Actions[id]; a != nil {
			l.actions = append(l.actions, a)
		} else {
			l.lost = id
		}
	}
	return l
}

func (l *look) read(k signalbox.Key) { l.reads = append(l.reads, k) }

// readTarget reads the state of a target, for which many guards ask.
func (l *look) readTarget(t signalbox.Target) {
	if slices.Contains(l.asked, t) {
		return
	}
	l.asked = append(l.asked, t)
	l.read(signalbox.TargetKey(t))
}

// readPolicy reads the state of a policy.
func (l *look) readPolicy(name string) {
	if r := l.h.rules[name]; r != nil {
		l.read(r.key)
		return
	}
	l.read(signalbox.PolicyKey(name))
}

// readSpend reads what was spent in a scope.
func (l *look) readSpend(scope string) {
	if k, ok := l.h.spends[scope]; ok {
		l.read(k)
		return
	}
	l.read(signalbox.BudgetKey(scope))
}

// at asks to look again at t, if that is still to come.
func (l *look) at(t time.Time) {
	if t.After(l.now) && (l.until.IsZero() || t.Before(l.until)) {
		l.until = t
	}
}

func (l *look) note(code string, passed bool, format string, args ...any) {
	l.because = append(l.because, signalbox.Reason{Guard: code, Passed: passed, Detail: fmt.Sprintf(format, args...)})
}

// finish completes a decision with all that was consulted.
func (l *look) finish(d signalbox.Decision) signalbox.Decision {
	d.Hands = l.hands
	if d.Demotes = l.against(d.Hands); d.Demotes != "" {
		d.Demote = "a person threw its switch: " + d.Hands[0].Found
	}
	slices.Sort(l.reads)
	for i := range l.because {
		if r := &l.because[i]; !r.Passed && r.Lifts == "" {
			r.Lifts = lifts[r.Guard]
		}
	}
	d.Incident, d.Because, d.Shadow, d.Until = l.inc.ID, l.because, l.shadow, l.until
	d.Reads = slices.Compact(l.reads)
	d.Want = l.wanted
	return d
}

func (l *look) hold(code, format string, args ...any) signalbox.Decision {
	l.note(code, false, format, args...)
	return signalbox.Decision{Verdict: signalbox.Hold}
}

// held holds for the reasons that were noted already.
func (l *look) held() signalbox.Decision { return signalbox.Decision{Verdict: signalbox.Hold} }

func (l *look) owner() string {
	if l.inc.Owner != "" {
		return l.inc.Owner
	}
	return l.h.config.DefaultOwner
}

// escalate pages the owner, once for an incident, for reasons that were noted
// already; afterwards it holds. A silence of the source stops the page.
func (l *look) escalate(why, group string) signalbox.Decision {
	if l.inc.Page != "" {
		return l.held()
	}
	if s := l.suppressed(); s != "" {
		return l.hold("suppressed", "the source holds it under %s: no page", s)
	}
	return signalbox.Decision{Verdict: signalbox.Escalate, Page: l.pageNote(why, group)}
}

// giveUp ends automation on the incident and pages, also where a page went out
// before: it is then brought up to date. It does so once.
func (l *look) giveUp(why, group string) signalbox.Decision {
	if l.inc.GaveUp != "" && l.inc.Page != "" {
		return l.hold("gave_up", "automation has given up: %s", l.inc.GaveUp)
	}
	l.note("gave_up", false, "automation gives up: %s", why)
	if s := l.suppressed(); s != "" {
		return l.hold("suppressed", "the source holds it under %s: no page", s)
	}
	return signalbox.Decision{Verdict: signalbox.Escalate, GaveUp: why, Page: l.pageNote(why, group)}
}

// pageNote asks for a page to the incident's owner.
func (l *look) pageNote(why, group string) *signalbox.PageNote {
	n := &signalbox.PageNote{Owner: l.owner(), Group: group, Why: why, Causes: l.causes()}
	if root := l.root(l.dependsOn()); root != nil {
		n.With = root.ID
	}
	return n
}

// suppressed names the silence or inhibition that is in force. Until silences,
// where they count for all incidents, were read for the first time, or could not
// be, there may be one: each reading ends, well or with an error.
func (l *look) suppressed() string {
	held := l.inc.Reading.Suppressed
	if l.own != nil {
		held = l.own.Suppressed
	}
	if held == "" {
		held = l.silenced(&l.inc.Reading)
	}
	if s := l.w.Facts.Silenced; held == "" && l.h.config.Silences && s.At.IsZero() && s.Err == "" {
		held = "silences that are still to be read for the first time since the start"
	}
	return held
}

func (l *look) readSilences() { l.read(signalbox.SilencesKey) }

// reading returns the freshest reading of the incident's own series. An alert
// that has ended is no longer among the facts; what was recorded of it stands.
func (l *look) reading() *signalbox.Reading {
	if l.own == nil && l.inc.Reading.Episode != "" && l.inc.Reading.Condition == signalbox.Clear {
		return &l.inc.Reading
	}
	return l.own
}

// seenAt is the time of what a reading shows. An alert has no sample: it shows
// what its source said when it was received.
func seenAt(r *signalbox.Reading) time.Time {
	if r.SampleAt.IsZero() && r.Episode != "" {
		return r.At
	}
	return r.SampleAt
}

// fresh reports whether a reading may be relied on, and why not. It asks to look
// again when that ends.
func (l *look) fresh(r *signalbox.Reading) (ok bool, detail seen) {
	d, known := l.h.detectors[r.Detector]
	if !known {
		return false, seen{why: fmt.Sprintf("detector %q is not configured", r.Detector)}
	}
	if r.Condition == signalbox.Unknown {
		return false, seen{why: strings.TrimSuffix("unknown: "+r.Reason, ": ")}
	}
	if r.Episode != "" && r.Condition == signalbox.Clear {
		return true, seen{why: "its source says that it ended"} // final: a new illness is a new episode
	}
	at := seenAt(r)
	age := l.now.Sub(at)
	if at.IsZero() || age > d.Fresh || age < -d.Fresh {
		return false, seen{why: fmt.Sprintf("the newest sample is of %s, at most %s old is relied on", clock(at), span(d.Fresh))}
	}
	l.at(at.Add(d.Fresh + time.Nanosecond))
	return true, seen{age: age, most: d.Fresh}
}

// seen is how a reading is seen, written only where it is told.
type seen struct {
	why       string // empty: it is fresh, as old as age
	age, most time.Duration
}

func (s seen) String() string {
	if s.why != "" {
		return s.why
	}
	return "sample " + span(s.age) + " old, at most " + span(s.most) + " is relied on"
}

// undoOf returns the last action that was to take another one back; nil: none
// was, or it surely had no effect and may be tried again.
func (l *look) undoOf(id signalbox.ActionID) *signalbox.Action {
	tries, last := 0, (*signalbox.Action)(nil)
	for _, a := range l.actions {
		if a.Undoes == id {
			tries, last = tries+1, a
		}
	}
	if last != nil && last.Stage == signalbox.Broken && !last.Ran() && tries < maxAttempts {
		return nil
	}
	return last
}

// lastSwitched returns the last action that threw a switch forward; nil: none.
func (l *look) lastSwitched() *signalbox.Action {
	for _, a := range slices.Backward(l.actions) {
		if a.Undoes == "" && !quiet(&a.Step) {
			return a
		}
	}
	return nil
}

// stands reports whether the effect of an action is still there and is its own:
// nothing took it back or threw the switch since.
func (l *look) stands(a *signalbox.Action) bool {
	if a.Undoes != "" || a.Undone != "" || a.Stage != signalbox.Done || isPage(&a.Step) {
		return false
	}
	if u := l.undoOf(a.ID); u != nil && u.Stage == signalbox.Done {
		return false
	}
	for _, t := range a.Forecast.Targets {
		l.readTarget(t)
		if s := l.w.State.Targets[t]; s != nil && s.Thrown == a.ID {
			return true
		}
	}
	return false
}
