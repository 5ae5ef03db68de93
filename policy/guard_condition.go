package policy

import (
	"errors"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// guardCondition asks that the step's condition holds right now. What it fails
// on, a label or a value that is not there, is told, and never true.
func guardCondition(l *look, m *move) answer {
	if m.step.If == "" {
		return answer{effect: passes, detail: "the step has none"}
	}
	ok, detail, err := l.condition(m)
	if !ok && len(m.step.Health) > 0 { // what is missing may be the destination's: it is said why
		h := l.healthy(m.step.Health, m.step.To, 0)
		if h.effect == waits || h.effect != passes && err != nil {
			detail += "; " + h.detail
		}
		if h.effect == waits {
			return answer{effect: waits, detail: detail}
		}
	}
	if err != nil || !ok {
		return answer{effect: blocks, detail: detail}
	}
	return answer{effect: passes, detail: detail}
}

// condition evaluates the condition of a step, and says in words what came of
// it.
func (l *look) condition(m *move) (ok bool, detail string, err error) {
	return l.evaluate(m, m.step.If, func(r *rule) map[signalbox.Unit]*condition { return r.ifs[m.index] })
}

// until evaluates what a step waits for.
func (l *look) awaited(m *move) (ok bool, detail string, err error) {
	return l.evaluate(m, m.step.Until.If, func(r *rule) map[signalbox.Unit]*condition { return r.untils[m.index] })
}

func (l *look) evaluate(m *move, text string, of func(*rule) map[signalbox.Unit]*condition) (ok bool, detail string, err error) {
	if text == "" {
		return true, "it has no condition", nil
	}
	fail := func(why string) (bool, string, error) { return false, why, errors.New(why) }
	if m.rule == nil || m.rule.hash != m.plan.PolicyHash || m.index >= len(m.rule.ifs) {
		return fail("its policy was edited or removed since this runbook began")
	}
	if l.own == nil {
		return fail("no reading of its series yet")
	}
	c := of(m.rule)[l.h.detectors[l.own.Detector].Unit]
	if c == nil {
		return fail(fmt.Sprintf("it is not made for detector %q: %s", l.own.Detector, text))
	}
	ok, err = c.holds(&input{
		reading: l.own, destination: func() *destination { return l.destination(m.step) }, steps: func() steps { return l.returned(m.plan) },
	})
	switch {
	case err != nil:
		return false, fmt.Sprintf("%v in %s", err, text), err
	case !ok:
		return false, "false: " + text, nil
	}
	return true, "true: " + text, nil
}

// steps are what earlier steps returned, by their ids.
type steps map[string]map[string]string

// returned tells of each step that has an id what became of it.
func (l *look) returned(plan *signalbox.Plan) steps {
	out := steps{}
	for i := range plan.Steps {
		s := &plan.Steps[i]
		if s.ID == "" {
			continue
		}
		r := map[string]string{"state": "", "outcome": "", "position": "", "to": s.To, "detail": ""}
		switch l.phase(plan, i) {
		case flying:
			r["state"] = "in_flight"
		case failed:
			r["state"] = "failed"
		case over:
			r["state"] = "done"
		case pending:
		}
		for _, m := range l.inc.Marks {
			if m.Index == i {
				r["state"], r["detail"] = string(m.State), m.Why
			}
		}
		for _, a := range l.actions {
			if a.Index == i && a.Undoes == "" && a.Stage != signalbox.Broken {
				r["outcome"], r["position"], r["detail"] = string(a.Outcome), found(&a.Forecast), a.Receipt.Detail
			}
		}
		out[s.ID] = r
	}
	return out
}
