package terraform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

// Preview reads the workspace, the variable and the runs. What is answered for
// sure (not there, not allowed) is Refused; when it can't be seen, that is an
// error.
func (r *remediator) Preview(ctx context.Context, s signalbox.Step) (signalbox.Forecast, error) {
	l, err := r.open(s)
	if err != nil {
		return signalbox.Forecast{}, err
	}
	f := signalbox.Forecast{
		At: r.now(), Class: signalbox.ClassC, Targets: []signalbox.Target{l.target()}, Reach: l.reach(),
		Latency: signalbox.Duration(l.Latency), Takes: signalbox.Duration(l.Timeout),
	}
	sc, err := l.look(ctx, r.now())
	var failure *signalbox.Failure
	if errors.As(err, &failure) {
		f.Refused = failure.Error()
		return f, nil
	}
	if err != nil {
		return signalbox.Forecast{}, fmt.Errorf("switch %q: %w", s.Name, err)
	}
	if f.Refused = l.unfit(&sc); f.Refused != "" {
		return f, nil
	}
	f.Position, f.Found, f.Version = l.position(sc.value()), reach.Shown(sc.value()), sc.variable.Attributes.Version
	f.Already = sc.value() == l.want && sc.busy() == nil && sc.settled()
	if f.Position != "" {
		f.Found, f.ByHand = sc.value(), l.byHand(sc.ws.ID, sc.variable.ID, sc.value())
	}
	f.Refused = l.obstacle(&sc, f)
	f.Undo, err = l.undo(s, f)
	return f, err
}

func (l *lever) reach() string {
	who := "a person confirms the plan at " + l.link("")
	if l.AutoApply {
		who = "the plan is applied once it is checked"
	}
	return fmt.Sprintf("what workspace %s/%s makes of variable %s; %s", l.Organization, l.Workspace, l.Variable, who)
}

// unfit says why the workspace or the variable can't be thrown at all; empty: it
// can.
func (l *lever) unfit(s *scene) string {
	needs := []string{"can-read-variable", "can-update-variable", "can-read-run", "can-queue-run"}
	if l.AutoApply {
		needs = append(needs, "can-queue-apply")
	}
	for _, p := range needs {
		if !s.ws.Attributes.Permissions[p] {
			return fmt.Sprintf("the token lacks the permission %s on the workspace", p)
		}
	}
	v := s.variable
	switch {
	case s.ws.Attributes.ExecutionMode == "local":
		return "the workspace has the execution mode local: Terraform runs nothing there"
	case !s.ws.Attributes.StructuredOutput && (l.AutoApply || len(l.OnlyResources) > 0):
		return "the workspace has structured run output off, without which a plan can't be checked: turn it on"
	case v == nil:
		return fmt.Sprintf("the workspace has no %s variable %s of its own", l.Category, l.Variable)
	case v.Attributes.Sensitive:
		return fmt.Sprintf("variable %s is sensitive: its value can't be read, so it could not be put back", l.Variable)
	case v.Attributes.HCL != l.HCL:
		return fmt.Sprintf("variable %s has hcl: %t, and the switch hcl: %t", l.Variable, v.Attributes.HCL, l.HCL)
	case v.Attributes.Value == nil:
		return fmt.Sprintf("variable %s has no value", l.Variable)
	}
	return ""
}

// obstacle says why what was found forbids the step; empty: nothing does.
func (l *lever) obstacle(s *scene, f signalbox.Forecast) string {
	switch {
	case f.Position == "":
		return fmt.Sprintf("value %q is not one of the listed positions", reach.Shown(s.value()))
	case f.Already:
		return ""
	case l.Expect != nil && s.value() != *l.Expect && s.value() != l.want:
		return fmt.Sprintf("value %q is not the one to take back, %q: someone else changed it", reach.Shown(s.value()), reach.Shown(*l.Expect))
	}
	return l.occupied(s)
}

// occupied says whose hand is on the workspace; empty: nobody's.
func (l *lever) occupied(s *scene) string {
	if b := s.busy(); b != nil {
		return fmt.Sprintf("another's hand: run %s is %s: %s", reach.Shown(b.ID), reach.Shown(b.Attributes.Status), l.link(reach.Shown(b.ID)))
	}
	if !s.ws.Attributes.Locked {
		return ""
	}
	text := "another's hand: the workspace is locked"
	if by := s.ws.Relationships.LockedBy.Data; by != nil {
		text += " by " + reach.Shown(by.Type+" "+by.ID)
	}
	if why := s.ws.Attributes.LockedReason; why != "" {
		text += ": " + reach.Shown(why)
	}
	return text
}

// undo is the step that takes a throw back; nil for an undo, and where no value
// would be changed.
func (l *lever) undo(s signalbox.Step, f signalbox.Forecast) (*signalbox.Step, error) {
	if l.Expect != nil || f.Already || f.Refused != "" || f.Position == l.to {
		return nil, nil
	}
	sp := l.spec
	sp.Expect = &l.want
	raw, err := json.Marshal(sp)
	if err != nil {
		return nil, fmt.Errorf("switch %q: undo: %w", s.Name, err)
	}
	back := s
	back.To, back.Spec, back.If = f.Position, raw, ""
	return &back, nil
}
