package engine_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/policy"
)

// of are the entries of a kind.
func (w *world) of(kind journal.Kind) (list []journal.Entry) {
	w.t.Helper()
	for _, e := range w.entries() {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// said decodes what an entry tells people.
func said[T any](t *testing.T, e journal.Entry) (v T) {
	t.Helper()
	if err := json.Unmarshal(e.Data, &v); err != nil {
		t.Fatalf("entry %d, %s: %v", e.Seq, e.Kind, err)
	}
	return v
}

// demotion is what is on record of the only policy, in the store and for those who
// ask, with how far it may go.
func (w *world) demotion(when string, effective signalbox.Autonomy) *signalbox.Demotion {
	w.t.Helper()
	list, err := w.engine.Policies(w.t.Context())
	if err != nil || len(list) != 1 {
		w.t.Fatalf("got %+v, %v, want one policy", list, err)
	}
	if list[0].Effective != effective {
		w.t.Errorf("%s: it may go as far as %s, want %s", when, list[0].Effective, effective)
	}
	stored := w.state().Policies["failover"].Demoted
	if told := list[0].Demoted; (told == nil) != (stored == nil) || told != nil && *told != *stored {
		w.t.Errorf("%s: the store has %+v, and it tells %+v", when, stored, told)
	}
	return stored
}

// A demotion is on record once, with why and of which incident. It outlives a
// restart and a reload, also one that edits the policy, and ends by a person's
// word only, which is on record with who gave it.
func TestDemotionStandsUntilAPersonRestoresIt(t *testing.T) {
	for name, c := range map[string]struct {
		autonomy signalbox.Autonomy
		why      string // ID is that of the incident
		demote   func(w *world)
	}{
		"it did not help": {policy.Auto, "read-endpoint to b did not help incident ID", func(w *world) { w.after(5 * time.Minute) }},
		"a person denied it": {policy.Approve, "@sre-lead denied APPROVAL: not now", func(w *world) {
			may := func(*signalbox.Approval, string) error { return nil }
			if _, err := w.engine.Answer(w.t.Context(), w.asked().ID, false, "@sre-lead", "not now", may); err != nil {
				w.t.Fatal(err)
			}
		}},
		"a person took it back": {policy.Auto, "@sre-lead took its switch back while incident ID was open", func(w *world) {
			word := signalbox.Control{Kind: signalbox.TakeBack, Scope: "incident/" + ids(w.status()), Who: "@sre-lead", Reason: "wrong"}
			if err := w.engine.Control(w.t.Context(), word); err != nil {
				w.t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pol := flipPolicy()
				pol.Autonomy = c.autonomy
				w := newWorld(t, pol)
				w.start()
				w.after(20 * time.Second)
				w.demotion("at the start", c.autonomy)
				w.make(readsLag, "db/eu", 5)
				w.after(30 * time.Second)
				incident, why := ids(w.status()), c.why
				if strings.Contains(why, "APPROVAL") {
					why = strings.ReplaceAll(why, "APPROVAL", string(w.asked().ID))
				}
				begun := time.Now()
				c.demote(w)
				w.after(20 * time.Second)
				entries := w.of(journal.PolicyDemoted)
				if len(entries) != 1 {
					t.Fatalf("%d demotions are on record, want 1", len(entries))
				}
				told := said[signalbox.Demotion](t, entries[0])
				if name := said[struct{ Policy string }](t, entries[0]).Policy; name != "failover" {
					t.Errorf("on record as demoted: %q", name)
				}
				want := signalbox.Demotion{To: policy.Suggest, Why: strings.ReplaceAll(why, "ID", incident), At: told.At, Incident: signalbox.IncidentID(incident)}
				if told != want || told.At.Before(begun) || string(entries[0].Incident) != incident || !entries[0].At.Equal(told.At) {
					t.Errorf("on record: %+v at %s, want %+v", told, entries[0].At, want)
				}
				w.keepsDemotion(pol, told)
				w.restored(c.autonomy)
				w.audit(nil)
			})
		})
	}
}

// keepsDemotion restarts and reloads, and looks that nothing is thrown for the next
// incident.
func (w *world) keepsDemotion(pol policy.Policy, want signalbox.Demotion) {
	w.t.Helper()
	is := func(when string) {
		w.t.Helper()
		if got := w.demotion(when, policy.Suggest); got == nil || *got != want {
			w.t.Errorf("%s: got %+v, want %+v", when, got, want)
		}
	}
	is("demoted")
	w.make(readsLag, "db/eu", 0)
	w.after(10 * time.Minute)
	w.again()
	is("after a restart")
	pol.Cooldown += time.Second
	w.configure("two", pol)
	if err := w.engine.Swap(w.t.Context(), w.set); err != nil {
		w.t.Fatal(err)
	}
	w.after(time.Minute)
	is("after a reload")
	w.again()
	is("after both")
	before := w.target.log()
	w.make(readsLag, "db/eu", 5)
	w.after(2 * time.Minute)
	expect(w.t, "effects while it is demoted", w.target.log(), before)
	w.make(readsLag, "db/eu", 0)
	w.after(10 * time.Minute)
}

// restored has a person restore the policy: who did is on record, and a restart
// changes nothing of it.
func (w *world) restored(to signalbox.Autonomy) {
	w.t.Helper()
	restore := signalbox.Control{Kind: signalbox.Restore, Scope: "policy/failover", Who: "@be-lead", Reason: "mended"}
	if err := w.engine.Control(w.t.Context(), restore); err != nil {
		w.t.Fatal(err)
	}
	controls := w.of(journal.ControlSet)
	last := controls[len(controls)-1]
	c := said[signalbox.Control](w.t, last)
	if restore.At = c.At; c != restore || last.Who != "@be-lead" {
		w.t.Errorf("on record: %+v by %q, want %+v", c, last.Who, restore)
	}
	for _, when := range []string{"restored", "restored, and after a restart"} {
		if got := w.demotion(when, to); got != nil {
			w.t.Errorf("%s: got %+v", when, got)
		}
		w.again()
	}
	if n := len(w.of(journal.PolicyDemoted)); n != 1 {
		w.t.Errorf("%d demotions are on record, want 1", n)
	}
	if to != policy.Auto {
		return
	}
	before := w.target.log()
	w.after(2 * time.Hour) // so that it does not come too often
	w.make(readsLag, "db/eu", 5)
	w.after(20 * time.Second)
	expect(w.t, "effects once it is restored", w.target.log(), before+" b")
	w.make(readsLag, "db/eu", 0)
	w.after(10 * time.Minute)
}
