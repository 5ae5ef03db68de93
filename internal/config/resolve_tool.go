package config

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// tool is what steps use that throw no switch.
func (l *loader) tool(name string, s spot) {
	l.toolOf[name] = nil
	from := len(s.report.list)
	var keys toolKeys
	l.settle(s, nil, &keys)
	oneOf(s.key("undo"), keys.Undo, undoModes...)
	if _, twice := l.switchOf[name]; twice {
		s.fail("must have a name of its own: a switch has it too", name)
	}
	key, remediator, settings := l.chosen(s, l.tools, func(r kind.Remediator) map[string]func() kind.Settings {
		return settingsOf(r.Tools)
	})
	if at := s.key(key).key("source"); key != "" && at.has() {
		reference(at, "a source", l.sourceOf)
	}
	if !s.key("undo").has() && remediator.Tools[key].Tells { // what was told is brought to its end
		keys.Undo = signalbox.UndoAuto
	}
	if remediator.Tools[key].Host != nil && !l.allowCommands {
		s.key(key).fail("runs a program on the daemon's own host, which is off: start the daemon with --allow-commands to let it (and give check the same flag), or take the tool out", nil)
	}
	t := &Tool{Name: name, Key: key, Settings: settings, Undo: keys.Undo, Kind: remediator.Name, Place: s.place, is: remediator.Tools[key]}
	l.toolOf[name] = t // its moves can be checked also where something else is wrong
	if len(s.report.list) > from || l.sourceIsWrong(s.key(key).key("source").text()) {
		return
	}
	spec, err := remediator.Spec(kind.SpecInput{Name: name, Backend: key, Settings: settings, Source: l.sourceByName, ConfigDir: l.dir})
	if err != nil {
		s.key(key).fail(err.Error(), nil)
		return
	}
	t.Spec = spec
	l.cfg.Tools = append(l.cfg.Tools, t)
}

func settingsOf(tools map[string]kind.Tool) map[string]func() kind.Settings {
	all := make(map[string]func() kind.Settings, len(tools))
	for key, t := range tools {
		all[key] = t.Settings
	}
	return all
}

// toolStep is a step that uses a tool.
func (l *loader) toolStep(s, at spot, r kind.Remediator, keys PlainStepKeys, on []*Detector) (signalbox.Step, bool) {
	condition{keys.If, on, nil, true, l.earlier}.check(s.key("if"))
	t, _ := reference(at, "a tool", l.toolOf)
	if t == nil {
		return signalbox.Step{}, false
	}
	if t.Kind != r.Name {
		at.fail("must be a tool that the step's key fits: this one is for "+keyword(l.tables, t.Kind), t.Name)
		return signalbox.Step{}, false
	}
	var moves []string
	if t.is.Moves != nil {
		moves = t.is.Moves(t.Settings)
	}
	switch to := s.key("to"); {
	case len(moves) == 0 && to.has():
		to.fail("must not be given: there is one thing to do with "+t.Name, keys.To)
	case len(moves) > 0 && !to.has():
		to.fail("is required: what is done with "+t.Name, nil)
	case len(moves) > 0:
		oneOf(to, keys.To, moves...)
		l.inOrder(to, t, keys.To)
	}
	step := signalbox.Step{Kind: t.Kind, Name: t.Name, To: keys.To, Spec: t.Spec, If: keys.If, Undo: t.Undo, Tool: true}
	step.Tells = t.is.Tells
	if t.is.About {
		step.About = &signalbox.About{}
	}
	return step, true
}

// inOrder reports a move that no step before has made ready. What is not known
// of the steps before is not held against it.
func (l *loader) inOrder(at spot, t *Tool, move string) {
	if t.is.After == nil || !l.whole {
		return
	}
	for _, first := range t.is.After(t.Settings, move) {
		if !l.made[moveOf{t.Name, first}] {
			at.fail(fmt.Sprintf("must stand after a step with %s to: %s: it is refused until that is done", t.Name, first), move)
		}
	}
}

// moveOf is a move of a tool.
type moveOf struct{ tool, move string }

// make notes the moves of steps for those that stand after them.
func (l *loader) make(steps []signalbox.Step) {
	for i := range steps {
		l.made[moveOf{steps[i].Name, steps[i].To}] = true
	}
}

// keyword is the key of a step for a kind.
func keyword(t tables, name string) string {
	r, _ := t.remediatorOf(name)
	return r.Keyword
}
