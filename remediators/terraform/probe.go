package terraform

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// sendBound is the longest after its claim that a Start is believed to send.
const sendBound = time.Minute

// next is the write that is due.
type next int

const (
	nextNone next = iota
	nextQueue
	nextApply
	nextDiscard
)

// decision is what is known of an action, and what is to be done.
type decision struct {
	phase signalbox.Phase
	why   string
	next  next
	run   *run
}

// Probe reads how far the action has come. It writes nothing.
func (r *remediator) Probe(ctx context.Context, a signalbox.Action) (signalbox.Progress, error) {
	l, err := r.open(a.Step)
	if err != nil {
		return signalbox.Progress{}, err
	}
	sc, err := l.look(ctx, a.ClaimedAt)
	var failure *signalbox.Failure
	if errors.As(err, &failure) { // it can't be seen; that says nothing of the action
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: failure.Error()}, nil
	}
	if err != nil {
		return signalbox.Progress{}, fmt.Errorf("switch %q: %w", a.Step.Name, err)
	}
	d := l.decide(ctx, &sc, a)
	if d.next == nextNone && d.run == nil && d.phase == signalbox.InDoubt && r.now().After(a.ClaimedAt.Add(sendBound+l.Latency.Std())) {
		d = l.never(&sc, a)
	}
	p := signalbox.Progress{Phase: d.phase, Reason: d.why, Next: d.next != nextNone}
	if d.phase == signalbox.Succeeded || d.phase == signalbox.Fell && d.run != nil {
		p.Receipt = signalbox.Receipt{At: r.now(), Detail: d.why}
		if d.run != nil {
			p.Receipt.Version = d.run.ID
		}
	}
	if d.phase == signalbox.Succeeded {
		p.Reason = ""
	}
	return p, nil
}

// decide says how far an action has come, and which write is next.
func (l *lever) decide(ctx context.Context, s *scene, a signalbox.Action) decision {
	if mine := s.of(a.ID); mine != nil {
		d := l.follow(ctx, s, mine)
		d.run = mine
		return d
	}
	switch {
	case !s.whole:
		return decision{phase: signalbox.InDoubt, why: "there were too many runs since to find ours among them"}
	case s.variable == nil || s.value() != l.want:
		return decision{phase: signalbox.InDoubt, why: fmt.Sprintf("the variable is at %q, and no run was made; the write may still come", reach.Shown(s.value()))}
	case a.Forecast.Already:
		return decision{phase: signalbox.Succeeded, why: fmt.Sprintf("%s was at %s already", l.name, l.to)}
	}
	if why := l.occupied(s); why != "" {
		return decision{phase: signalbox.Running, why: "the variable is set, and the run waits: " + why}
	}
	return decision{phase: signalbox.Running, next: nextQueue, why: "the variable is set, and the run is still to be made"}
}

// never is what is known where no run was made, and no write comes any more.
func (l *lever) never(s *scene, a signalbox.Action) decision {
	switch {
	case !s.whole:
		return decision{phase: signalbox.InDoubt, why: "there were too many runs since to find ours among them"}
	case s.value() == a.Forecast.Found:
		return decision{phase: signalbox.NotStarted, why: "the variable has the value found before, and no run was made"}
	}
	return decision{phase: signalbox.Fell, why: fmt.Sprintf("someone else put the variable to %q, and no run was made", reach.Shown(s.value()))}
}

// follow reads the state of our run.
func (l *lever) follow(ctx context.Context, s *scene, r *run) decision {
	state := reach.Shown(r.Attributes.Status)
	at := fmt.Sprintf("run %s is %s: %s", r.ID, state, l.link(r.ID))
	switch {
	case r.Attributes.Status == stateNoChanges:
		return decision{phase: signalbox.Succeeded, why: fmt.Sprintf("%s is at %s; the plan had nothing to change: %s", l.name, l.to, l.link(r.ID))}
	case r.succeeded():
		return decision{phase: signalbox.Succeeded, why: fmt.Sprintf("%s is at %s, applied by %s", l.name, l.to, l.link(r.ID))}
	case r.failed():
		return decision{phase: signalbox.Fell, why: at + l.failure(ctx, s, r)}
	case r.Attributes.Status == stateOverride, r.Attributes.Status == stateTFOverride:
		return decision{phase: signalbox.Running, next: nextDiscard, why: "a policy check failed; " + at}
	case !r.Attributes.Actions.Confirmable:
		return decision{phase: signalbox.Running, why: at}
	case s.value() != l.want:
		return decision{phase: signalbox.Running, next: nextDiscard, why: "someone else changed the variable since; " + at}
	}
	return l.confirm(ctx, r, at)
}

// confirm holds a plan that could be applied against what it may touch.
func (l *lever) confirm(ctx context.Context, r *run, at string) decision {
	if len(l.OnlyResources) > 0 {
		objection, err := l.check(ctx, r)
		switch {
		case err != nil:
			return decision{phase: signalbox.Running, why: "the plan can't be checked, and is not applied: " + err.Error()}
		case objection != "":
			return decision{phase: signalbox.Running, next: nextDiscard, why: objection + "; " + at}
		}
	}
	if !l.AutoApply {
		return decision{phase: signalbox.Running, why: "a person must confirm the plan; " + at}
	}
	return decision{phase: signalbox.Running, next: nextApply, why: "the plan is checked; " + at}
}

// failure says more of a run that failed: what was wrong with its plan, whether
// it had begun to be applied, and what is left behind.
func (l *lever) failure(ctx context.Context, s *scene, r *run) (text string) {
	if r.Attributes.Status == stateDiscarded && len(l.OnlyResources) > 0 {
		if objection, err := l.check(ctx, r); err == nil && objection != "" {
			text += "; " + objection
		}
	}
	if r.Attributes.At["applying-at"] != "" {
		text += "; it ended while it was applied: a part of it may have taken effect"
	}
	if s.value() == l.want {
		text += fmt.Sprintf("; variable %s stands at %q, which the next run of the workspace would apply: put it back there if it is not meant", l.Variable, reach.Shown(l.want))
	}
	return text
}
