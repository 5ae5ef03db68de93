package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// record is what is on record of the only policy, without its beginning; the
// store and those who ask agree.
func (w *world) record() signalbox.PolicyRecord {
	w.t.Helper()
	list, err := w.engine.Policies(w.t.Context())
	if err != nil || len(list) != 1 {
		w.t.Fatalf("got %+v, %v, want one policy", list, err)
	}
	r := list[0].Record
	if stored := w.state().Policies[list[0].Name].Record; stored != r {
		w.t.Errorf("the store has %+v, and it tells %+v", stored, r)
	}
	if r.Since.IsZero() {
		w.t.Error("it does not tell since when")
	}
	r.Since = time.Time{}
	return r
}

func (w *world) counted(when string, want signalbox.PolicyRecord) {
	w.t.Helper()
	if got := w.record(); got != want {
		w.t.Errorf("%s: got %+v, want %+v", when, got, want)
	}
}

func (w *world) again() {
	w.die()
	w.start()
	w.after(30 * time.Second)
}

func TestRecordOfActionsAndTheirOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		w.counted("at the start", signalbox.PolicyRecord{})
		w.make(readsLag, "db/eu", 5)
		w.after(20 * time.Second)
		w.counted("acted", signalbox.PolicyRecord{Actions: 1})
		w.again()
		w.counted("after a restart", signalbox.PolicyRecord{Actions: 1})
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.counted("it helped, and was taken back", signalbox.PolicyRecord{Actions: 1, Recovered: 1})
		w.make(readsLag, "db/eu", 5)
		w.after(10 * time.Minute)
		w.counted("the next did not help", signalbox.PolicyRecord{Actions: 2, Recovered: 1, NotRecovered: 1, Demotions: 1})
		w.again()
		w.configure("two", flipPolicy()) // an edit elsewhere
		if err := w.engine.Swap(t.Context(), w.set); err != nil {
			t.Fatal(err)
		}
		w.after(time.Minute)
		w.counted("after a restart and a reload", signalbox.PolicyRecord{Actions: 2, Recovered: 1, NotRecovered: 1, Demotions: 1})
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.restorePolicy()
		w.audit(nil)
	})
}

// What an autonomy that does not act would have done, or asked for, is counted
// once for each incident.
func TestRecordOfWhatWasNotDone(t *testing.T) {
	for _, c := range []struct {
		autonomy signalbox.Autonomy
		want     signalbox.PolicyRecord
	}{
		{policy.Shadow, signalbox.PolicyRecord{Would: 1}},
		{policy.Suggest, signalbox.PolicyRecord{Suggested: 1}},
	} {
		t.Run(string(c.autonomy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pol := flipPolicy()
				pol.Autonomy = c.autonomy
				w := newWorld(t, pol)
				w.start()
				w.after(20 * time.Second)
				w.make(readsLag, "db/eu", 5)
				w.after(time.Minute)
				w.counted("ill", c.want)
				w.again()
				w.after(10 * time.Minute)
				w.counted("still ill after a restart", c.want)
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				w.make(readsLag, "db/eu", 5)
				w.after(time.Minute)
				w.counted("ill again", signalbox.PolicyRecord{Would: 2 * c.want.Would, Suggested: 2 * c.want.Suggested})
				expect(t, "effects", w.target.log(), "")
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				w.audit(nil)
			})
		})
	}
}

func TestRecordOfAnApprovalAndAnUndoByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.Autonomy, pol.VerifyWithin = "approve", 10*time.Minute
		w := newWorld(t, pol)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(30 * time.Second)
		if err := w.approve(w.asked().ID, "@bob"); err != nil {
			t.Fatal(err)
		}
		w.after(20 * time.Second)
		w.counted("approved", signalbox.PolicyRecord{Approved: 1, Actions: 1})
		back := signalbox.Control{Kind: signalbox.TakeBack, Scope: "incident/" + ids(w.status()), Who: "@bob", Reason: "wrong"}
		if err := w.engine.Control(t.Context(), back); err != nil {
			t.Fatal(err)
		}
		w.after(20 * time.Second)
		expect(t, "effects", w.target.log(), "b a")
		want := signalbox.PolicyRecord{Approved: 1, Actions: 1, ByHand: 1, Demotions: 1}
		w.counted("taken back by hand", want)
		w.again()
		w.counted("after a restart", want)
		w.make(readsLag, "db/eu", 0)
		w.after(20 * time.Minute)
		w.restorePolicy()
		w.audit(nil)
	})
}
