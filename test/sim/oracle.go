package sim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/policy"
)

// oracle looks at every request that reaches a target, every effect, and every
// commit, and keeps what it has seen apart from the daemon. The names I1 to I17
// are those of docs/safety.md.
type oracle struct {
	s *sim

	mu        sync.Mutex
	wrong     []string
	actions   map[signalbox.ActionID]*signalbox.Action
	targets   map[signalbox.Target]*signalbox.TargetState
	pages     map[string]bool // on record
	open      map[signalbox.IncidentID]*signalbox.Incident
	ended     map[signalbox.IncidentID]signalbox.End
	approvals map[signalbox.ApprovalID]*signalbox.Approval
	demoted   map[string]signalbox.Demotion
	activated map[string]time.Time
	controls  signalbox.Controls
	controlAt time.Time // when controls last changed
	killedAt  time.Time // zero: no kill file
	looks     int       // commits looked at
	sends     int
	effects   int
	verdicts  map[string]int
	ends      map[signalbox.End]int
}

func newOracle(s *sim) *oracle {
	return &oracle{
		s: s, actions: map[signalbox.ActionID]*signalbox.Action{}, targets: map[signalbox.Target]*signalbox.TargetState{}, pages: map[string]bool{},
		open: map[signalbox.IncidentID]*signalbox.Incident{}, ended: map[signalbox.IncidentID]signalbox.End{},
		approvals: map[signalbox.ApprovalID]*signalbox.Approval{}, demoted: map[string]signalbox.Demotion{},
		activated: map[string]time.Time{}, verdicts: map[string]int{}, ends: map[signalbox.End]int{},
	}
}

// mostWrong is how much is kept of what is wrong: one fault shows often.
const mostWrong = 30

// say keeps what is wrong; the caller holds mu.
func (o *oracle) say(format string, args ...any) {
	if len(o.wrong) < mostWrong {
		o.wrong = append(o.wrong, time.Now().UTC().Format("2006-01-02 15:04:05")+" "+fmt.Sprintf(format, args...))
	}
}

// sent judges a request at the moment at which it reaches its switch; leads says
// that the lease under which it was started is not lost.
func (o *oracle) sent(p *points, a *signalbox.Action, leads bool) {
	sick, since := o.s.truth(a)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sends++
	now := time.Now()
	own := o.actions[a.ID]
	if own == nil || !own.InFlight() || own.Forecast.Found == "" || own.Forecast.Undo == nil {
		o.say("I4: %s is sent, and its intent is not on record with what was found and its undo: %+v", a.ID, own)
		return
	}
	if ts := o.targets[p.target()]; ts == nil || ts.Holder != a.ID {
		o.say("I3: %s is sent, and %s is held by another: %+v", a.ID, p.target(), ts)
	}
	if !leads {
		o.say("I7: %s is sent after its lease was lost", a.ID)
	}
	if !o.killedAt.IsZero() && o.killedAt.Before(now) {
		o.say("I7: %s is sent under the kill file of %s", a.ID, o.killedAt)
	}
	if held := o.held(a, now); held != "" && o.controlAt.Before(now) {
		o.say("I7: %s is sent, though %s", a.ID, held)
	}
	o.listed(a)
	if a.Undoes != "" {
		return
	}
	o.stopped(p, a)
	o.mayThrow(a, now)
	// What was asked again serves for a while.
	const serves = time.Minute
	if a.Attempts == 1 && !sick && now.Sub(since) > serves {
		o.say("I13, I17: %s is sent for incident %s, which is well or can't be seen since %s", a.ID, a.Incident, since)
	}
}

// mayThrow judges a throw by its policy.
func (o *oracle) mayThrow(a *signalbox.Action, now time.Time) {
	pol, ok := o.s.policies[a.Policy]
	switch {
	case !ok:
		o.say("%s is of policy %q, which nobody configured", a.ID, a.Policy)
	case pol.Autonomy == policy.Shadow || pol.Autonomy == signalbox.AutonomySuggest:
		o.say("I10: %s is sent by policy %s, which is in %s", a.ID, a.Policy, pol.Autonomy)
	case o.fell(a) == policy.Shadow || o.fell(a) == signalbox.AutonomySuggest:
		o.say("I10: %s is sent by policy %s, which fell to %s at %s", a.ID, a.Policy, o.fell(a), o.demoted[a.Policy].At)
	case pol.Autonomy == signalbox.AutonomyApprove, o.demoted[a.Policy].To == signalbox.AutonomyApprove && a.Approval != "", o.fell(a) == signalbox.AutonomyApprove:
		ap := o.approvals[a.Approval]
		if ap == nil || ap.State != signalbox.Used || ap.Action != a.ID || ap.Who == "" {
			o.say("I9: %s is sent with approval %q: %+v", a.ID, a.Approval, ap)
		}
	}
	inc := o.open[a.Incident]
	if inc == nil {
		o.say("%s is sent for incident %s, which is not open", a.ID, a.Incident)
		return
	}
	if at := o.activated[a.Policy]; inc.WellAt.IsZero() || at.IsZero() || inc.WellAt.Before(at) {
		o.say("I16: %s is sent, policy %s is active since %s, and it was last seen well %s", a.ID, a.Policy, at, inc.WellAt)
	}
	if o.s.frozen(now) {
		o.say("I7: %s is sent in a freeze", a.ID)
	}
}

// held tells which control forbids an action.
func (o *oracle) held(a *signalbox.Action, now time.Time) string {
	if o.controls.Killed != nil {
		return "the kill switch is thrown"
	}
	inc := o.open[a.Incident]
	for _, list := range [][]signalbox.Control{o.controls.Pauses, o.controls.Taken} {
		for _, c := range list {
			if !c.Until.IsZero() && !now.Before(c.Until) {
				continue
			}
			hit := c.Scope == "all" || c.Scope == "policy/"+a.Policy || c.Scope == "incident/"+string(a.Incident) ||
				inc != nil && c.Scope == "owner/"+inc.Owner
			for _, t := range a.Forecast.Targets {
				hit = hit || c.Scope == "target/"+string(t)
			}
			if hit {
				return string(c.Kind) + " " + c.Scope + " is in force"
			}
		}
	}
	return ""
}

// took judges an effect, at the switch.
func (o *oracle) took(p *points, a *signalbox.Action, e effect) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.effects++
	own := o.actions[a.ID]
	if own == nil {
		o.say("I4: effect of %s without an intent", a.ID)
		return
	}
	if own.Stage == signalbox.Broken {
		o.say("I2: effect of %s (%s), which is on record as failed: %s", a.ID, p.class, own.Reason)
	}
	for _, old := range p.effects {
		if old.id == a.ID {
			o.say("I2: second effect of %s on %s", a.ID, p.name)
		}
		if old.token >= a.Token {
			o.say("I5: effect of %s with token %d on %s, which had seen %d", a.ID, a.Token, p.name, old.token)
		}
	}
	if e.back {
		return
	}
	pol := o.s.policies[a.Policy]
	for _, r := range pol.Budget {
		if n := o.s.within(a.Policy, e.claimed, r.Per) + 1; n > r.N {
			o.say("I6: %d throws of policy %s in %s, the budget is %d", n, a.Policy, r.Per, r.N)
		}
	}
	for _, r := range o.s.config.Budget {
		if n := o.s.within("", e.claimed, r.Per) + 1; n > r.N {
			o.say("I6: %d throws in %s, the budget over all is %d", n, r.Per, r.N)
		}
	}
	if inc := o.open[a.Incident]; inc != nil {
		e.owner = inc.Owner
	}
	e.name, e.detector = p.name, o.detector(a)
	o.budgets(p, e)
	o.onTarget(p, e)
	o.blast(p, a, e)
	o.s.throws = append(o.s.throws, e)
	for i := len(p.effects) - 1; i >= 0; i-- {
		if old := p.effects[i]; !old.back {
			if gap := e.claimed.Sub(old.claimed); gap < pol.Cooldown {
				o.say("I6: throws %s and %s of %s are %s apart, the cooldown is %s", old.id, a.ID, p.name, gap, pol.Cooldown)
			}
			break
		}
	}
}

// fell is how far a policy had fallen when the runbook of an action began; "": not
// at all, or only since. What is under way goes on as it began.
func (o *oracle) fell(a *signalbox.Action) signalbox.Autonomy {
	d, is := o.demoted[a.Policy]
	if inc := o.open[a.Incident]; !is || inc == nil || !inc.PlanAt.After(d.At) {
		return ""
	}
	return d.To
}

// budgets judges an effect by the budgets of its owner and of its class.
func (o *oracle) budgets(p *points, e effect) {
	for _, b := range o.s.config.Budgets {
		var of func(effect) bool
		switch b.Scope {
		case "class/" + string(p.class):
			of = func(old effect) bool { return old.class == p.class }
		case "owner/" + e.owner:
			of = func(old effect) bool { return old.owner == e.owner }
		default:
			continue
		}
		for _, r := range b.Rates {
			if n := o.s.throwsWithin(of, e.claimed, r.Per) + 1; n > r.N {
				o.say("I6: %d throws of %s in %s, the budget is %d", n, b.Scope, r.Per, r.N)
			}
			if r.Burst == 0 {
				continue
			}
			short := r.Per * time.Duration(r.Burst) / time.Duration(r.N)
			if n := o.s.throwsWithin(of, e.claimed, short) + 1; n > r.Burst {
				o.say("I6: %d throws of %s close together in %s, at most %d", n, b.Scope, short, r.Burst)
			}
		}
	}
}

// record is how the journal stores one.
type record[T any] struct {
	R *T `json:"r"`
}

func decode[T any](o *oracle, key string, b []byte) *T {
	var r record[T]
	if err := json.Unmarshal(b, &r); err != nil || r.R == nil {
		o.say("%s can't be decoded: %v", key, err)
		return new(T)
	}
	return r.R
}

// committed looks at what a transaction wrote.
func (o *oracle) committed(t store.Txn, _ store.Revision) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.looks++
	for _, p := range t.Puts {
		prefix, _, _ := strings.Cut(p.Key, "/")
		switch prefix {
		case "entry":
			o.entry(p.Key, p.Value)
		case "incident":
			o.incident(decode[signalbox.Incident](o, p.Key, p.Value))
		case "action":
			o.action(decode[signalbox.Action](o, p.Key, p.Value))
		case "target":
			ts := decode[signalbox.TargetState](o, p.Key, p.Value)
			o.targets[ts.Target] = ts
		case "page":
			o.pages[p.Key] = true
		case "policy":
			ps := decode[signalbox.PolicyState](o, p.Key, p.Value)
			o.policy(ps)
		case "approval":
			o.approval(decode[signalbox.Approval](o, p.Key, p.Value))
		case "controls":
			o.controls, o.controlAt = *decode[signalbox.Controls](o, p.Key, p.Value), time.Now()
		}
	}
	for _, k := range t.Deletes {
		delete(o.pages, k)
		if id, ok := strings.CutPrefix(k, signalbox.ActionPrefix); ok {
			if a := o.actions[signalbox.ActionID(id)]; a != nil && a.InFlight() {
				o.say("I8: action %s is forgotten while it is %s", id, a.Stage)
			}
			delete(o.actions, signalbox.ActionID(id))
		}
		if id, ok := strings.CutPrefix(k, signalbox.IncidentPrefix); ok && o.open[signalbox.IncidentID(id)] != nil {
			o.say("I1: incident %s is forgotten while it is open", id)
		}
	}
	return nil
}

// entry looks that each hold has a reason, and counts. What is no decision is
// not decoded here: the journal's own verification decodes every entry (I11).
func (o *oracle) entry(key string, b []byte) {
	if !bytes.Contains(b, []byte(`"kind":"decision"`)) {
		return
	}
	var e struct {
		Kind string
		Data struct {
			Verdict signalbox.Verdict
			Because []signalbox.Reason
		}
	}
	if err := json.Unmarshal(b, &e); err != nil {
		o.say("%s: its decision can't be decoded: %v", key, err)
		return
	}
	if e.Kind != "decision" {
		return // it only speaks of one
	}
	d := &e.Data
	o.verdicts[string(d.Verdict)]++
	for _, r := range d.Because {
		if r.Guard == "" || r.Detail == "" {
			o.say("%s: verdict %s has a reason without a name or figures: %+v", key, d.Verdict, r)
		}
	}
	if d.Verdict == signalbox.Hold && len(d.Because) == 0 {
		o.say("%s: a hold without a reason", key)
	}
}

func (o *oracle) incident(inc *signalbox.Incident) {
	if end, over := o.ended[inc.ID]; over && end != inc.End {
		o.say("I1: incident %s ended as %s, and is %q now", inc.ID, end, inc.End)
	}
	if !inc.Closed() {
		o.open[inc.ID] = inc
		return
	}
	switch inc.End {
	case signalbox.Acted, signalbox.Suppressed, signalbox.Expired, signalbox.Failed, signalbox.Escalated:
	default:
		o.say("I1: incident %s ended as %q", inc.ID, inc.End)
	}
	if _, over := o.ended[inc.ID]; !over {
		o.ends[inc.End]++
	}
	o.ended[inc.ID] = inc.End
	delete(o.open, inc.ID)
}

func (o *oracle) action(a *signalbox.Action) {
	if old := o.actions[a.ID]; old != nil && !old.InFlight() && a.InFlight() {
		o.say("I2: action %s was %s, and is %s again", a.ID, old.Stage, a.Stage)
	}
	o.actions[a.ID] = a
}

func (o *oracle) policy(ps *signalbox.PolicyState) {
	o.activated[ps.Name] = ps.ActivatedAt
	delete(o.demoted, ps.Name)
	if ps.Demoted != nil {
		o.demoted[ps.Name] = *ps.Demoted
	}
}

func (o *oracle) approval(a *signalbox.Approval) {
	if old := o.approvals[a.ID]; old != nil {
		ok := old.State == a.State || old.State == signalbox.Asked || old.State == signalbox.Approved && a.State == signalbox.Used
		if !ok {
			o.say("I9: approval %s was %s, and is %s now", a.ID, old.State, a.State)
		}
	}
	o.approvals[a.ID] = a
}
