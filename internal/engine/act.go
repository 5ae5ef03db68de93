package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/step"
	"github.com/signalbox/signalbox/policy"
)

// confirmation says that the evidence for a step was asked for again: nothing
// is claimed on what was seen some time ago.
type confirmation struct {
	step string // its hash
	at   time.Time
}

// confirmedFor is how long a confirmation serves.
const confirmedFor = 20 * time.Second

// ask gathers, freshly, what a decision about a step needs: the readings of
// its detectors and the step's forecast. Its answers make the incident due.
func (l *loop) ask(d *signalbox.Decision) {
	if l.asking[d.Incident] || d.Step == nil {
		return
	}
	l.asking[d.Incident] = true
	auth, set, step, id, at := l.auth, l.set(), *d.Step, d.Incident, l.now()
	inc := l.state.Incidents[id]
	detectors := []string{inc.Reading.Detector}
	for _, w := range step.Health {
		detectors = append(detectors, w.Detector)
	}
	if d.Plan != nil && d.Plan.Needs != nil {
		for _, w := range d.Plan.Needs.Witnesses {
			detectors = append(detectors, w.Detector)
		}
	}
	ctx, cancel := context.WithTimeout(l.auth.ctx, l.e.timing.Confirm)
	go func() {
		defer cancel()
		// A source that hangs must not use up the time of the look at the
		// switch: both are asked at once. What could not be asked becomes
		// Unknown by itself: the round that failed says so.
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			if err := set.Ask(ctx, detectors); err != nil {
				l.e.o.Log.Warn("asking again", "incident", id, "error", err)
			}
		}()
		fc, err := l.e.preview(ctx, set, step)
		<-asked
		l.e.post(context.WithoutCancel(ctx), func(l *loop) {
			delete(l.asking, id)
			if l.auth != auth {
				l.touchIncident(id)
				return // asked under a term that is over: ask again
			}
			if err != nil {
				fc = signalbox.Forecast{Refused: "can't be previewed: " + err.Error()}
				l.e.o.Log.Warn("preview", "incident", id, "step", step.Name, "to", step.To, "error", err)
			}
			fc.At = at // it may show what was there then: what ended since outdates it
			l.confirmed[id] = confirmation{step: step.Hash(), at: at}
			l.touch(l.facts.PutForecast(step.Hash(), &fc))
			l.touchIncident(id)
			l.facts.DropForecasts(l.now().Add(-10 * time.Minute))
		})
	}()
}

func (e *Engine) preview(ctx context.Context, set *Set, s signalbox.Step) (signalbox.Forecast, error) {
	r := set.Remediators[s.Kind]
	if r == nil {
		return signalbox.Forecast{}, fmt.Errorf("no remediator of kind %q", s.Kind)
	}
	return r.Preview(ctx, s)
}

// act claims the step of an Act or Undo, once its evidence was asked for again
// since it was first wanted.
func (l *loop) act(d *signalbox.Decision, now time.Time) {
	if l.auth == nil || l.stopping {
		return
	}
	if d.Step.Kind == pageKind {
		l.pageStep(d, now)
		return
	}
	c, ok := l.confirmed[d.Incident]
	if !ok || c.step != d.Step.Hash() || now.Sub(c.at) > confirmedFor || c.at.After(now) {
		l.ask(d)
		return
	}
	delete(l.confirmed, d.Incident)
	a, ok := l.claim(d, now)
	if !ok {
		return
	}
	l.e.o.Log.Info("claimed", "action", a.ID, "incident", a.Incident, "step", a.Step.Name, "to", a.Step.To,
		"found", a.Forecast.Position, "undoes", a.Undoes, "token", a.Token)
	l.start(a)
}

// claim writes the intent: in one transaction that holds only while nothing
// that the decision read has changed, the action with its undo, the locks on
// its targets, and what it spends.
func (l *loop) claim(d *signalbox.Decision, now time.Time) (*signalbox.Action, bool) {
	fc := l.facts.Forecast(d.Step.Hash())
	if fc == nil || len(fc.Targets) == 0 {
		l.e.o.Log.Error("a decision to act without a forecast: it is not carried out", "incident", d.Incident, "step", d.Step.Name)
		return nil, false
	}
	for _, t := range fc.Targets {
		if ts := l.state.Targets[t]; ts != nil && ts.Holder != "" {
			return nil, false // never two at once, whatever was decided
		}
	}
	w := &write{}
	inc := l.incident(w, d.Incident)
	id := l.actionID(inc)
	a := l.action(w, id)
	*a = signalbox.Action{
		ID: id, Incident: d.Incident, Step: *d.Step, Undoes: d.Takes, Forecast: *fc,
		Stage: signalbox.Claimed, Epoch: l.state.Store.Epoch, Attempts: 1, ClaimedAt: now, Spends: d.Spends, Approval: d.Uses, By: l.e.o.Process,
	}
	if d.Plan != nil {
		a.Policy, a.Index = d.Plan.Policy, d.Next
		l.begun(inc, d.Plan, now)
	} else if inc.Plan != nil {
		a.Policy = inc.Plan.Policy
	}
	inc.Actions = append(append([]signalbox.ActionID(nil), inc.Actions...), id)
	inc.Outcome = ""
	if a.Undoes != "" {
		l.carriedOut(w, d.Incident)
	}
	for _, t := range a.Forecast.Targets {
		ts := l.target(w, t)
		ts.Holder, ts.Last = id, id
		if a.Undoes == "" {
			ts.Acted, ts.Domains = spend(ts.Acted, now), domains(ts, a.Spends, now)
		}
	}
	if d.Uses != "" {
		used := l.approval(w, d.Uses)
		used.State, used.Action = signalbox.Used, id
		w.entry(journal.ApprovalUsed, d.Incident, id, d.Uses)
	}
	if a.Undoes == "" {
		for _, scope := range a.Spends {
			w.put(journal.PutSpend(l.spending(a, scope, now)))
		}
	}
	w.require(l.state, append(storeKeys(d.Reads), signalbox.ActiveKey)...)
	w.entry(journal.Intent, d.Incident, id, a)
	before, after := stepsOfClaim(a)
	step.At(before)
	if err := l.tryCommit(w); err != nil {
		l.unclaimed(d, err)
		return nil, false
	}
	step.At(after)
	l.e.metrics.actions[signalbox.Claimed].Inc()
	l.claimed = l.state.Actions[id].Token
	return l.state.Actions[id], true
}

// unclaimed takes in that a claim was not committed. One that no transaction can
// hold is not tried again and again, each time at the cost of the term: its
// incident is a person's.
func (l *loop) unclaimed(d *signalbox.Decision, err error) {
	if l.auth == nil {
		return
	}
	if !errors.Is(err, journal.ErrTooLarge) {
		l.fail(fmt.Errorf("claim: %w", err))
		return
	}
	l.e.o.Log.Error("a claim is too large: nothing is thrown", "incident", d.Incident, "error", err)
	why := "what its decision read can't be held on to in one transaction: fewer policies must match it"
	w := &write{}
	inc := l.incident(w, d.Incident)
	inc.GaveUp = why
	l.wantPage(w, inc, signalbox.PageNote{Owner: inc.Owner, Why: why})
	l.commit(w)
}

func stepsOfClaim(a *signalbox.Action) (before, after step.Name) {
	if a.Undoes != "" {
		return step.UndoBefore, step.UndoAfter
	}
	return step.IntentBefore, step.IntentAfter
}

// actionID is the id of an incident's next action. One that an action of before a
// restore may have had is never given again: its target would take the new
// action for the old one.
func (l *loop) actionID(inc *signalbox.Incident) signalbox.ActionID {
	epoch := ""
	if e := l.state.Store.Epoch; e > 0 {
		epoch = fmt.Sprintf("-e%d", e)
	}
	return signalbox.ActionID(fmt.Sprintf("%s%s-%d", inc.ID, epoch, len(inc.Actions)+1))
}

// begun puts a plan in force, with the first step that is taken of it.
func (l *loop) begun(inc *signalbox.Incident, plan *signalbox.Plan, now time.Time) {
	if inc.PlanAt.IsZero() {
		inc.PlanAt = now
	}
	inc.Plan = plan
}

// carriedOut takes a person's word off the controls, once it is acted on.
func (l *loop) carriedOut(w *write, id signalbox.IncidentID) {
	mine := func(c signalbox.Control) bool {
		return c.Kind == signalbox.TakeBack && c.Scope == "incident/"+string(id)
	}
	if !slices.ContainsFunc(l.state.Controls.Words, mine) || len(l.thrownNow(l.state, id)) > 1 {
		return // there is more to take back on the same word
	}
	next := l.state.Controls
	next.Words = slices.DeleteFunc(slices.Clone(next.Words), mine)
	w.put(journal.PutControls(next))
}

// domains are the failure domains in which a target counts from now on: those of
// an action that spends scopes, and those of the actions before it.
func domains(ts *signalbox.TargetState, scopes []string, now time.Time) []string {
	of := slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return !strings.HasPrefix(s, "blast/") })
	if ts.Thrown != "" || slices.ContainsFunc(ts.Acted, func(at time.Time) bool { return now.Sub(at) < longestWindow }) {
		of = append(of, ts.Domains...)
	}
	slices.Sort(of)
	return slices.Compact(of)
}

func (l *loop) spent(scope string) []time.Time {
	if s := l.state.Budgets[scope]; s != nil {
		return s.Times
	}
	return nil
}

// longestWindow is how long a spend is remembered.
const longestWindow = 31 * 24 * time.Hour

// spend adds a moment, and forgets those before the longest window. A moment
// that is later than now (the clock went back) still counts.
func spend(times []time.Time, now time.Time) []time.Time {
	kept := make([]time.Time, 0, len(times)+1)
	for _, t := range times {
		if now.Sub(t) < longestWindow {
			kept = append(kept, t)
		}
	}
	return append(kept, now)
}

// spending is a scope with what an action spends of it: once, and of its ids
// each.
func (l *loop) spending(a *signalbox.Action, scope string, now time.Time) *signalbox.Spend {
	if strings.HasPrefix(scope, policy.ItemsPrefix) {
		return policy.SpendItems(l.state.Budgets[scope], scope, a.Step.Items, now)
	}
	return &signalbox.Spend{Scope: scope, Times: spend(l.spent(scope), now)}
}

// refund takes back what an action spent that surely had no effect.
func refund(times []time.Time, at time.Time) []time.Time {
	i := slices.IndexFunc(times, at.Equal)
	if i < 0 {
		return times
	}
	return slices.Delete(slices.Clone(times), i, i+1)
}

// storeKeys are those of the keys that are the store's, not facts.
func storeKeys(keys []signalbox.Key) []signalbox.Key {
	var out []signalbox.Key
	seen := map[signalbox.Key]bool{}
	for _, k := range keys {
		if len(k) > 5 && k[:5] == "fact/" || seen[k] {
			continue
		}
		seen[k] = true
		out = append(out, k)
	}
	return out
}

// start sends a claimed action, in a goroutine of its own.
func (l *loop) start(a *signalbox.Action) {
	l.running[a.ID] = true
	auth, set, act := l.auth, l.set(), *a
	act.Gate = l.e.gate(auth, set, &act, l.ownerOfAction(a))
	go func() {
		ctx, cancel := context.WithTimeout(auth.ctx, l.e.timing.Start)
		defer cancel()
		ctx, span := l.e.span(ctx, "signalbox.action", &act)
		receipt, err := l.e.startOnce(ctx, set, act, act.Gate)
		step.At(step.SendAfter)
		var p signalbox.Progress
		switch failure := (*signalbox.Failure)(nil); {
		case err == nil && receipt.Final:
			p = signalbox.Progress{Phase: signalbox.Succeeded, Receipt: receipt}
		case err == nil:
			act.Receipt = receipt // all that a Probe can know where nothing can be read back
			p = answered(l.e.probe(ctx, set, act), receipt)
		case errors.As(err, &failure):
			p = signalbox.Progress{Phase: signalbox.Fell, Reason: failure.Error()}
		default:
			p = signalbox.Progress{Phase: signalbox.InDoubt, Reason: err.Error()}
		}
		endSpan(span, p)
		l.e.post(context.WithoutCancel(ctx), func(l *loop) { l.progressed(auth, act.ID, p) })
	}()
}

// startOnce starts an action if its remediator is there and check, which is asked
// before it looks at anything, allows it.
func (e *Engine) startOnce(ctx context.Context, set *Set, a signalbox.Action, check func() error) (signalbox.Receipt, error) {
	r := set.Remediators[a.Step.Kind]
	if r == nil {
		return signalbox.Receipt{}, &signalbox.Failure{Reason: fmt.Sprintf("no remediator of kind %q", a.Step.Kind)}
	}
	if err := check(); err != nil {
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "not started", Err: err}
	}
	receipt, err := r.Start(ctx, a)
	if err == nil && receipt.At.IsZero() {
		receipt.At = e.o.Now() // that it answered is what counts
	}
	return receipt, err
}

func (e *Engine) probe(ctx context.Context, set *Set, a signalbox.Action) signalbox.Progress {
	r := set.Remediators[a.Step.Kind]
	if r == nil {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: fmt.Sprintf("no remediator of kind %q", a.Step.Kind)}
	}
	step.At(step.Probe)
	p, err := r.Probe(ctx, a)
	if err != nil {
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "can't be probed: " + err.Error()}
	}
	return p
}

// pageKind is the kind of the steps that page: they go through the outbox of
// pages and nothing holds them back.
const pageKind = "page"

// telling reports whether an action only tells people.
func telling(a *signalbox.Action) bool { return a.Step.Kind == pageKind || a.Step.Tells }

func (e *Engine) span(ctx context.Context, name string, a *signalbox.Action) (context.Context, trace.Span) {
	if e.o.Tracer == nil {
		return ctx, trace.SpanFromContext(context.Background()) //nolint:forbidigo // an empty span
	}
	return e.o.Tracer.Start(ctx, name, trace.WithAttributes(
		attribute.String("env", e.o.Env), attribute.String("trace.flow_id", string(a.Incident)),
		attribute.String("signalbox.action", string(a.ID)), attribute.String("signalbox.step", a.Step.Name),
		attribute.String("signalbox.to", a.Step.To), attribute.String("signalbox.policy", a.Policy)))
}

func endSpan(span trace.Span, p signalbox.Progress) {
	span.SetAttributes(attribute.String("signalbox.phase", string(p.Phase)))
	if p.Phase != signalbox.Succeeded {
		span.SetStatus(codes.Error, p.Reason)
	}
	span.End()
}
