package config

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// runbook resolves the steps of a policy into one list: those that run at once
// become a lane, and those for a failure stand behind their step.
func (l *loader) runbook(s spot, keys policyKeys, on []*Detector) (steps []signalbox.Step) {
	if !s.has() || s.node.shape != sequence {
		return nil
	}
	if len(s.node.items) == 0 {
		s.fail("must have at least one step", nil)
	}
	l.earlier, l.whole, l.made = []string{}, true, map[moveOf]bool{}
	lane := 0
	for i, item := range s.node.items {
		at := s.item(item)
		if item.shape != mapping || i >= len(keys.Runbook) {
			l.whole = false
			continue
		}
		k := keys.Runbook[i]
		if at.key("parallel").has() {
			lane++
			together := l.parallel(at, k, keys.Autonomy, on, lane)
			l.make(together)
			steps = append(steps, together...)
			continue
		}
		step, ok := l.step(at, k.PlainStepKeys, keys.Autonomy, on)
		if !ok {
			l.whole = false
			continue
		}
		steps = append(steps, step)
		steps = append(steps, l.onFailure(at.key("on_failure"), k.OnFailure, keys.Autonomy, on, len(steps))...)
		l.make([]signalbox.Step{step}) // a rescue comes where it was not done
	}
	return steps
}

func (l *loader) parallel(s spot, k stepKeys, autonomy policy.Autonomy, on []*Detector, lane int) (steps []signalbox.Step) {
	s.entries(func(name string, at spot) {
		if name != "parallel" {
			at.fail("must not stand beside parallel: it is of the steps in it", nil)
		}
	})
	steps = l.branch(s.key("parallel"), k.Parallel, autonomy, on)
	for i := range steps {
		steps[i].Lane = lane
		if steps[i].Tells {
			s.find(fmt.Sprintf("parallel[%d]", i)).fail("must not stand in parallel: what only tells is told beside all else anyway", steps[i].Name)
		}
		for _, other := range steps[:i] {
			if other.Kind == steps[i].Kind && other.Name == steps[i].Name {
				s.find(fmt.Sprintf("parallel[%d]", i)).fail("must be on a switch of its own: another step that runs at once is on it too", other.Name)
			}
		}
		if k.Parallel[min(i, len(k.Parallel)-1)].Resume {
			s.find(fmt.Sprintf("parallel[%d].resume", i)).fail("must not be given in parallel", nil)
		}
	}
	return steps
}

// onFailure resolves the rescue of the step that stands at index 1 less.
func (l *loader) onFailure(s spot, keys []branchStepKeys, autonomy policy.Autonomy, on []*Detector, of int) []signalbox.Step {
	if !s.has() {
		return nil
	}
	steps := l.branch(s, keys, autonomy, on)
	for i := range steps {
		steps[i].Rescue = of
		steps[i].Resume = i < len(keys) && keys[i].Resume
		if steps[i].Resume && i < len(keys)-1 {
			items(s)[i].key("resume").fail("must be on the last step", nil)
		}
	}
	return steps
}

func (l *loader) branch(s spot, keys []branchStepKeys, autonomy policy.Autonomy, on []*Detector) (steps []signalbox.Step) {
	for i, at := range items(s) {
		if !at.has() || at.node.shape != mapping || i >= len(keys) {
			l.whole = false
			continue
		}
		step, ok := l.step(at, keys[i].PlainStepKeys, autonomy, on)
		l.whole = l.whole && ok
		if ok {
			steps = append(steps, step)
		}
	}
	return steps
}

// step resolves one step: one key of a remediator, which names its switch, tool
// or owner, or wait, and what every step has.
func (l *loader) step(s spot, keys PlainStepKeys, autonomy policy.Autonomy, on []*Detector) (step signalbox.Step, ok bool) {
	var given []string
	s.entries(func(name string, _ spot) {
		if _, ok := l.keywords[name]; ok || name == "wait" {
			given = append(given, name)
		}
	})
	if len(given) != 1 {
		s.exactlyOne(slices.Sorted(slices.Values(append(words(l.keywords), "wait"))), given)
		return step, false
	}
	at := s.key(given[0])
	switch {
	case given[0] == "wait":
		step, ok = l.waitStep(at, s, keys, on)
	case !at.must(scalar):
		return step, false
	case l.keywords[given[0]].Owner != nil:
		step, ok = l.pageStep(s, at, keys, on)
	case l.keywords[given[0]].Tools != nil:
		step, ok = l.toolStep(s, at, l.keywords[given[0]], keys, on)
	default:
		step, ok = l.flipStep(s, at, keys, autonomy, on)
	}
	l.flow(s, &step, keys)
	return step, ok
}

// flow fills in how a step stands in its runbook.
func (l *loader) flow(s spot, step *signalbox.Step, keys PlainStepKeys) {
	step.ID, step.Within, step.Promise = keys.ID, keys.Within.Std(), keys.Promise.Std()
	if s.key("promise").has() {
		atLeast(s, "promise", keys.Promise, time.Minute)
	}
	if at := s.key("within"); at.has() {
		atLeast(s, "within", keys.Within, time.Second)
	}
	if keys.Else == "skip" {
		step.Else = signalbox.ElseSkip
	}
	if keys.Then == "next" {
		step.Then = signalbox.ThenNext
	}
	if at := s.key("else"); at.has() && keys.If == "" {
		at.fail("must not be given without if", keys.Else)
	}
	if at := s.key("id"); keys.ID != "" && nameRule(at, keys.ID) {
		if slices.Contains(l.earlier, keys.ID) {
			at.fail("must be another than that of an earlier step", keys.ID)
		}
		l.earlier = append(l.earlier, keys.ID)
	}
	if keys.Items == nil {
		return
	}
	if r, ok := l.remediatorOf(step.Kind); !ok || !r.Items {
		s.key("items").fail("must not be given: a step of this kind takes no ids", nil)
	}
	step.Most, step.Pace = keys.Items.Most, signalbox.ItemPace{N: keys.Items.Pace.N, Per: keys.Items.Pace.Per}
}

func (l *loader) waitStep(at, s spot, keys PlainStepKeys, on []*Detector) (signalbox.Step, bool) {
	step := signalbox.Step{Kind: "wait", Name: "wait", Spec: []byte("{}"), If: keys.If}
	if to := s.key("to"); to.has() {
		to.fail("must not be given for a step that throws no switch", nil)
	}
	if !s.key("within").has() {
		s.key("within").fail("is required with wait: nothing is waited for without an end", nil)
	}
	w := keys.Wait
	if w == nil || (w.If == "") == (w.Detector == "") {
		at.fail("must have either a detector with a subject, or if", nil)
		return step, false
	}
	condition{keys.If, on, nil, true, l.earlier}.check(s.key("if"))
	step.Until = &signalbox.Wait{For: w.For.Std(), If: w.If}
	if w.If != "" {
		condition{w.If, on, nil, true, l.earlier}.check(at.key("if"))
		return step, true
	}
	reference(at.key("detector"), "a detector", l.detectorOf)
	labelsOf(on).mustHave(at, "subject", w.Subject.Labels())
	if w.Subject.IsZero() {
		at.key("subject").fail("is required with detector", nil)
		return step, false
	}
	step.Until.Witness = signalbox.Witness{Detector: w.Detector, Subject: w.Subject.String()}
	return step, true
}
