package policy

import (
	"testing"

	signalbox "github.com/signalbox/signalbox"
)

func TestChoice(t *testing.T) {
	named := func(name string, change func(p *Policy)) Policy {
		p := failover()
		p.Name = name
		change(&p)
		return p
	}
	no := func(p *Policy) { p.When = `value > duration("1h")` }
	yes := func(*Policy) {}
	cases := map[string]struct {
		policies []Policy
		want     string
	}{
		"first in order":       {[]Policy{named("one", yes), named("two", yes)}, "one"},
		"first that matches":   {[]Policy{named("one", no), named("two", yes)}, "two"},
		"none":                 {[]Policy{named("one", no)}, ""},
		"label differs":        {[]Policy{named("one", func(p *Policy) { p.Match["env"] = "dev" })}, ""},
		"label missing":        {[]Policy{named("one", func(p *Policy) { p.Match["zone"] = "" })}, ""},
		"missing in when":      {[]Policy{named("one", func(p *Policy) { p.When = `labels.zone != "x"` }), named("two", yes)}, "condition"},
		"of another detector":  {[]Policy{named("one", func(p *Policy) { p.On = []string{"alerts"}; p.When = "" })}, ""},
		"no condition":         {[]Policy{named("one", func(p *Policy) { p.When = "" })}, "one"},
		"destination in when":  {[]Policy{named("one", func(p *Policy) { p.When = `destination.position == "b" && destination.healthy` })}, "one"},
		"several detectors":    {[]Policy{named("one", func(p *Policy) { p.On = []string{"replica-lag", "lag"} })}, "one"},
		"shadow is not chosen": {[]Policy{named("one", func(p *Policy) { p.Autonomy = Shadow }), named("two", yes)}, "two"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, c.policies...)
			d := b.decide()
			if c.want == "condition" { // what can't be told is held, and paged once
				if d := b.want(signalbox.Hold, "condition"); d.Page == nil {
					t.Fatalf("nobody is told:\n%s", tell(d))
				}
				b.inc().Page = "page-1"
				if d := b.want(signalbox.Hold, "condition"); d.Page != nil {
					t.Fatalf("told twice:\n%s", tell(d))
				}
				return
			}
			if c.want == "" {
				b.paged(b.want(signalbox.Escalate, "policy"))
				b.want(signalbox.Hold, "policy")
				return
			}
			if d.Verdict != signalbox.Act || d.Plan.Policy != c.want {
				t.Fatalf("want %s:\n%s", c.want, tell(d))
			}
		})
	}
}

func TestSuppressedIsNeitherPagedNorActedOn(t *testing.T) {
	b := newBox(t)
	b.change(func(r *signalbox.Reading) { r.Suppressed = "silence 42" })
	b.want(signalbox.Hold, "suppressed")
	b.inc().Plan, _ = b.h.rules["failover"].plan(nil)
	b.blocked("silence", "silence 42")
	b.inc().Plan = nil
	b.healed()
	b.change(func(r *signalbox.Reading) { r.Suppressed = "silence 42" })
	b.ends(signalbox.Suppressed)
	b = newBox(t, func() Policy { p := failover(); p.Match["env"] = "dev"; return p }())
	b.change(func(r *signalbox.Reading) { r.Suppressed = "silence 42" })
	b.want(signalbox.Hold, "suppressed")
}

func TestSourcesArePaged(t *testing.T) {
	b := newBox(t)
	inc := b.inc()
	inc.Reading = signalbox.Reading{Detector: "source/metrics", Series: "metrics", Subject: "metrics", Condition: signalbox.Unknown}
	inc.Owner, inc.UnknownAt = "", noon
	if d := b.want(signalbox.Escalate, "policy"); d.Page.Owner != "devops" {
		t.Errorf("got %s, want the default owner", d.Page.Owner)
	}
	inc.Reading.Condition, inc.ClearAt, inc.Page = signalbox.Clear, noon, "page"
	b.ends(signalbox.Escalated)
}

func TestEnds(t *testing.T) {
	cases := map[string]struct {
		change func(b *box)
		end    signalbox.End
	}{
		"gone before anything": {func(*box) {}, signalbox.Suppressed},
		"paged":                {func(b *box) { b.inc().Page = "p" }, signalbox.Escalated},
		"helped":               {func(b *box) { b.acted(signalbox.Recovered); b.touch().Thrown = "" }, signalbox.Acted},
		"did not help":         {func(b *box) { b.acted(signalbox.NotRecovered); b.touch().Thrown = "" }, signalbox.Failed},
		"unverified":           {func(b *box) { b.acted(signalbox.Unverified); b.touch().Thrown = "" }, signalbox.Failed},
		"gave up, paged": {func(b *box) {
			b.acted(signalbox.Unverified)
			b.touch().Thrown, b.inc().GaveUp, b.inc().Page = "", "x", "p"
		}, signalbox.Failed},
		"gave up, nothing done": {func(b *box) { b.inc().GaveUp, b.inc().Page = "onset", "p" }, signalbox.Escalated},
		"only paged by a step": {func(b *box) {
			b.acted("").Step = pageStep("backend")
			b.touch().Thrown = ""
		}, signalbox.Escalated},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBox(t)
			c.change(b)
			b.healed()
			b.ends(c.end)
		})
	}
}

func TestClosedAndMissingAreSkipped(t *testing.T) {
	b := newBox(t)
	b.inc().End = signalbox.Acted
	if got := b.h.Decide(b.w, []signalbox.IncidentID{incident, "0000000000000000"}); len(got) != 0 {
		t.Errorf("got %d decisions, want none", len(got))
	}
}

func TestLostRecordGivesUp(t *testing.T) {
	b := newBox(t)
	a := b.acted(signalbox.NotRecovered)
	delete(b.w.State.Actions, a.ID)
	b.paged(b.want(signalbox.Escalate, "gave_up"))
}
