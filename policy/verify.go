package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// notHelped is the outcome for which an action is taken back.
const notHelped = signalbox.NotRecovered

// verify judges the effect of an action by new evidence. Only samples whose
// whole window lies after the effect count, and a remediator's own word never
// does.
func (l *look) verify(a *signalbox.Action) signalbox.Decision {
	a = l.together(a)
	by := l.verifyBy(a)
	seen := l.evidence(a)
	settle := signalbox.Decision{Verdict: signalbox.Settle, Takes: a.ID}
	switch {
	case seen.condition == signalbox.Clear:
		l.note("verify", true, "%s", seen.detail)
		settle.Outcome = signalbox.Recovered
		return settle
	case l.onlyLimits() && !l.clear():
		l.note("limit", false, "%s; it is not to be well by %s: a limit stands until its time is over or all is well", seen.detail, throw(&a.Step))
		return signalbox.Decision{Verdict: signalbox.Verify}
	case l.now.Before(by):
		l.at(by)
		l.note("verify", false, "%s; awaited until %s", seen.detail, clock(by))
		return signalbox.Decision{Verdict: signalbox.Verify}
	case seen.none && l.now.Before(by.Add(seen.patience)):
		// After a restart nothing was read yet: that is not evidence of anything.
		l.at(by.Add(seen.patience))
		l.note("verify", false, "%s; awaited until %s", seen.detail, clock(by.Add(seen.patience)))
		return signalbox.Decision{Verdict: signalbox.Verify}
	case seen.condition == signalbox.Breached:
		settle.Outcome = signalbox.NotRecovered
	default:
		settle.Outcome = signalbox.Unverified
	}
	l.note("verify", false, "%s; it was awaited until %s", seen.detail, clock(by))
	return settle
}

// together returns the last action of a chain or lane as it is judged: for all
// that was thrown since the last verdict, whose effect is there once the last to
// end has ended. In a lane that need not be the one that was begun last.
func (l *look) together(last *signalbox.Action) *signalbox.Action {
	all := *last
	for _, a := range slices.Backward(l.actions) {
		if a.ID != last.ID && a.Outcome != "" {
			break
		}
		if a.Undoes != "" || a.Stage != signalbox.Done || isPage(&a.Step) {
			continue
		}
		if a.EndedAt.After(all.EndedAt) {
			all.EndedAt = a.EndedAt
		}
		if by := l.verifyBy(a); by.After(all.VerifyBy) {
			all.VerifyBy = by
		}
	}
	return &all
}

func (l *look) verifyBy(a *signalbox.Action) time.Time {
	if a.VerifyBy.IsZero() && l.inc.Plan != nil {
		return a.EndedAt.Add(l.inc.Plan.VerifyWithin)
	}
	return a.VerifyBy
}

// evidence is what the witness of an effect shows.
type evidence struct {
	condition signalbox.Condition // Clear: all clear; Breached: one is; of what counts
	detail    string
	none      bool          // there is no reading at all
	patience  time.Duration // within which a reading comes, if its source is well
}

func (l *look) evidence(a *signalbox.Action) evidence {
	readings, patience := l.witnesses()
	if len(readings) == 0 {
		return evidence{detail: "there is no reading of what proves it", none: true, patience: patience}
	}
	seen := evidence{condition: signalbox.Clear}
	for _, r := range readings {
		condition, detail := l.counted(r, a)
		if condition == signalbox.Breached {
			return evidence{condition: condition, detail: detail}
		}
		if seen.condition == signalbox.Clear {
			seen = evidence{condition: condition, detail: detail}
		}
	}
	return seen
}

// witnesses returns the readings that prove an effect: of the plan's witness, or
// of the incident's own series.
func (l *look) witnesses() ([]*signalbox.Reading, time.Duration) {
	if w, ok := l.verifier(); ok {
		return l.witness(w), l.h.detectors[w.Detector].Fresh
	}
	patience := l.h.detectors[l.inc.Reading.Detector].Fresh
	if r := l.reading(); r != nil {
		return []*signalbox.Reading{r}, patience
	}
	return nil, patience
}

// verifier is the plan's witness; false: the incident's own series is.
func (l *look) verifier() (signalbox.Witness, bool) {
	if l.inc.Plan == nil || l.inc.Plan.Verify == (signalbox.Witness{}) {
		return signalbox.Witness{}, false
	}
	return l.inc.Plan.Verify, true
}

// counted returns what a reading says of an effect; Unknown where it does not
// count.
func (l *look) counted(r *signalbox.Reading, a *signalbox.Action) (signalbox.Condition, string) {
	what := fmt.Sprintf("%s on %s is %s", r.Detector, r.Subject, r.Condition)
	fresh, why := l.fresh(r)
	if !fresh {
		return signalbox.Unknown, what + ", which does not count: " + why.String()
	}
	since := seenAt(r).Add(-r.Window)
	if r.Episode != "" && r.Condition == signalbox.Clear {
		since = r.EndedAt
	}
	if !since.After(a.EndedAt) {
		return signalbox.Unknown, fmt.Sprintf("%s, which does not count: it shows %s, and the effect was there at %s", what, clock(since), clock(a.EndedAt))
	}
	return r.Condition, fmt.Sprintf("%s, of %s, after the effect at %s", what, clock(seenAt(r)), clock(a.EndedAt))
}

// holdsRecovered says whether an incident that is still breached, though its
// last action helped, is only waited for. It is not when its witness turned ill
// again, or when it was well and broke anew.
func (l *look) holdsRecovered(a *signalbox.Action) (signalbox.Decision, bool) {
	a = l.together(a)
	if l.inc.Reading.OnsetAt.After(a.EndedAt) {
		l.note("relapse", false, "it broke again at %s, after %s had helped", clock(l.inc.Reading.OnsetAt), throw(&a.Step))
		return signalbox.Decision{}, false
	}
	seen := l.evidence(a)
	switch by := l.verifyBy(a); {
	case seen.condition == signalbox.Clear:
		return l.hold("recovered_waiting", "%s; the incident is not over yet", seen.detail), true
	case seen.condition == signalbox.Breached && !l.now.Before(by):
		l.note("relapse", false, "%s had helped, but %s", throw(&a.Step), seen.detail)
		return signalbox.Decision{}, false
	default:
		l.at(by)
		return l.hold("recovered_waiting", "%s had helped; now %s", throw(&a.Step), seen.detail), true
	}
}
