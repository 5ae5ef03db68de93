package policy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

func inAutonomy(a Autonomy) Policy {
	p := failover()
	p.Autonomy = a
	return p
}

// demoted says that the tests' policy lost autonomy.
func (b *box) demoted(to Autonomy) {
	s := *b.w.State.Policies["failover"]
	s.Demoted = &signalbox.Demotion{To: to, Why: "it did not help", At: noon}
	b.w.State.Policies["failover"] = &s
}

func TestSuggestPagesThePlanOnceAndStartsNothing(t *testing.T) {
	for name, forbid := range map[string]func(b *box){
		"":       func(*box) {},
		"paused": func(b *box) { b.w.State.Controls.Pauses = []signalbox.Control{{Scope: "all", Who: "@sre"}} },
	} {
		b := newBox(t, inAutonomy(Suggest))
		forbid(b)
		d := b.want(signalbox.Escalate, "suggest")
		if d.Page == nil || len(d.Page.Plan) == 0 || !strings.Contains(strings.Join(d.Page.Plan, "\n"), "read-endpoint to b") {
			t.Fatalf("%s: the plan is not on the page: %+v", name, d.Page)
		}
		if name != "" && !strings.Contains(d.Page.Why, "it would be held: pause") {
			t.Errorf("%s: got %q", name, d.Page.Why)
		}
		b.inc().Page, b.inc().Told = "page-1", []string{ToldPlan + "failover"}
		b.want(signalbox.Hold, "suggest")
	}
}

// A policy that was demoted does what its new autonomy says, and no more.
func TestDemotedPolicy(t *testing.T) {
	for to, want := range map[Autonomy]signalbox.Verdict{Approve: signalbox.Ask, Suggest: signalbox.Escalate, Auto: signalbox.Act} {
		b := newBox(t)
		b.demoted(to)
		b.want(want, "")
	}
	b := newBox(t)
	b.demoted(Suggest)
	planned(b, Auto) // what is under way goes on as it began
	b.want(signalbox.Act, "autonomy")
}

func TestDemotionHasAFloor(t *testing.T) {
	for _, c := range []struct {
		configured Autonomy
		approvers  int
		to         Autonomy
		ok         bool
	}{
		{Auto, 1, Approve, true}, {Auto, 0, Suggest, true}, {Approve, 1, Suggest, true}, {Suggest, 1, "", false}, {Shadow, 1, "", false},
	} {
		cfg := configOf(inAutonomy(c.configured))
		cfg.Approvers = map[string]int{"failover": c.approvers}
		if to, ok := newBoxOf(t, cfg).h.Demoted("failover", nil); to != c.to || ok != c.ok {
			t.Errorf("%+v: got %s, %t", c, to, ok)
		}
	}
}

// However a policy was demoted, it never goes further than its configuration
// says, and never falls below what is left of it.
func TestPropertyPromotionNeverPassesItsCeiling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		configured := rapid.SampledFrom(autonomies).Draw(t, "configured")
		cfg := configOf(inAutonomy(configured))
		cfg.Approvers = map[string]int{"failover": rapid.IntRange(0, 1).Draw(t, "approvers")}
		h, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		s := &signalbox.PolicyState{Name: "failover"}
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			before := h.Effective("failover", s)
			switch rapid.SampledFrom([]string{"demote", "restore", "odd"}).Draw(t, "what") {
			case "demote":
				if to, ok := h.Demoted("failover", s); ok {
					s.Demoted = &signalbox.Demotion{To: to}
					if now := h.Effective("failover", s); rank(now) >= rank(before) {
						t.Fatalf("demoted from %s to %s", before, now)
					}
				}
			case "restore":
				s.Demoted = nil
			default: // of a configuration that was higher once
				s.Demoted = &signalbox.Demotion{To: rapid.SampledFrom(autonomies).Draw(t, "to")}
			}
			if now := h.Effective("failover", s); rank(now) > rank(configured) {
				t.Fatalf("%s goes as far as %s", configured, now)
			}
		}
	})
}

// asked decides in approve, and records the request.
func asked(t *testing.T, policies ...Policy) (*box, *signalbox.Approval) {
	b := newBox(t, policies...)
	d := b.want(signalbox.Ask, "approval")
	if d.Approval == nil || d.Page == nil || !strings.Contains(d.Page.Why, "signalboxctl approve "+string(d.Approval.ID)) {
		t.Fatalf("nobody is asked: %+v %+v", d.Approval, d.Page)
	}
	b.w.State.Approvals[d.Approval.ID] = d.Approval
	b.inc().Page = "page-1"
	return b, d.Approval
}

func TestApprovalIsAskedGivenAndUsedOnce(t *testing.T) {
	b, a := asked(t, inAutonomy(Approve))
	if d := b.want(signalbox.Hold, "approval"); !d.Until.Equal(noon.Add(time.Minute+1)) && d.Until.After(a.Expires) {
		t.Errorf("looks again at %s", d.Until)
	}
	a.State, a.Who, a.At = signalbox.Approved, "@sre-lead", noon
	b.lag(3) // another value is no other step
	d := b.want(signalbox.Act, "approval")
	if d.Uses != a.ID {
		t.Errorf("uses %q, want %q", d.Uses, a.ID)
	}
	b.readsAll(d, signalbox.ApprovalKey(a.ID))
	b.w.State.Controls.Pauses = []signalbox.Control{{Scope: "all", Who: "@sre"}}
	b.want(signalbox.Hold, "pause") // the evidence is judged again
	b.w.State.Controls.Pauses = nil
	a.State = signalbox.Used
	if d := b.want(signalbox.Ask, "approval"); d.Approval.ID == a.ID {
		t.Error("a used approval is asked for under its own id")
	}
}

// An approval of before the store went back in time may have been used: it has
// expired.
func TestApprovalOfBeforeARestore(t *testing.T) {
	b, a := asked(t, inAutonomy(Approve))
	a.State, a.Expires = signalbox.Approved, noon.Add(time.Hour)
	for confirmed, good := range map[time.Duration]bool{time.Minute: false, -time.Minute: true} {
		b.w.Now = noon.Add(2 * time.Minute)
		b.w.State.Store.Confirmed = &signalbox.Control{At: a.AskedAt.Add(confirmed)}
		if got := newLook(b.h, b.w, b.inc()).approval(a.ID).Good(b.w.Now); got != good {
			t.Errorf("confirmed %s after it was asked for: good %t, want %t", confirmed, got, good)
		}
	}
}

// An approval is for what was previewed, and for nothing else.
func TestApprovalIsBound(t *testing.T) {
	for name, change := range map[string]func(b *box, f *signalbox.Forecast){
		"version":  func(_ *box, f *signalbox.Forecast) { f.Version = "43" },
		"position": func(_ *box, f *signalbox.Forecast) { f.Position, f.Found = "c", "c" },
		"target":   func(_ *box, f *signalbox.Forecast) { f.Targets = []signalbox.Target{"another"} },
		"class":    func(_ *box, f *signalbox.Forecast) { f.Class = signalbox.ClassC },
	} {
		b, a := asked(t, inAutonomy(Approve))
		a.State, a.Who = signalbox.Approved, "@sre-lead"
		b.want(signalbox.Act, "approval")
		change(b, b.foresee(throwTo("b"), "a"))
		d := b.want(signalbox.Ask, "approval")
		if d.Approval.ID == a.ID || !strings.Contains(reason(d.Because, "approval").Detail, "has changed") {
			t.Errorf("%s: asks %s again:\n%s", name, d.Approval.ID, tell(d))
		}
	}
	b, a := asked(t, inAutonomy(Approve))
	a.State = signalbox.Approved
	p := inAutonomy(Approve)
	p.Cooldown++
	edited := newBox(t, p)
	edited.w.State.Approvals = b.w.State.Approvals
	edited.want(signalbox.Ask, "approval")
}

func TestApprovalDeniedAndExpired(t *testing.T) {
	b, a := asked(t, inAutonomy(Approve))
	a.State, a.Who, a.Reason = signalbox.Denied, "@sre-lead", "not now"
	b.want(signalbox.Hold, "approval")
	b.foresee(throwTo("b"), "a").Version = "43" // for good, whatever changes
	b.want(signalbox.Hold, "approval")

	b, _ = asked(t, inAutonomy(Approve))
	for n := 2; ; n++ {
		b.later(31 * time.Minute)
		b.foresee(throwTo("b"), "a")
		d := b.decide()
		if n > mostAsked {
			if d.Verdict != signalbox.Escalate || d.GaveUp == "" {
				t.Fatalf("asks for ever:\n%s", tell(d))
			}
			b.later(time.Minute)
			b.inc().ReleasedAt = b.w.Now
			b.foresee(throwTo("b"), "a")
			b.want(signalbox.Ask, "approval") // a release begins anew
			return
		}
		if d.Verdict != signalbox.Ask {
			t.Fatalf("is not asked for the %d. time:\n%s", n, tell(d))
		}
		b.w.State.Approvals[d.Approval.ID] = d.Approval
	}
}

// A migration between two versions needs a person, whatever the autonomy.
func TestForecastThatNeedsApproval(t *testing.T) {
	b := newBox(t)
	b.foresee(throwTo("b"), "a").NeedsApproval = "a schema migration lies between"
	b.want(signalbox.Ask, "approval")
}

// No step of a policy in approve is taken but with an approval of it that is
// given, not used, in its time, and for what is there now.
func TestPropertyNothingGatedWithoutItsApproval(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		b, a := asked(outer, inAutonomy(Approve))
		a.State = rapid.SampledFrom([]signalbox.ApprovalState{signalbox.Asked, signalbox.Approved, signalbox.Denied, signalbox.Used}).Draw(t, "state")
		a.Expires = noon.Add(rapid.SampledFrom([]time.Duration{-time.Second, 0, time.Second, time.Hour}).Draw(t, "expires"))
		same := rapid.Bool().Draw(t, "same")
		if !same {
			a.Bound = "another"
		}
		d := b.decide()
		allowed := a.State == signalbox.Approved && a.Expires.After(noon) && same
		if acts := d.Verdict == signalbox.Act; acts != allowed || acts && d.Uses != a.ID {
			t.Fatalf("approval %+v:\n%s", a, tell(d))
		}
	})
}

// A policy in shadow tells no hand that it found: that would block the others.
func TestShadowFindsNoHand(t *testing.T) {
	b := newBox(t, inAutonomy(Shadow))
	b.foresee(throwTo("b"), "a").Hand = "the fence is not ours"
	if d := b.decide(); len(d.Shadow) != 1 || len(d.Hands) > 0 || d.Demote != "" {
		t.Errorf("got %+v:\n%s", d.Shadow, tell(d))
	}
}

// In shadow what counts is what would be thrown, not what would be told before it.
func TestShadowTellsWhatWouldBeThrown(t *testing.T) {
	p := failover()
	p.Autonomy = Shadow
	said := signalbox.Step{Kind: "announce", Name: "ops-alerts", Spec: json.RawMessage(`{}`), Tool: true, Flow: signalbox.Flow{Tells: true}}
	p.Runbook = append([]signalbox.Step{said, pageStep("backend")}, p.Runbook...)
	d := newBox(t, p).want(signalbox.Escalate, "")
	if len(d.Shadow) != 1 || d.Shadow[0].Step == nil || d.Shadow[0].Step.Name != "read-endpoint" || d.Shadow[0].Verdict != signalbox.Act {
		t.Errorf("got %+v", d.Shadow)
	}
	p.Runbook = p.Runbook[:2]
	if d := newBox(t, p).decide(); len(d.Shadow) != 1 || d.Shadow[0].Step.Name != "ops-alerts" {
		t.Errorf("of a runbook that throws nothing: got %+v", d.Shadow)
	}
}
