package policy

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// seenWorld is a crowd's world at one moment. Records are replaced and never
// changed in place, so that the maps of them are enough.
type seenWorld struct {
	incidents map[signalbox.IncidentID]*signalbox.Incident
	actions   map[signalbox.ActionID]*signalbox.Action
	targets   map[signalbox.Target]*signalbox.TargetState
	budgets   map[string]*signalbox.Spend
	approvals map[signalbox.ApprovalID]*signalbox.Approval
	policies  map[string]*signalbox.PolicyState
	readings  map[string]*signalbox.Reading // by subject
	controls  signalbox.Controls
	killFile  string
}

// lookedAt is the incremental engine's side of a crowd: the newest decision on
// each incident, taken only when the one before it asked to look again.
type lookedAt struct {
	*crowd
	last map[signalbox.IncidentID]signalbox.Decision
	due  map[signalbox.IncidentID]bool
	was  seenWorld
}

func newLookedAt(c *crowd) *lookedAt {
	x := &lookedAt{crowd: c, last: map[signalbox.IncidentID]signalbox.Decision{}, due: map[signalbox.IncidentID]bool{}}
	x.was = x.seen()
	return x
}

func (x *lookedAt) seen() seenWorld {
	s := x.w.State
	out := seenWorld{
		maps.Clone(s.Incidents), maps.Clone(s.Actions), maps.Clone(s.Targets), maps.Clone(s.Budgets), maps.Clone(s.Approvals), maps.Clone(s.Policies),
		map[string]*signalbox.Reading{},
		s.Controls, x.w.Facts.KillFile,
	}
	for subject, one := range x.series {
		out.readings[subject] = x.w.Facts.Reading(one.detector, subject, "")
	}
	return out
}

// replaced calls yield with what differs between two maps of records.
func replaced[K comparable, V comparable](was, is map[K]V, yield func(K, V)) {
	for k, v := range is {
		if was[k] != v {
			yield(k, v)
		}
	}
}

// changed are the keys of all that was replaced since it was asked last, as the
// engine tells of them.
func (x *lookedAt) changed() (keys []signalbox.Key) {
	was, is := x.was, x.seen()
	x.was = is
	replaced(was.incidents, is.incidents, func(id signalbox.IncidentID, inc *signalbox.Incident) {
		keys = append(keys, signalbox.IncidentKey(id), signalbox.SubjectKey(inc.Reading.Subject))
		if was.incidents[id] == nil {
			x.due[id] = true
		}
	})
	replaced(was.actions, is.actions, func(id signalbox.ActionID, _ *signalbox.Action) { keys = append(keys, signalbox.ActionKey(id)) })
	replaced(was.targets, is.targets, func(t signalbox.Target, _ *signalbox.TargetState) { keys = append(keys, signalbox.TargetKey(t)) })
	replaced(was.budgets, is.budgets, func(scope string, _ *signalbox.Spend) { keys = append(keys, signalbox.BudgetKey(scope)) })
	replaced(was.approvals, is.approvals, func(id signalbox.ApprovalID, _ *signalbox.Approval) { keys = append(keys, signalbox.ApprovalKey(id)) })
	replaced(was.policies, is.policies, func(name string, _ *signalbox.PolicyState) { keys = append(keys, signalbox.PolicyKey(name)) })
	replaced(was.readings, is.readings, func(subject string, r *signalbox.Reading) {
		keys = append(keys, signalbox.ReadingKey(r.Detector, subject), signalbox.DetectorKey(r.Detector))
	})
	if !reflect.DeepEqual(was.controls, is.controls) {
		keys = append(keys, signalbox.ControlsKey)
	}
	if was.killFile != is.killFile {
		keys = append(keys, signalbox.KillFileKey)
	}
	return keys
}

// touch makes due what read one of the keys.
func (x *lookedAt) touch(keys []signalbox.Key) {
	for id, d := range x.last {
		if slices.ContainsFunc(keys, func(k signalbox.Key) bool { _, there := slices.BinarySearch(d.Reads, k); return there }) {
			x.due[id] = true
		}
	}
}

// settle takes the decisions that are due, until none is.
func (x *lookedAt) settle() {
	for range 20 {
		x.touch(x.changed())
		for id, d := range x.last {
			if !d.Until.IsZero() && !d.Until.After(x.w.Now) {
				x.due[id] = true
			}
		}
		ids := slices.Sorted(maps.Keys(x.due))
		clear(x.due)
		if len(ids) == 0 {
			return
		}
		for _, id := range ids {
			delete(x.last, id) // what is over has none
		}
		decisions := x.h.Decide(x.w, ids)
		for i := range decisions {
			x.last[decisions[i].Incident] = decisions[i]
		}
		for i := range decisions {
			x.touch(x.w.Facts.PutWant(decisions[i].Incident, decisions[i].Want))
		}
	}
	x.t.Fatal("decisions make each other due without end")
}

// equal wants each incident's newest decision to be what is decided now.
// Forecasts grow old by themselves: those that are asked for anew are given, as
// the engine does.
func (x *lookedAt) equal() {
	for range 20 {
		x.settle()
		decisions, again := x.h.Decide(x.w, x.open()), false
		for i := range decisions {
			if d := &decisions[i]; d.Verdict == signalbox.Preview && x.last[d.Incident].Verdict != signalbox.Preview && x.w.Facts.Forecast(d.Step.Hash()) != nil {
				x.touch(x.carryOut(d))
				again = true
			}
		}
		if again {
			continue
		}
		for _, d := range decisions {
			was, there := x.last[d.Incident]
			if !there {
				x.t.Fatalf("%s was never decided", d.Incident)
			}
			if why := another(was, d); why != "" && !x.countedSoon(was, d) {
				x.t.Fatalf("%s was not due at %s, and is another by now: %s", d.Incident, x.w.Now, why)
			}
		}
		return
	}
	x.t.Fatal("forecasts are asked for without end")
}

// countedSoon reports whether a blast radius held that would pass by now. What it
// counts, subjects and targets of others, is not among what a decision reads: one
// that it holds is looked at again soon.
func (x *lookedAt) countedSoon(was, now signalbox.Decision) bool {
	a, b := reason(was.Because, "blast"), reason(now.Because, "blast")
	return a != nil && b != nil && !a.Passed && a.Detail != b.Detail && !was.Until.IsZero() && !was.Until.After(x.w.Now.Add(lookAtCensus))
}

// act carries out what was decided, each as long as nothing that it read has
// changed.
func (x *lookedAt) act() {
	done := map[signalbox.IncidentID]bool{}
	for _, id := range slices.Sorted(maps.Keys(x.last)) {
		if d := x.last[id]; !x.due[id] && !done[id] {
			x.touch(x.carryOut(&d))
			done[id] = true
			x.touch(x.changed())
		}
	}
}

// What a decision reads and until when it holds is complete also for a crowd whose
// incidents depend on each other, want one switch, wait for approvals, share
// budgets and a blast radius, and of which some are acted on and taken back.
func TestPropertyIncrementalEqualsFullInACrowd(t *testing.T) {
	acts := 0
	rapid.Check(t, func(t *rapid.T) {
		x := newLookedAt(newCrowd(t, drawKnobs(t)))
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			for range rapid.IntRange(0, 3).Draw(t, "events") {
				x.happens()
				x.equal()
			}
			for range 3 {
				x.act()
				x.equal()
			}
			later := rapid.SampledFrom(crowdSteps).Draw(t, "later")
			if rapid.Bool().Draw(t, "unread") {
				x.w.Now = x.w.Now.Add(later) // nothing is read again in it
			} else {
				x.later(later)
			}
			x.equal()
		}
		acts += x.acts
	})
	t.Logf("%d actions", acts)
}
