package policy

import (
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// rolledBack is a world in which a chain's first step, a rollback, is done, and
// all is well before the smoke tests were approved.
func rolledBack(t *testing.T, edit func(steps []signalbox.Step)) *box {
	t.Helper()
	steps := []signalbox.Step{
		named("deploy", signalbox.Flow{Then: signalbox.ThenNext}), named("smoke", signalbox.Flow{}), named("another", signalbox.Flow{}),
	}
	for i := range steps {
		steps[i].Undo = signalbox.UndoNever
	}
	if edit != nil {
		edit(steps)
	}
	b := newBox(t, runbook(steps...))
	b.start(b.previewed(), nil)
	b.later(time.Second)
	b.healed()
	b.later(20 * time.Second)
	if d := b.decide(); d.Verdict == signalbox.Settle {
		b.w.State.Actions[d.Takes].Outcome = d.Outcome
	}
	return b
}

// previewed is the decision to act, once its step was previewed.
func (b *box) previewed() signalbox.Decision {
	b.t.Helper()
	b.step(b.want(signalbox.Preview, ""))
	return b.want(signalbox.Act, "")
}

// The rest of a chain is not taken for what is well; which steps that are is paged
// once, stays on the page until a person has heard it, and is told at the end.
func TestWhatWasNotRunIsTold(t *testing.T) {
	for name, end := range map[string]func(b *box, page *signalbox.Page){
		"acknowledged":     func(b *box, page *signalbox.Page) { page.AckedAt = b.w.Now },
		"after_healthy on": func(b *box, _ *signalbox.Page) { b.later(30 * time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			b := rolledBack(t, nil)
			d := b.want(signalbox.Escalate, ToldCutShort)
			if d.Told != ToldCutShort || d.Page.Why != "Its runbook was cut short; not run: smoke to b, since db/eu was well before its turn" {
				t.Fatalf("got %q:\n%s", d.Told, tell(d))
			}
			b.paged(d)
			b.inc().Told = append(b.inc().Told, d.Told)
			page := &signalbox.Page{Key: "page-1", At: b.w.Now}
			b.w.State.Pages["page-1"] = page
			b.readsAll(b.want(signalbox.Hold, ToldCutShort), signalbox.PageKey("page-1"))
			end(b, page)
			if d := b.want(signalbox.Resolve, ToldCutShort); !strings.Contains(reason(d.Because, ToldCutShort).Detail, "not run: smoke to b") {
				t.Errorf("got:\n%s", tell(d))
			}
		})
	}
}

// Alternatives, steps that only tell, and those that would be passed over are not
// missed.
func TestWhatNeedNotRunIsNotTold(t *testing.T) {
	for name, edit := range map[string]func(steps []signalbox.Step){
		"an alternative": func(steps []signalbox.Step) { steps[0].Then = signalbox.ThenVerify },
		"a page":         func(steps []signalbox.Step) { steps[1] = pageStep("devops") },
		"passed over": func(steps []signalbox.Step) {
			steps[1].If, steps[1].Else = `value > duration("1h")`, signalbox.ElseSkip
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := rolledBack(t, func(steps []signalbox.Step) {
				if edit(steps); name != "an alternative" {
					steps[2] = pageStep("backend")
				}
			})
			if d := b.decide(); d.Told != "" || d.Verdict != signalbox.Resolve {
				t.Errorf("got:\n%s", tell(d))
			}
		})
	}
	b := rolledBack(t, nil)
	b.inc().Reading.Suppressed = "silence x"
	b.w.Facts.Reading("lag", "db/eu", "").Suppressed = "silence x"
	b.want(signalbox.Resolve, ToldCutShort)
}
