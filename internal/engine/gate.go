package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/step"
	"github.com/signalbox/signalbox/policy"
)

// gate is what is checked last thing before each write to a target, once the
// marks outside the store know of it: the lease,
// the kill file, and the controls as the store has them at that moment, with an
// acknowledgement where the configuration says that it takes the incident.
func (e *Engine) gate(auth *authority, set *Set, a *signalbox.Action, owner string) func() error {
	return func() error {
		if err := e.advance(); err != nil { // the intent is in them before its effect is there
			return err
		}
		step.At(step.CheckBefore)
		if reason := e.killed(); reason != "" {
			return errors.New(reason)
		}
		ctx, cancel := context.WithTimeout(auth.ctx, time.Second)
		defer cancel()
		controls, err := e.o.Journal.Controls(ctx)
		if err != nil {
			return fmt.Errorf("the controls can't be read: %w", err)
		}
		if held := heldBy(controls, a, owner, e.o.Now()); held != "" {
			return errors.New(held)
		}
		if set.Handbook.AcknowledgeTakes() && (a.Undoes == "" || !telling(a)) { // that it is over is told all the same
			if err := e.notAcknowledged(ctx, a.Incident); err != nil {
				return err
			}
		}
		if err := e.leaseHolds(auth); err != nil {
			return err
		}
		step.At(step.CheckAfter)
		return nil
	}
}

// notAcknowledged returns an error where a person took an incident by
// acknowledging its page, or where that can't be read.
func (e *Engine) notAcknowledged(ctx context.Context, id signalbox.IncidentID) error {
	inc, page, err := e.o.Journal.PageOf(ctx, id)
	switch {
	case err != nil:
		return fmt.Errorf("whether its page is acknowledged can't be read: %w", err)
	case inc == nil:
		return fmt.Errorf("incident %s is not on record", id)
	}
	if c := policy.Took(inc, page); c != nil {
		return fmt.Errorf("taken (%s) by %s, who %s", c.Scope, c.Who, c.Reason)
	}
	return nil
}

// leaseHolds returns an error once nothing may be started under the lease.
func (e *Engine) leaseHolds(auth *authority) error {
	if err := context.Cause(auth.ctx); err != nil {
		return fmt.Errorf("the term is over: %w", err)
	}
	if !time.Now().Before(auth.lead.Deadline()) { //nolint:forbidigo // the lease's deadline is in this process's own time
		return errors.New("the lease's deadline has passed")
	}
	return nil
}

// killed says why nothing is started on this machine: the kill file, or a store
// that went back in time; empty: nothing forbids it.
func (e *Engine) killed() string {
	for _, why := range []*string{e.barred.Load(), e.frozen.Load()} {
		if why != nil {
			return *why
		}
	}
	return killFileReason(e.o.KillFile)
}

// heldBy tells which control stops an action; empty: none. A pause does not stop
// what only lifts a limit.
func heldBy(c signalbox.Controls, a *signalbox.Action, owner string, now time.Time) string {
	if c.Killed != nil {
		return "killed by " + c.Killed.Who
	}
	lifts := a.Undoes != "" && a.Step.Lifts
	for _, p := range c.Pauses {
		if !lifts && inForce(p, now) && covers(p, a, owner) {
			return fmt.Sprintf("paused (%s) by %s", p.Scope, p.Who)
		}
	}
	for _, p := range c.Taken {
		if inForce(p, now) && covers(p, a, owner) {
			return fmt.Sprintf("taken (%s) by %s", p.Scope, p.Who)
		}
	}
	return ""
}

func inForce(c signalbox.Control, now time.Time) bool { return c.Until.IsZero() || now.Before(c.Until) }

// covers reports whether an action is in the scope of a control.
func covers(c signalbox.Control, a *signalbox.Action, owner string) bool {
	switch c.Scope {
	case "all", "policy/" + a.Policy, "owner/" + owner, "incident/" + string(a.Incident):
		return true
	}
	return slices.ContainsFunc(a.Forecast.Targets, func(t signalbox.Target) bool { return c.Scope == "target/"+string(t) })
}
