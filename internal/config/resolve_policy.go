package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/policy"
)

func (l *loader) policy(s spot) {
	var keys policyKeys
	l.settle(s, nil, &keys)
	if at := s.key("name"); keys.Name != "" && nameRule(at, keys.Name) {
		once(at, keys.Name, l.policyPlaces)
	}
	autonomyRule(s.key("autonomy"), keys.Autonomy)
	detectors := l.on(s.key("on"), keys.On)
	for _, name := range words(keys.Match) {
		labelsOf(detectors).mustHave(s, "match."+name, []string{name})
	}
	verify := l.verify(s.key("verify"), keys.Verify, detectors)
	runbook := l.runbook(s.key("runbook"), keys, detectors)
	witness, sure := l.firstWitness(runbook)
	sure = sure && l.whole
	condition{keys.When, detectors, witness, sure, nil}.check(s.key("when"))
	atLeast(s, "verify.within", keys.Verify.Within, time.Second)
	l.cfg.Policy.Policies = append(l.cfg.Policy.Policies, policy.Policy{
		Name: keys.Name, On: keys.On, Match: keys.Match, When: keys.When, Autonomy: keys.Autonomy,
		Runbook: runbook, Verify: verify,
		VerifyWithin: keys.Verify.Within.Std(), AfterHealthy: keys.Undo.AfterHealthy.Std(),
		Cooldown: keys.Guards.Cooldown.Std(), Budget: rates(keys.Guards.Budget),
		Needs: int(keys.Guards.Needs), Witnesses: l.witnesses(s, keys, detectors),
		ApproveWithin: keys.Approve.Within.Std(), TwoPersons: keys.Approve.TwoPersons,
		During: l.changeNames(s.find("guards.during"), keys.Guards.During), Ignores: l.changeNames(s.find("guards.ignore_changes"), keys.Guards.IgnoreChanges),
	})
}

// witnesses are what corroborates, and that there are enough of them.
func (l *loader) witnesses(s spot, keys policyKeys, on []*Detector) (list []signalbox.Witness) {
	heard := map[string]bool{}
	for _, name := range keys.On {
		heard[name] = true
	}
	for i, w := range keys.Guards.Witnesses {
		path := fmt.Sprintf("guards.witnesses[%d]", i)
		reference(s.find(path+".detector"), "a detector", l.detectorOf)
		labelsOf(on).mustHave(s, path+".subject", w.Subject.Labels())
		heard[w.Detector] = true
		list = append(list, signalbox.Witness{Detector: w.Detector, Subject: w.Subject.String()})
	}
	if at := s.find("guards.needs"); int(keys.Guards.Needs) > len(heard) && at.has() {
		at.fail(fmt.Sprintf("must not be more than the detectors that are heard, which are %d: name more in on or guards.witnesses", len(heard)), fmt.Sprintf("%d sources", keys.Guards.Needs))
	}
	return list
}

func autonomyRule(s spot, a policy.Autonomy) {
	oneOf(s, a, policy.Shadow, policy.Suggest, policy.Approve, policy.Auto)
}

// changeNames checks that changes are declared.
func (l *loader) changeNames(s spot, list names) []string {
	if s.has() {
		declared := map[string]bool{}
		for _, name := range l.changes {
			declared[name] = true
		}
		for _, item := range items(s) {
			reference(item, "a change", declared)
		}
	}
	return list
}

// on returns the detectors that are named and well.
func (l *loader) on(s spot, names []string) (detectors []*Detector) {
	if s.has() && s.node.shape == sequence && len(s.node.items) == 0 {
		s.fail("must name at least one detector", nil)
	}
	for i, name := range names {
		at := s
		if s.node.shape == sequence {
			at = s.item(s.node.items[i])
		}
		if name != "" && slices.Contains(names[:i], name) {
			at.fail("must not name a detector twice", name)
			continue
		}
		if d, _ := reference(at, "a detector", l.detectorOf); d != nil {
			detectors = append(detectors, d)
		}
	}
	return detectors
}

// labelsOf are detectors whose incidents' labels are read.
type labelsOf []*Detector

// mustHave reports a label that the incidents of a detector never have, since
// it lists those that it keeps.
func (ds labelsOf) mustHave(s spot, path string, labels []string) {
	for _, name := range labels {
		for _, d := range ds {
			if len(d.Labels) > 0 && !slices.Contains(d.Labels, name) {
				s.find(path).fail(fmt.Sprintf("must use only labels that detector %s lists (%s)", d.Name, strings.Join(d.Labels, ", ")), name)
				break
			}
		}
	}
}

func (l *loader) verify(s spot, keys verifyKeys, on []*Detector) signalbox.Witness {
	if keys.Detector == "" && keys.Subject.IsZero() {
		return signalbox.Witness{}
	}
	switch {
	case keys.Detector == "":
		s.key("detector").fail("is required with subject", nil)
	case keys.Subject.IsZero():
		s.key("subject").fail("is required with detector", nil)
	}
	reference(s.key("detector"), "a detector", l.detectorOf)
	labelsOf(on).mustHave(s, "subject", keys.Subject.Labels())
	return signalbox.Witness{Detector: keys.Detector, Subject: keys.Subject.String()}
}

func (l *loader) pageStep(s, at spot, keys PlainStepKeys, on []*Detector) (signalbox.Step, bool) {
	if to := s.key("to"); to.has() {
		to.fail("must not be given for a step that throws no switch", nil)
	}
	condition{keys.If, on, nil, true, l.earlier}.check(s.key("if"))
	o, _ := reference(at, "an owner", l.ownerOf)
	if o == nil {
		return signalbox.Step{}, false
	}
	step := o.Page
	step.If = keys.If
	return step, true
}

func (l *loader) flipStep(s, at spot, keys PlainStepKeys, autonomy policy.Autonomy, on []*Detector) (signalbox.Step, bool) {
	if !s.key("to").has() {
		s.key("to").fail("is required: the position to throw to", nil)
	}
	w, _ := reference(at, "a switch", l.switchOf)
	if w == nil {
		return signalbox.Step{}, false
	}
	if len(w.Positions) > 0 {
		reference(s.key("to"), "a position of "+w.Name, w.Positions)
	}
	if (autonomy == policy.Auto || autonomy == policy.Approve) && !w.proved {
		at.fail(fmt.Sprintf("must be a switch with health where autonomy is %s: nothing proves its positions healthy", autonomy), w.Name)
	}
	step := signalbox.Step{
		Kind: w.Kind, Name: w.Name, To: keys.To, Spec: w.Spec, If: keys.If, Health: w.Health, Undo: w.Undo,
	}
	if witness, ok := w.Health[keys.To]; ok {
		labelsOf(on).mustHave(at, "", subjectLabels(witness.Subject))
	}
	witness, sure := l.witnessOf(step)
	condition{keys.If, on, witness, sure, l.earlier}.check(s.key("if"))
	return step, true
}

// subjectLabels are the labels that a subject still reads.
func subjectLabels(text string) []string {
	var subject kind.Subject
	if subject.UnmarshalText([]byte(text)) != nil {
		return nil // it was a template before its position was filled in
	}
	return subject.Labels()
}

// witnessOf is the detector that proves the health of a step's destination. It
// is not sure where that detector is declared, but wrong.
func (l *loader) witnessOf(step signalbox.Step) (d *Detector, sure bool) {
	witness, ok := step.Health[step.To]
	if !ok {
		return nil, len(step.Health) == 0 && !l.switchOf[step.Name].proved
	}
	d = l.detectorOf[witness.Detector]
	return d, d != nil
}

// firstWitness is the one of the first switch that a runbook throws: what
// `when` sees as the destination.
func (l *loader) firstWitness(steps []signalbox.Step) (d *Detector, sure bool) {
	for _, step := range steps {
		if _, tool := l.toolOf[step.Name]; step.To != "" && !tool {
			return l.witnessOf(step)
		}
	}
	return nil, true
}

// condition is a CEL condition and what it is about.
type condition struct {
	text    string
	on      []*Detector
	witness *Detector // of the destination; nil: there is none
	sure    bool      // false: there may be a destination, and it is not known
	earlier []string  // ids of the steps before; nil: it is no step's
}

// check type-checks the condition, once for each unit that value may have.
func (c condition) check(s spot) {
	if c.text == "" || !c.sure && strings.Contains(c.text, "destination") {
		return
	}
	var destination []signalbox.Unit
	if c.witness != nil {
		destination = []signalbox.Unit{c.witness.Settings.Unit()}
	}
	seen := map[signalbox.Unit]bool{}
	for _, d := range c.on {
		unit := d.Settings.Unit()
		if seen[unit] {
			continue
		}
		seen[unit] = true
		err := policy.CheckWhen(c.text, unit, destination...)
		if c.earlier != nil {
			err = policy.CheckStep(c.text, unit, c.earlier, destination...)
		}
		if err != nil {
			s.fail(fmt.Sprintf("must be a condition in CEL that fits detector %s (%s)", d.Name, err), c.text)
			return
		}
	}
}
