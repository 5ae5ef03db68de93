package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/fence"
	"github.com/signalbox/signalbox/internal/reach"
)

// moving is one move on one object, with a fence.
type moving struct {
	place
	now  func() time.Time
	spec spec
	aim  aim
}

// state is an object as it was read at one moment.
type state struct {
	*object
	value   string // of the move's aspect
	found   string // the value, and for previous also where it would go
	to      *revision
	fence   fence.Fence
	blocked string
}

func validName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// look reads all that the move depends on.
func (m *moving) look(ctx context.Context) (state, error) {
	o, err := m.Read(ctx)
	if err != nil {
		return state{}, err
	}
	st := state{object: o, value: valueOf(o, m.aim.aspect)}
	st.found = st.value
	st.fence, st.blocked = m.Fence(o, m.aim.aspect)
	if c := m.spec.Cordon; c != nil && !c.matches(o.Labels) {
		return state{}, reach.Refused("node %s is not one of those that may be cordoned: the selector is %s", m.Name, c.Selector)
	}
	if st.blocked == "" {
		st.blocked = m.unfit(o)
	}
	if m.aim.move == movePrevious && st.blocked == "" {
		st.to, err = m.previous(ctx, o)
		var failure *signalbox.Failure
		if errors.As(err, &failure) {
			st.blocked = failure.Error()
		} else if err != nil {
			return state{}, err
		} else {
			st.found = fmt.Sprintf("%s, before it revision %d (%s)", st.value, st.to.number, st.to.template.Value())
		}
	}
	return st, nil
}

// unfit says why an object can't take the move, whatever its value.
func (m *moving) unfit(o *object) string {
	if m.aim.aspect != aspectTemplate {
		return ""
	}
	return o.Unfit()
}

func (m *moving) preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	f := signalbox.Forecast{
		At: m.now(), Class: signalbox.ClassA, Targets: []signalbox.Target{m.Target()},
		Reach: fmt.Sprintf("the %s %s %s", m.Kind, m.Name, m.In()), Takes: m.takes(),
	}
	st, err := m.look(ctx)
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		f.Refused = failure.Error()
		return f, nil
	}
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("tool %q: %w", s.Name, err)
	}
	f.Found, f.Version, f.Position = st.found, st.ResourceVersion, m.spec.position(m.aim.aspect, st.value)
	if m.aim.value == "" {
		f.Position = ""
	}
	f.Already = st.blocked == "" && m.aim.value != "" && st.value == m.aim.value
	f.ByHand = m.byHand(st)
	if f.Refused = m.obstacle(st); f.Refused == "" && !f.Already {
		if f.Refused, err = m.forbidden(ctx, st); err != nil {
			return signalbox.Forecast{}, fmt.Errorf("tool %q: %w", s.Name, err)
		}
	}
	f.Undo, err = m.undo(s, f, st)
	return f, err
}

// takes is how long a move may go on.
func (m *moving) takes() signalbox.Duration {
	if m.spec.Timeout == 0 {
		return 0
	}
	return signalbox.Duration(m.spec.Timeout.Std() + time.Minute) // a last look after the timeout
}

// obstacle says why what was found forbids the move; empty: nothing does.
func (m *moving) obstacle(st state) string {
	back := m.spec.Back
	switch {
	case st.blocked != "":
		return st.blocked
	case m.aim.value != "" && m.spec.position(m.aim.aspect, st.value) == "":
		return fmt.Sprintf("its %s is %s, which is not one of the listed counts", m.aim.aspect, st.value)
	case back != nil && st.value == back.Value:
		return ""
	case back != nil && st.value != back.Expect:
		return fmt.Sprintf("its %s is %s, not %s, which would be taken back: someone else changed it", m.aim.aspect, st.value, back.Expect)
	}
	if foreign := st.fence.Foreign(st.value); foreign != "" {
		return foreign + "; to hand it back: " + m.HandBack(m.aim.aspect)
	}
	return ""
}

// forbidden says who else or which missing permission forbids the move.
func (m *moving) forbidden(ctx context.Context, st state) (string, error) {
	if !m.API.May(ctx, "patch", m.Resource, m.Name, "") {
		return m.Grant("patch", m.Resource, ""), nil
	}
	if m.spec.Back != nil { // what we changed is ours to take back
		return "", nil
	}
	if why := m.gitops(st.object); why != "" {
		return why, nil
	}
	if m.aim.aspect == aspectReplicas {
		return m.autoscaled(ctx)
	}
	return "", nil
}

// undo is the step that takes a move back; nil for an undo, where nothing would
// be done, and for what replaces pods: the next release does.
func (m *moving) undo(s signalbox.Step, f signalbox.Forecast, st state) (*signalbox.Step, error) {
	if m.spec.Back != nil || f.Already || f.Refused != "" || m.aim.value == "" {
		return nil, nil
	}
	sp := m.spec
	sp.Back = &backSpec{Aspect: m.aim.aspect, Expect: m.aim.value, Value: st.value}
	if sp.Cordon != nil {
		pinned := *sp.Cordon
		pinned.Name, sp.Cordon = m.Name, &pinned
	}
	raw, err := json.Marshal(sp)
	if err != nil {
		return nil, fmt.Errorf("tool %q: undo: %w", s.Name, err)
	}
	back := s
	back.To, back.Spec, back.If = f.Position, raw, ""
	return &back, nil
}

// byHand is the command with which a person takes the move back.
func (m *moving) byHand(st state) string {
	name := reach.Quote(m.Name)
	switch m.aim.aspect {
	case aspectPaused, aspectAbort, aspectUnschedulable:
		body := map[string]string{
			movePaused: `{"spec":{"paused":true}}`, moveRunning: `{"spec":{"paused":false}}`,
			moveAborted: `{"status":{"abort":true}}`, moveRetried: `{"status":{"abort":false}}`,
			moveCordoned: `{"spec":{"unschedulable":true}}`, moveUncordoned: `{"spec":{"unschedulable":false}}`,
		}[st.value]
		sub := ""
		if m.aim.aspect == aspectAbort {
			sub = " --subresource status"
		}
		return fmt.Sprintf("%s patch %s %s%s --type merge -p %s", m.Kubectl(), m.Word(), name, sub, reach.Quote(body))
	case aspectReplicas:
		return fmt.Sprintf("%s scale %s %s --replicas=%s", m.Kubectl(), m.Word(), name, st.value)
	}
	if m.aim.move == movePrevious && m.Kind != kindArgo {
		return fmt.Sprintf("%s rollout undo %s %s", m.Kubectl(), m.Word(), name)
	}
	return ""
}

func (m *moving) start(ctx context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	return fence.Writing[state]{
		Name: fmt.Sprintf("tool %q", a.Step.Name),
		Look: m.look,
		Held: func(st state) fence.Fence { return st.fence },
		Judge: func(st state, _ bool) (signalbox.Receipt, bool, error) {
			receipt := signalbox.Receipt{At: m.now(), Version: st.ResourceVersion}
			if st.fence.Action == a.ID && a.ID != "" {
				receipt.Detail = "was written before"
				return receipt, true, nil
			}
			if reason := m.forbids(a, st); reason != "" {
				return signalbox.Receipt{}, false, reach.Refused("tool %q: %s", a.Step.Name, reason)
			}
			if m.aim.value != "" && st.value == m.aim.value {
				receipt.Detail = "is there already: nothing was written"
				return receipt, true, nil
			}
			return signalbox.Receipt{}, false, nil
		},
		Put: func(ctx context.Context, st state) (signalbox.Receipt, error) {
			c := m.change(a, st)
			f := fence.Written(a, c.value, st.value)
			f.Standing = f.Standing && m.aim.value != ""
			version, err := m.Write(ctx, st.object, m.aim.aspect, f, c.ops, a.Gate)
			if err != nil {
				return signalbox.Receipt{}, err
			}
			return signalbox.Receipt{At: m.now(), Version: version, Detail: m.wrote(st)}, nil
		},
	}.Do(ctx)
}

// wrote says what was written, for people.
func (m *moving) wrote(st state) string {
	switch {
	case st.to != nil:
		return fmt.Sprintf("%s: taken back to revision %d", m.Target(), st.to.number)
	case m.aim.value == "":
		return fmt.Sprintf("%s: %s", m.Target(), m.aim.move)
	}
	return fmt.Sprintf("%s: %s is %s (was %s)", m.Target(), m.aim.aspect, m.aim.value, st.value)
}

// change is what the move puts.
func (m *moving) change(a signalbox.Action, st state) change {
	switch {
	case st.to != nil:
		return change{[]reach.Op{{Op: "replace", Path: "/spec/template", Value: st.to.template}}, st.to.template.Value()}
	case m.aim.value == "":
		ops, value := st.Restart(a.ID, m.now())
		return change{ops, value}
	}
	return put(m.aim)
}

// forbids says why the action must not write over what is there; empty: it may.
func (m *moving) forbids(a signalbox.Action, st state) string {
	if st.blocked != "" {
		return st.blocked
	}
	if reason := st.fence.Ahead(a); reason != "" {
		return reason
	}
	switch {
	case a.Undoes != "" && st.fence.Action != "" && st.fence.Action != a.Undoes:
		return fmt.Sprintf("action %s wrote it last, not %s, which is to be taken back", st.fence.Action, a.Undoes)
	case st.found != a.Forecast.Found:
		return fmt.Sprintf("it changed since the preview: it was %s, now it is %s", reach.Shown(a.Forecast.Found), reach.Shown(st.found))
	case st.UID == "":
		return "the answer names no uid"
	}
	return m.obstacle(st)
}

func (m *moving) seal(ctx context.Context, a signalbox.Action, t signalbox.Token) error {
	return fence.Sealing[*object]{
		Look: m.Read,
		Held: func(o *object) (fence.Fence, error) {
			f, blocked := m.Fence(o, m.aim.aspect)
			if blocked != "" {
				return f, errors.New(blocked)
			}
			return f, nil
		},
		Put: func(ctx context.Context, o *object, f fence.Fence) error {
			_, err := m.Write(ctx, o, m.aim.aspect, f, nil, a.Gate)
			return err
		},
	}.Do(ctx, a, t)
}
