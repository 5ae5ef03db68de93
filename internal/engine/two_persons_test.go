package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// asked is the only request that waits for an answer.
func (w *world) asked() *signalbox.Approval {
	w.t.Helper()
	list, err := w.engine.Approvals(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	var open []signalbox.Approval
	for _, a := range list {
		if a.Open(time.Now()) {
			open = append(open, a)
		}
	}
	if len(open) != 1 {
		w.t.Fatalf("%d requests wait, want 1: %+v", len(open), list)
	}
	return &open[0]
}

func (w *world) approve(id signalbox.ApprovalID, who string) error {
	_, err := w.engine.Answer(w.t.Context(), id, true, who, "go", func(*signalbox.Approval, string) error { return nil })
	return err
}

// Who set a step in motion does not approve it, also after a restart, whether it
// was asked for before that or after; another person does.
func TestTwoPersons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.Autonomy, pol.TwoPersons = "approve", true
		w := newWorld(t, pol)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(30 * time.Second)
		id := w.asked().ID
		release := signalbox.Control{Kind: signalbox.Release, Scope: "incident/" + ids(w.status()), Who: "@alice", Reason: "go on"}
		if err := w.engine.Control(t.Context(), release); err != nil {
			t.Fatal(err)
		}
		refused := func(when string, id signalbox.ApprovalID) {
			t.Helper()
			if err := w.approve(id, "@alice"); err == nil || !strings.Contains(err.Error(), "two persons") {
				t.Errorf("%s: got %v, want that it needs two persons", when, err)
			}
		}
		refused("asked for before", id)
		w.after(30 * time.Second)
		refused("after a while", w.asked().ID)
		w.die()
		w.start()
		w.after(30 * time.Second)
		refused("after a restart", w.asked().ID)
		w.after(40 * time.Minute) // what was asked is asked anew
		if again := w.asked(); again.ID == id || again.Trigger != "@alice" {
			t.Errorf("got %+v, want a new request that knows who set it in motion", again)
		}
		refused("asked for anew", w.asked().ID)
		w.after(time.Minute)
		expect(t, "effects", w.target.log(), "")
		if err := w.approve(w.asked().ID, "@bob"); err != nil {
			t.Error(err)
		}
		w.after(20 * time.Second)
		expect(t, "effects once a second person approved", w.target.log(), "b")
		w.make(readsLag, "db/eu", 0)
		w.after(20 * time.Minute)
		w.audit(nil)
	})
}

// Who lifts what held a step has set it in motion: a pause or the kill switch, of
// all or of its own scope, and not of another; also after a restart.
func TestTwoPersonsKnowWhoLiftedWhatHeldIt(t *testing.T) {
	for name, c := range map[string]struct {
		hold    signalbox.ControlKind
		scope   string
		refused bool
	}{
		"a pause of all":             {signalbox.Pause, "all", true},
		"the kill switch":            {signalbox.Kill, "all", true},
		"a pause of the policy":      {signalbox.Pause, "policy/failover", true},
		"a pause of the owner":       {signalbox.Pause, "owner/backend", true},
		"a pause of the target":      {signalbox.Pause, "target/configmap core/core-env DB_READONLY_ENDPOINT", true},
		"a pause of something else":  {signalbox.Pause, "policy/other", false},
		"a pause of another's owner": {signalbox.Pause, "owner/devops", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pol := flipPolicy()
				pol.Autonomy, pol.TwoPersons = "approve", true
				other := flipPolicy()
				other.Name, other.On = "other", []string{plainOne}
				w := newWorld(t, pol, other)
				w.start()
				w.after(20 * time.Second)
				say := func(kind signalbox.ControlKind, who string) {
					t.Helper()
					if err := w.engine.Control(t.Context(), signalbox.Control{Kind: kind, Scope: c.scope, Who: who, Reason: "a test"}); err != nil {
						t.Fatal(err)
					}
				}
				say(c.hold, "@bob")
				w.make(readsLag, "db/eu", 5)
				w.after(30 * time.Second)
				say(signalbox.Resume, "@alice")
				w.after(30 * time.Second)
				w.die()
				w.start()
				w.after(30 * time.Second)
				if err := w.approve(w.asked().ID, "@alice"); (err != nil) != c.refused {
					t.Errorf("who lifted it approves: %v, want it refused: %t", err, c.refused)
				}
				if c.refused {
					if err := w.approve(w.asked().ID, "@bob"); err != nil {
						t.Error(err)
					}
				}
				w.after(20 * time.Second)
				expect(t, "effects", w.target.log(), "b")
				w.make(readsLag, "db/eu", 0)
				w.after(20 * time.Minute)
				w.audit(nil)
			})
		})
	}
}

// Without two_persons, one who set it in motion may.
func TestOnePersonMayDoBothWhereOneIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.Autonomy = "approve"
		w := newWorld(t, pol)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(30 * time.Second)
		release := signalbox.Control{Kind: signalbox.Release, Scope: "incident/" + ids(w.status()), Who: "@alice", Reason: "go on"}
		if err := w.engine.Control(t.Context(), release); err != nil {
			t.Fatal(err)
		}
		w.after(30 * time.Second)
		if err := w.approve(w.asked().ID, "@alice"); err != nil {
			t.Error(err)
		}
		w.after(20 * time.Second)
		expect(t, "effects", w.target.log(), "b")
		w.make(readsLag, "db/eu", 0)
		w.after(20 * time.Minute)
		w.audit(nil)
	})
}
