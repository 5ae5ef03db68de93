package policy

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

func (b *box) whyNot(name string) signalbox.Decision {
	b.t.Helper()
	d, ok := b.h.WhyNot(b.w, incident, name)
	if !ok {
		b.t.Fatal("no answer")
	}
	return d
}

func TestWhyNot(t *testing.T) {
	second := failover()
	second.Name = "second"
	elsewhere := failover()
	elsewhere.Name, elsewhere.On = "elsewhere", []string{"errors"}
	elsewhere.When = ""
	for name, c := range map[string]struct {
		policy  string
		edit    func(b *box)
		verdict signalbox.Verdict
		code    string
		says    string
	}{
		"nothing holds it":    {policy: "failover", verdict: signalbox.Act},
		"not on its detector": {policy: "elsewhere", verdict: signalbox.Hold, code: "match", says: "is on errors"},
		"an earlier one":      {policy: "second", verdict: signalbox.Hold, code: "policy", says: "failover stands before it"},
		"a label":             {policy: "failover", edit: func(b *box) { b.w.Facts.Reading("lag", "db/eu", "").Labels = map[string]string{} }, verdict: signalbox.Hold, code: "match", says: "label env"},
		"its runbook is over": {policy: "failover", edit: func(b *box) { b.acted(signalbox.NotRecovered) }, verdict: signalbox.Hold, code: "plan", says: "at its end"},
		"another's runbook":   {policy: "second", edit: func(b *box) { b.acted("") }, verdict: signalbox.Hold, code: "policy", says: "failover was chosen"},
		"killed":              {policy: "failover", edit: func(b *box) { b.w.State.Controls.Killed = &signalbox.Control{Who: "x"} }, verdict: signalbox.Hold, code: "kill"},
		"closed":              {policy: "failover", edit: func(b *box) { b.inc().End = signalbox.Acted }, verdict: signalbox.Hold, code: "closed"},
		"demoted": {policy: "failover", edit: func(b *box) {
			b.w.State.Policies["failover"].Demoted = &signalbox.Demotion{To: Suggest, Why: "did not help"}
		}, verdict: signalbox.Hold, code: "autonomy", says: "did not help"},
		"given up": {policy: "failover", edit: func(b *box) { b.inc().GaveUp = "enough" }, verdict: signalbox.Hold, code: "gave_up", says: "enough"},
		"not looked at so far": {policy: "failover", edit: func(b *box) {
			b.w.Facts = signalbox.NewFacts()
			b.lag(2)
			b.later(0)
			b.see("replica-lag", "replica/b", signalbox.Clear, 0)
		}, verdict: signalbox.Preview, code: "forecast"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, failover(), second, elsewhere)
			if c.edit != nil {
				c.edit(b)
			}
			d := b.whyNot(c.policy)
			r := reason(d.Because, c.code)
			if d.Verdict != c.verdict || c.code != "" && (r == nil || r.Passed || !strings.Contains(r.Detail, c.says)) {
				t.Errorf("want %s because of %s %q, got\n%s", c.verdict, c.code, c.says, tell(d))
			}
		})
	}
}

func TestWhyNotApproval(t *testing.T) {
	p := failover()
	p.Autonomy = Approve
	b := newBox(t, p)
	d := b.whyNot("failover")
	if r := reason(d.Because, "approval"); d.Verdict != signalbox.Hold || r == nil || r.Passed || d.Page != nil {
		t.Fatalf("want held by its approval, got\n%s", tell(d))
	}
}

func TestWhyNotOfNothing(t *testing.T) {
	b := newBox(t)
	if _, ok := b.h.WhyNot(b.w, "none", "failover"); ok {
		t.Error("an incident that is not there")
	}
	if _, ok := b.h.WhyNot(b.w, incident, "none"); ok {
		t.Error("a policy that is not there")
	}
}

// What it says agrees with what is decided: it never says Act of a step that a
// decision on the same world holds, and it never has an effect.
func TestWhyNotAgrees(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		b := newBox(t)
		if rapid.Bool().Draw(r, "killed") {
			b.w.State.Controls.Killed = &signalbox.Control{Who: "x"}
		}
		if rapid.Bool().Draw(r, "paused") {
			b.w.State.Controls.Pauses = []signalbox.Control{{Scope: rapid.SampledFrom([]string{"all", "policy/failover", "target/" + string(target), "owner/other"}).Draw(r, "scope"), Who: "x"}}
		}
		b.lag(rapid.SampledFrom([]float64{0.01, 0.5, 2}).Draw(r, "lag"))
		if rapid.Bool().Draw(r, "ill") {
			b.see("replica-lag", "replica/b", signalbox.Breached, 3)
		}
		if rapid.Bool().Draw(r, "acted") {
			b.touch().Acted = append(b.touch().Acted, b.w.Now)
		}
		told, decided := b.whyNot("failover"), b.decide()
		if (told.Verdict == signalbox.Act) != (decided.Verdict == signalbox.Act) {
			r.Fatalf("told %s\ndecided %s", tell(told), tell(decided))
		}
		if told.Page != nil || told.GaveUp != "" || told.Hands != nil || told.Approval != nil || told.Demote != "" {
			r.Fatalf("it has an effect: %+v", told)
		}
	})
}
