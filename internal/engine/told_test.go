package engine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// inOrder wants notes of these kinds with these words, in this order, among others.
func (b *notebook) inOrder(t *testing.T, want ...signalbox.Note) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	next := 0
	for _, n := range b.notes {
		if next < len(want) && n.Kind == want[next].Kind && strings.Contains(n.Text, want[next].Text) {
			next++
		}
	}
	if next < len(want) {
		t.Errorf("no %s %q after the %d before it, in:", want[next].Kind, want[next].Text, next)
		for _, n := range b.notes {
			t.Errorf("  %s %s: %s", n.At.Format(time.TimeOnly), n.Kind, n.Text)
		}
	}
}

func plain(text string) signalbox.Note {
	return signalbox.Note{Kind: signalbox.PlainNote, Text: text}
}

// scribbling begins a world whose pager takes notes, with a policy that pages its
// owner first.
func scribbling(t *testing.T, change func(*policy.Policy)) (*world, *notebook) {
	t.Helper()
	pol := flipPolicy()
	pol.Runbook = append([]signalbox.Step{{Kind: "page", Name: "backend", Spec: json.RawMessage(`{}`), Flow: signalbox.Flow{Then: signalbox.ThenNext}}}, pol.Runbook...)
	if change != nil {
		change(&pol)
	}
	w := newWorld(t, pol)
	b := &notebook{phone: newPhone(w)}
	w.set.Pager = b
	w.start()
	w.after(20 * time.Second)
	return w, b
}

// The page of an incident has what was decided and done on it, as it happens: the
// step, what came of it, that it helped, and that it was taken back.
func TestPageTellsEachDecisionAndAction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := scribbling(t, nil)
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		b.inOrder(t, plain("act: "), plain("read-endpoint to b"), signalbox.Note{Kind: signalbox.StatusUpdate, Text: "recovered"}, plain("undo: "), plain("read-endpoint to a"))
		w.audit(nil)
	})
}

// What is decided once a page is open is told on it: that it did not help, and that
// automation gives up; and what joins it. A pager that keeps one incident for a
// page takes no second trigger.
func TestPageThatIsOpenTellsWhatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := scribbling(t, func(p *policy.Policy) { p.Witnesses = []signalbox.Witness{{Detector: plainOne}} })
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		w.make(plainOne, "db/eu", 9)
		w.after(10 * time.Minute)
		gaveUp := "the runbook of failover is at its end: read-endpoint to b: not recovered"
		b.inOrder(t, plain("no policy acts on db/eu by itself"), plain(gaveUp), signalbox.Note{Kind: signalbox.Responders, Text: gaveUp})
		w.audit(nil)
	})
}

// A request that waits for a person, and that it was denied, is told on a page
// that is open.
func TestPageThatIsOpenTellsOfApprovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, b := scribbling(t, func(p *policy.Policy) { p.Autonomy = policy.Approve })
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		var id signalbox.ApprovalID
		for key := range w.state().Approvals {
			id = key
		}
		if _, err := w.engine.Answer(t.Context(), id, false, "@be-lead", "not now", func(*signalbox.Approval, string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		w.after(time.Minute)
		b.inOrder(t, plain("signalboxctl approve "+string(id)), plain("denied"))
		w.audit(nil)
	})
}

// Responders are asked once the ladder is at its end, whichever rung that is.
func TestRespondersAreAskedAtTheEndOfTheLadder(t *testing.T) {
	for name, c := range map[string]struct {
		owner policy.Owner
		after string
	}{
		"last resort": {policy.Owner{Name: "backend", Escalates: true, AcknowledgeWithin: 2 * time.Minute, Backup: true, LastResort: "devops"}, "devops trigger"},
		"backup only": {policy.Owner{Name: "backend", Escalates: true, AcknowledgeWithin: 2 * time.Minute, Backup: true}, "backend-backup trigger"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				b := &notebook{phone: onCall(w, func(cfg *policy.Config) { cfg.Owners[0] = c.owner })}
				w.set.Pager = b
				w.start()
				w.after(20 * time.Second)
				w.make(plainOne, "queue/psp", 9)
				w.after(20 * time.Minute)
				asked := 0
				b.set(func() {
					for _, n := range b.notes {
						if n.Kind == signalbox.Responders {
							asked++
						}
					}
				})
				if got := b.to(); asked != 1 || got[len(got)-1] != c.after {
					t.Errorf("responders were asked %d times, want once; taken: %q, want %q last", asked, got, c.after)
				}
				w.audit(nil)
			})
		})
	}
}

// A condition that fails at run time, on a label that is not there or a value of
// another type, never matches, in `when` nor in a step; it is said why, on the page
// and by explain.
func TestConditionThatFailsHoldsAndIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*policy.Policy)
		why    string
	}{
		"when, a label that is not there": {func(p *policy.Policy) { p.When = `labels.nope == "x"` }, "no such key: nope"},
		"when, of another type":           {func(p *policy.Policy) { p.When = `int("five" + string(value)) > 1` }, "type conversion error"},
		"a step":                          {func(p *policy.Policy) { p.Runbook[0].If = `labels.nope == "x"` }, "no such key: nope"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pol := flipPolicy()
				c.change(&pol)
				w, p := exchange(t, pol)
				w.make(readsLag, "db/eu", 5)
				w.after(5 * time.Minute)
				expect(t, "effects", w.target.log(), "")
				expect(t, "accepted", p.log(), "trigger")
				x, err := w.engine.Explain(t.Context(), ids(w.status()))
				if err != nil {
					t.Fatal(err)
				}
				text, err := json.Marshal(x)
				if err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(text), c.why) {
					t.Errorf("explain does not say %q: %s", c.why, text)
				}
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				w.audit(nil)
			})
		})
	}
}

// A reason that another took the place of, before it could be sent, is told too,
// once.
func TestPageTellsReasonsThatCouldNotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		p := newPhone(w)
		p.answer = refuseAll(errDown)
		w.make(replicaLag, "replica/b", 5)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		w.make(replicaLag, "replica/b", 0)
		w.after(5 * time.Minute)
		expect(t, "accepted while nothing is", p.log(), "")
		p.set(func() { p.answer = nil })
		w.after(5 * time.Minute)
		var also []string
		for _, c := range p.accepted() {
			if c.body.Source == "db/eu" {
				also = append(also, strings.Join(c.body.Also, "; "))
			}
		}
		if len(also) == 0 || strings.Count(strings.Join(also, "; "), "replica-lag on replica/b is breached") != 1 {
			t.Errorf("beside the last reason: %q", also)
		}
		w.audit(nil)
	})
}
