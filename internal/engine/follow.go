package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/step"
	"github.com/signalbox/signalbox/policy"
)

// follow drives an action whose end is not known: work that goes on, or a
// doubt after a crash or a lost answer. By its class:
//
//	A  seal the target with a newer token, then what is found there is final
//	B  start again, unless it was answered: the target knows the key
//	C  wait out the target's greatest latency, then look
//	D  only look; never send again
//
// Where another process may still send it, "not there" settles nothing: see
// rest.go.
//
// fresh says that the doubt was just met (a restart, a lost answer): it is put
// on record first, and that revision is the token of the seal.
func (l *loop) follow(a *signalbox.Action, fresh bool) {
	if a == nil || l.running[a.ID] || l.auth == nil || l.stopping {
		return
	}
	if fresh {
		w := &write{}
		next := l.action(w, a.ID)
		if a.Stage != signalbox.Started {
			next.Stage = signalbox.Doubt
		}
		next.Attempts++
		w.entry(journal.Doubt, a.Incident, a.ID, a.Reason)
		if !l.commit(w) {
			return
		}
		l.e.metrics.actions[signalbox.Doubt].Inc()
		a = l.state.Actions[a.ID]
	}
	l.running[a.ID] = true
	auth, act := l.auth, *a
	// Sealing throws nothing, and what was begun must be known also under a
	// pause: here the lease alone is asked for, and that the store is not an
	// older copy, to which the target may be far ahead.
	act.Gate = func() error {
		if why := l.e.frozen.Load(); why != nil {
			return errors.New(*why)
		}
		return l.e.leaseHolds(auth)
	}
	seal := signalbox.TokenIn(l.state.Store.Epoch, l.state.Rev[signalbox.ActionKey(a.ID)])
	ctx, cancel := context.WithCancel(auth.ctx)
	s := &settling{cancel: cancel}
	l.settling[a.ID] = s
	go l.e.settleDoubt(ctx, auth, l.set(), s, act, l.ownerOfAction(a), seal)
}

// settleDoubt asks until something certain is known, or ctx ends: with the term,
// or since a person has said what became of it.
func (e *Engine) settleDoubt(ctx context.Context, auth *authority, set *Set, s *settling, a signalbox.Action, owner string, seal signalbox.Token) {
	pause := e.timing.Retry
	told := signalbox.Progress{}
	begun, cleared, frozen := e.o.Now(), false, false
	for ctx.Err() == nil {
		comes := e.mayStillCome(ctx, &a)
		if comes == "" && !cleared {
			begun, cleared = e.o.Now(), true // what is on its way was sent by now
		}
		frozen = frozen || e.frozen.Load() != nil
		if comes == "" {
			comes = forgotten(&a, seal, frozen)
		}
		p := e.lookOnce(auth, set, s, &a, owner, seal, begun, comes)
		s.looked()
		learn(&a, p)
		if p.Phase != signalbox.InDoubt && p.Phase != signalbox.Running {
			told = p
			break
		}
		if p.Phase != told.Phase || p.Reason != told.Reason {
			told = p
			sealed := a.Sealed
			e.post(auth.ctx, func(l *loop) { l.stillOpen(auth, a.ID, p, sealed) })
		}
		pause = e.wait(ctx, pause)
	}
	e.post(context.WithoutCancel(auth.ctx), func(l *loop) { l.progressed(auth, a.ID, told) })
}

// forgotten says why an action is not known to be without effect though its
// target shows what it found: it is older than the store's last step back in
// time, or is met in a store that is frozen since it may have made one, and that
// it was done and taken back may be forgotten. At a target of class A the fence
// tells. Empty: nothing speaks for that.
func forgotten(a *signalbox.Action, seal signalbox.Token, frozen bool) string {
	if a.Forecast.Class != signalbox.ClassC || a.Epoch >= seal.Epoch() && !frozen {
		return ""
	}
	return fmt.Sprintf("the store went back in time since it was claimed, and may have forgotten that it was done and taken back: look at its target's own history, and say signalboxctl settle %s done|not-done", a.ID)
}

// lookOnce does one round of what the action's class allows, and notes in a that
// it is sealed.
func (e *Engine) lookOnce(auth *authority, set *Set, s *settling, a *signalbox.Action, owner string, seal signalbox.Token, begun time.Time, comes string) signalbox.Progress {
	ctx, cancel := context.WithTimeout(auth.ctx, e.timing.Start)
	defer cancel()
	inDoubt := func(err error) signalbox.Progress {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: err.Error()}
	}
	act := *a
	switch class := a.Forecast.Class; {
	case class == signalbox.ClassB && a.Stage != signalbox.Started && a.Receipt.At.IsZero():
		gate := e.gate(auth, set, a, owner)
		act.Gate = s.door(gate)
		receipt, err := e.startOnce(ctx, set, act, gate)
		if err != nil {
			return inDoubt(err)
		}
		if receipt.Final {
			return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: receipt}
		}
		act.Receipt = receipt
	case class == signalbox.ClassA && a.Stage != signalbox.Started:
		sealer, ok := set.Remediators[a.Step.Kind].(signalbox.Sealer)
		if !ok {
			return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "kind " + a.Step.Kind + " can't seal"}
		}
		if err := a.Gate(); err != nil {
			return inDoubt(err)
		}
		step.At(step.SealBefore)
		if err := sealer.Seal(ctx, act, seal); err != nil {
			return inDoubt(err)
		}
		step.At(step.SealAfter)
		a.Sealed, act.Sealed = seal, seal
	case class == signalbox.ClassC:
		if left := begun.Add(time.Duration(a.Forecast.Latency)).Sub(e.o.Now()); left > 0 {
			return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "waiting out the target's greatest latency, " + time.Duration(a.Forecast.Latency).String()}
		}
	}
	p := answered(e.probe(ctx, set, act), act.Receipt)
	if comes != "" {
		return notYet(p, comes)
	}
	if c, ok := set.Remediators[a.Step.Kind].(signalbox.Continuer); ok && p.Phase == signalbox.Running && p.Next {
		act.Gate = s.door(e.gate(auth, set, a, owner))
		if err := c.Continue(ctx, act); err != nil {
			p.Reason = "its next write is still to come: " + err.Error()
		}
	}
	return p
}

// notYet is what a look is worth while a write may still come: that the effect
// is there, or that it ran, and nothing else.
func notYet(p signalbox.Progress, comes string) signalbox.Progress {
	if p.Phase == signalbox.NotStarted || p.Phase == signalbox.Fell && p.Receipt.At.IsZero() || p.Phase == signalbox.Running && p.Next {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: comes}
	}
	return p
}

// stillOpen puts on record what is learned of an action that goes on: the reason
// of a doubt, what its target answered, and that it is sealed.
func (l *loop) stillOpen(auth *authority, id signalbox.ActionID, p signalbox.Progress, sealed signalbox.Token) {
	if a := l.state.Actions[id]; l.auth != auth || a == nil || !a.InFlight() {
		return
	}
	l.e.o.Log.Warn("action is not settled", "action", id, "phase", p.Phase, "reason", p.Reason)
	w := &write{}
	a := l.action(w, id)
	a.Reason = p.Reason
	a.Sealed = max(a.Sealed, sealed)
	learn(a, p)
	w.entry(journal.Doubt, a.Incident, id, p.Reason)
	l.commit(w)
}

// overdue pages for actions that are in doubt for too long; their targets stay
// locked. What is known to have begun has the time that its work takes.
func (l *loop) overdue(now time.Time) {
	for id, a := range l.state.Actions {
		bound := l.e.timing.Doubt
		if a.Stage == signalbox.Started {
			bound = max(bound, time.Duration(a.Forecast.Takes))
		}
		if !a.InFlight() || now.Sub(a.ClaimedAt) < bound {
			continue
		}
		inc := l.state.Incidents[a.Incident]
		if inc == nil || strings.HasPrefix(inc.GaveUp, "action "+string(id)+" ") {
			continue
		}
		why := "action " + string(id) + " is in doubt since " + a.ClaimedAt.UTC().Format(time.TimeOnly) + ": " + a.Reason
		w := &write{}
		next := l.incident(w, a.Incident)
		next.GaveUp = why
		w.entry(journal.Doubt, a.Incident, id, why)
		l.wantPage(w, next, signalbox.PageNote{Owner: inc.Owner, Why: why})
		if !l.commit(w) {
			return
		}
	}
}

// progressed takes in what is known of an action that a goroutine drove.
func (l *loop) progressed(auth *authority, id signalbox.ActionID, p signalbox.Progress) {
	delete(l.running, id)
	if s := l.settling[id]; s != nil {
		s.cancel()
		delete(l.settling, id)
	}
	if l.auth == nil {
		return
	}
	a := l.state.Actions[id]
	if a == nil || !a.InFlight() {
		return
	}
	if l.auth != auth {
		l.follow(a, true) // another term: what is known now must be looked up under its fence
		return
	}
	switch p.Phase {
	case signalbox.Succeeded:
		l.finish(a, signalbox.Done, p)
	case signalbox.Fell:
		if p.Receipt.At.IsZero() {
			p.Receipt = a.Receipt // it had begun
		}
		l.finish(a, signalbox.Broken, p)
	case signalbox.NotStarted:
		p.Receipt = signalbox.Receipt{}
		l.finish(a, signalbox.Broken, p)
	case signalbox.Running:
		l.stillOpen(auth, id, p, 0)
		l.follow(l.state.Actions[id], false)
	case signalbox.InDoubt:
		w := &write{}
		next := l.action(w, id)
		next.Reason = p.Reason
		learn(next, p)
		w.entry(journal.Doubt, a.Incident, id, p.Reason)
		if l.commit(w) {
			l.follow(l.state.Actions[id], true)
		}
	default:
		l.follow(a, true)
	}
}

// finish records an action's end: its targets are free, and an effect is
// awaited or a spend given back.
func (l *loop) finish(a *signalbox.Action, stage signalbox.Stage, p signalbox.Progress) {
	w := &write{}
	l.finishIn(w, a, stage, p)
	step.At(step.ReceiptBefore)
	if l.commit(w) {
		step.At(step.ReceiptAfter)
	}
}

func (l *loop) finishIn(w *write, a *signalbox.Action, stage signalbox.Stage, p signalbox.Progress) {
	now := l.now()
	next, inc := l.action(w, a.ID), l.incident(w, a.Incident)
	next.Stage, next.Reason, next.EndedAt, next.Receipt = stage, p.Reason, now, p.Receipt
	for _, t := range a.Forecast.Targets {
		l.freed(w, next, l.target(w, t))
	}
	kind := journal.Receipt
	switch {
	case stage == signalbox.Broken:
		kind = journal.NoEffect
		l.giveBack(w, next)
	case a.Undoes != "":
		if l.state.Actions[a.Undoes] != nil {
			l.action(w, a.Undoes).Undone = a.ID
		}
	case telling(a): // no effect is awaited
		inc.Next = a.Index + 1
	default:
		if l.state.Policies[a.Policy] != nil {
			l.policyState(w, a.Policy).Record.Actions++
		}
		inc.Next = a.Index + 1
		if inc.Plan != nil {
			next.VerifyBy = now.Add(inc.Plan.VerifyWithin)
		}
	}
	w.entry(kind, a.Incident, a.ID, p)
	l.e.metrics.actions[stage].Inc()
	l.e.o.Log.Info("action ended", "action", a.ID, "incident", a.Incident, "stage", stage, "step", a.Step.Name, "to", a.Step.To,
		"receipt", p.Receipt.Detail, "reason", p.Reason)
	l.refreshPage(w, inc)
	l.tellNote(w, inc, signalbox.PlainNote, "%s to %s: %s %s", a.Step.Name, a.Step.To, stage, p.Reason)
	l.inform(w, inc)
	if stage == signalbox.Done && a.Undoes == "" {
		l.tellTargetsOwners(w, inc, next)
	}
}

// freed unlocks a target, and notes what stands on it.
func (l *loop) freed(w *write, a *signalbox.Action, t *signalbox.TargetState) {
	if t.Holder == a.ID {
		t.Holder = ""
	}
	switch {
	case a.Ran(): // what it did is not known
		t.Token = a.Token
	case a.Stage != signalbox.Done:
		t.Acted = refund(t.Acted, a.ClaimedAt)
	case a.Undoes != "":
		if t.Thrown == a.Undoes {
			t.Thrown = ""
		}
		t.Token = a.Token
	default:
		if t.Token = a.Token; a.Forecast.Undo != nil { // what can't be taken back does not stand
			t.Thrown = a.ID
		}
	}
	if a.Stage == signalbox.Done {
		t.Accepted = ""
	}
}

// giveBack returns to the budgets what an action spent that had no effect; one
// that ran may have done a part of its work.
func (l *loop) giveBack(w *write, a *signalbox.Action) {
	if a.Undoes != "" || len(a.Forecast.Targets) == 0 || a.Ran() {
		return
	}
	for _, scope := range a.Spends {
		if strings.HasPrefix(scope, policy.ItemsPrefix) {
			w.put(journal.PutSpend(policy.RefundItems(l.state.Budgets[scope], scope, a.Step.Items, a.ClaimedAt)))
			continue
		}
		w.put(journal.PutSpend(&signalbox.Spend{Scope: scope, Times: refund(l.spent(scope), a.ClaimedAt)}))
	}
}

func (l *loop) ownerOfAction(a *signalbox.Action) string {
	if inc := l.state.Incidents[a.Incident]; inc != nil {
		return inc.Owner
	}
	return ""
}
