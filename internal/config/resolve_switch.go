package config

import (
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// lever is one switch; the word itself is Go's.
func (l *loader) lever(name string, s spot) {
	l.switchOf[name] = nil
	from := len(s.report.list)
	var keys switchKeys
	l.settle(s, nil, &keys)
	oneOf(s.key("undo"), keys.Undo, undoModes...)
	key, remediator, settings := l.chosen(s, l.backends, func(r kind.Remediator) map[string]func() kind.Settings { return r.Backends })
	positionRules(s, keys.Positions)
	health := l.health(s.key("health"), keys)
	if at := s.key(key).key("source"); key != "" && at.has() {
		reference(at, "a source", l.sourceOf)
	}
	w := &Switch{
		Name: name, Backend: key, Settings: settings, Undo: keys.Undo,
		Positions: keys.Positions, Health: health, Place: s.place, proved: s.key("health").has(),
	}
	l.switchOf[name] = w // its positions can be checked also where something else is wrong
	if len(s.report.list) > from {
		return
	}
	in := kind.SpecInput{
		Name: name, Backend: key, Settings: settings, Positions: keys.Positions,
		Source: l.sourceByName, ConfigDir: l.dir,
	}
	if l.sourceIsWrong(s.key(key).key("source").text()) {
		return
	}
	spec, err := remediator.Spec(in)
	if err != nil {
		s.key(key).fail(err.Error(), nil)
		return
	}
	w.Kind, w.Spec = remediator.Name, spec
	l.cfg.Switches = append(l.cfg.Switches, w)
}

// sourceIsWrong reports a source that is declared and has problems of its own.
func (l *loader) sourceIsWrong(name string) bool {
	src, declared := l.sourceOf[name]
	return declared && src == nil
}

func positionRules(s spot, positions map[string]string) {
	at := s.key("positions")
	if !at.has() || at.node.shape != mapping {
		return
	}
	if len(at.node.keys) < 2 {
		at.fail("must be at least two, or there is nothing to throw", len(at.node.keys))
	}
	first := map[string]string{}
	at.entries(func(name string, one spot) {
		nameRule(one, name)
		value, ok := positions[name]
		switch other, twice := first[value]; {
		case !ok: // was reported
		case value == "":
			one.fail("must not be empty", nil)
		case twice:
			one.fail("must be a value of its own, or what is found can't be told apart from "+other, value)
		default:
			first[value] = name
		}
	})
}

// positionLabel is what a health subject says for the position's name.
const positionLabel = "position"

func (l *loader) health(s spot, keys switchKeys) map[string]signalbox.Witness {
	if keys.Health == nil {
		return nil
	}
	reference(s.key("detector"), "a detector", l.detectorOf)
	labels := map[string]string{}
	for _, name := range keys.Health.Subject.Labels() {
		labels[name] = "{{" + name + "}}" // filled in with the incident's, later
	}
	if _, ok := labels[positionLabel]; !ok && !keys.Health.Subject.IsZero() {
		s.key("subject").fail("must say which position it is about, with {{position}}", keys.Health.Subject)
		return nil
	}
	witnesses := make(map[string]signalbox.Witness, len(keys.Positions))
	for name := range keys.Positions {
		labels[positionLabel] = name
		subject, _ := keys.Health.Subject.Expand(labels)
		witnesses[name] = signalbox.Witness{Detector: keys.Health.Detector, Subject: subject}
	}
	return witnesses
}
