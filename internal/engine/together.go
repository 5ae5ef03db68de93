package engine

import (
	"errors"
	"fmt"
	"maps"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/policy"
)

// together gathers what the decisions of one round leave on record in as few
// transactions as they fit in. In a storm they are thousands, and those that
// share a page each rewrite it.
//
// A decision that read what another in the same transaction changes is not
// added to it: the transaction is committed first, which makes that decision due
// again, as if each had been committed alone.
type together struct {
	l       *loop
	now     time.Time
	w       *write
	of      []*signalbox.Decision
	changed map[signalbox.Key]bool
	made    map[string][]policy.Made // as the loop had it before
}

func (l *loop) together(now time.Time) *together {
	t := &together{l: l, now: now}
	t.begin()
	return t
}

func (t *together) begin() {
	t.w, t.of, t.changed, t.made = &write{}, nil, map[signalbox.Key]bool{}, nil
}

// mostGathered is how many changes one transaction gathers: the last decision may
// bring some more.
const mostGathered = store.MaxOps * 3 / 4

// recordedOnly reports whether all that a verdict asks for is on record with it.
func recordedOnly(v signalbox.Verdict) bool {
	switch v {
	case signalbox.Resolve, signalbox.Hold, signalbox.Verify, signalbox.Escalate, signalbox.Ask, signalbox.Advance:
		return true
	case signalbox.Preview, signalbox.Act, signalbox.Undo, signalbox.Settle:
	}
	return false
}

// changes reports whether what is gathered changes one of the keys.
func (t *together) changes(reads []signalbox.Key) bool {
	if len(t.of) == 0 {
		return false
	}
	for _, k := range reads {
		if t.changed[k] {
			return true
		}
	}
	return false
}

// add puts a decision on record with the others, if it says something new.
func (t *together) add(d *signalbox.Decision) {
	if t.made == nil {
		t.made = maps.Clone(t.l.made)
	}
	if !t.l.record(t.w, d, t.now) {
		return
	}
	t.of = append(t.of, d)
	t.note(d)
	if t.w.size()+len(t.w.deletes) >= mostGathered {
		t.commit()
	}
}

// note notes which keys a decision has changed, as took tells them.
func (t *together) note(d *signalbox.Decision) {
	w := t.w
	t.changed[signalbox.IncidentKey(d.Incident)] = true
	if inc := w.incs[d.Incident]; inc != nil {
		t.changed[signalbox.SubjectKey(inc.Reading.Subject)] = true
	}
	for id := range w.acts {
		t.changed[signalbox.ActionKey(id)] = true
	}
	for id := range w.targets {
		t.changed[signalbox.TargetKey(id)] = true
	}
	for key := range w.pages {
		t.changed[signalbox.PageKey(key)] = true
	}
	for name := range w.pols {
		t.changed[signalbox.PolicyKey(name)] = true
	}
	for id := range w.asked {
		t.changed[signalbox.ApprovalKey(id)] = true
	}
	for i := range w.others {
		t.changed[w.others[i].Key] = true
	}
	for _, k := range w.deletes {
		t.changed[k] = true
	}
}

// record adds to w what a decision leaves on record; false: nothing.
func (l *loop) record(w *write, d *signalbox.Decision, now time.Time) bool {
	if d.Verdict == signalbox.Resolve {
		l.resolve(w, d, now)
		return true
	}
	return l.note(w, d)
}

// commit writes what was gathered. What does not fit into one transaction is
// written one by one.
func (t *together) commit() {
	l, w, of, made := t.l, t.w, t.of, t.made
	t.begin()
	if len(of) == 0 || l.auth == nil {
		return
	}
	err := l.tryCommit(w)
	if errors.Is(err, journal.ErrTooLarge) && len(of) > 1 {
		l.made = made
		for _, d := range of {
			if t.add(d); l.auth != nil {
				t.commit()
			}
		}
		return
	}
	if err != nil {
		l.fail(fmt.Errorf("commit: %w", err))
		return
	}
	for _, d := range of {
		if d.Verdict == signalbox.Resolve {
			l.resolved(d)
		} else {
			l.last[d.Incident] = d
		}
	}
}
