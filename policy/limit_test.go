package policy

import (
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// A limit is paged once, whatever helped, with until when it stands.
func TestLimitIsAlwaysPaged(t *testing.T) {
	b := newBox(t)
	a := b.acted(signalbox.Recovered)
	a.Forecast.Expires = signalbox.Duration(2 * time.Hour)
	b.healed()
	d := b.want(signalbox.Escalate, "limit")
	if d.Told != "limit/"+string(a.ID) || d.Page.Owner != "backend" || !strings.Contains(d.Page.Why, "read-endpoint to b, was a, until 2026-03-01 14:00:00Z") {
		t.Fatalf("got %q:\n%s", d.Told, tell(d))
	}
	b.inc().Told, b.inc().Page = append(b.inc().Told, d.Told), "page-1"
	if d := b.decide(); d.Verdict == signalbox.Escalate {
		t.Errorf("paged twice:\n%s", tell(d))
	}
	a.Forecast.Expires, b.inc().Told = 0, nil
	if d := b.decide(); d.Verdict == signalbox.Escalate {
		t.Errorf("what is no limit was paged:\n%s", tell(d))
	}
}

// throttled is a world in which a tool's limit stands for two hours.
func throttled(t *testing.T, undo signalbox.UndoMode) (*box, *signalbox.Action) {
	t.Helper()
	s := tool("payouts", "b")
	s.Undo = undo
	b := newBox(t, runbook(s))
	if taken, d := b.play(nil); len(taken) == 0 {
		t.Fatal(tell(d))
	}
	a := b.w.State.Actions["act-0"]
	a.Stage, a.Outcome, a.Undone, a.Forecast.Expires = signalbox.Done, signalbox.Recovered, "", signalbox.Duration(2*time.Hour)
	b.inc().Actions = b.inc().Actions[:1]
	b.w.State.Targets[ownTarget(&a.Step)].Thrown = a.ID
	b.w.Now, a.EndedAt, b.inc().GaveUp = noon, noon, ""
	b.inc().Told = []string{"limit/act-0"}
	return b, a
}

// At its end the owner is asked, once, where what it was set for is still ill:
// nothing is lifted into it. Nobody is asked before, nor where all is well.
func TestExpiryAsksWhileItIsIll(t *testing.T) {
	b, _ := throttled(t, signalbox.UndoAuto)
	b.later(time.Second)
	b.lag(5)
	d := b.decide()
	if d.Told != "" || d.Until.After(noon.Add(2*time.Hour)) || d.Until.IsZero() {
		t.Fatalf("got %q:\n%s", d.Told, tell(d))
	}
	b.later(2 * time.Hour)
	b.lag(5)
	d = b.want(signalbox.Escalate, "limit")
	if d.Told != "expired/act-0" || !strings.Contains(d.Page.Why, "payouts to b should have ended at 2026-03-01 14:00:00Z, and db/eu is not well") {
		t.Fatalf("got %q:\n%s", d.Told, tell(d))
	}
	b.inc().Told = append(b.inc().Told, d.Told)
	if d := b.decide(); d.Told != "" || d.Verdict == signalbox.Undo {
		t.Fatalf("got:\n%s", tell(d))
	}
}

// Where all is well it is lifted, also where its undo otherwise asks.
func TestExpiryLiftsWhatIsWell(t *testing.T) {
	for _, undo := range []signalbox.UndoMode{signalbox.UndoAuto, signalbox.UndoAsk} {
		b, _ := throttled(t, undo)
		b.later(2 * time.Hour)
		b.healed()
		b.later(time.Hour)
		taken, d := b.play(nil)
		if len(taken) != 1 || taken[0] != "back payouts" {
			t.Errorf("undo %s: got %q and then\n%s", undo, taken, tell(d))
		}
	}
	b, _ := throttled(t, signalbox.UndoAsk)
	b.later(time.Hour)
	b.healed()
	if taken, d := b.play(nil); len(taken) > 0 && b.w.Now.Before(noon.Add(2*time.Hour)) {
		t.Errorf("lifted before its end, though its undo asks: %q\n%s", taken, tell(d))
	}
}

// A limit does not heal what it is set for: while that is ill nothing is judged,
// nothing is lifted into it, and no policy is demoted for it.
func TestLimitIsNotTakenBackForNotHelping(t *testing.T) {
	b, a := throttled(t, signalbox.UndoAuto)
	a.Outcome, a.VerifyBy = "", noon.Add(time.Minute)
	for range 4 {
		b.later(30 * time.Minute)
		b.lag(5)
		d := b.decide()
		switch {
		case d.Told == "expired/act-0":
			b.inc().Told = append(b.inc().Told, d.Told)
		case d.Verdict != signalbox.Verify || reason(d.Because, "limit") == nil:
			t.Fatalf("at %s:\n%s", clock(b.w.Now), tell(d))
		}
	}
	b.later(time.Minute)
	b.healed()
	if taken, d := b.play(nil); len(taken) != 2 || taken[0] != string(signalbox.Recovered) || taken[1] != "back payouts" {
		t.Errorf("once it is well: %q\n%s", taken, tell(d))
	}
}

// Nor is it taken back with a chain whose other steps did not help.
func TestLimitStaysWhereTheRestOfItsChainGoesBack(t *testing.T) {
	limit := tool("payouts", "b")
	limit.Then = signalbox.ThenNext
	b := newBox(t, runbook(limit, named("two", signalbox.Flow{})))
	for len(b.inc().Actions) < 2 {
		if d := b.decide(); d.Verdict == signalbox.Act {
			b.start(d, nil)
		} else {
			b.step(d)
		}
	}
	b.w.State.Actions["act-0"].Forecast.Expires = signalbox.Duration(2 * time.Hour)
	b.inc().Told = []string{"limit/act-0"}
	b.later(10 * time.Minute)
	b.lag(5)
	b.later(time.Second)
	taken, d := b.play(nil)
	if len(taken) < 2 || taken[0] != string(signalbox.NotRecovered) || taken[1] != "back two" || strings.Contains(strings.Join(taken, " "), "back payouts") {
		t.Errorf("got %q and then\n%s", taken, tell(d))
	}
}
