package engine_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// What would stop nothing is refused, and what is taken is yielded until it is
// released, also by a process that starts in between.
func TestTakeAndRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		say := func(kind signalbox.ControlKind, scope, reason string) error {
			return w.engine.Control(t.Context(), signalbox.Control{Kind: kind, Scope: scope, Reason: reason, Who: "@be-lead"})
		}
		for scope, want := range map[string]string{"subject/db/eu": "scope must be", "policy/none": "scope must be", "incident/0000": "no such incident", "all": "needs a reason"} {
			reason := "looking"
			if scope == "all" {
				reason = " "
			}
			if err := say(signalbox.Pause, scope, reason); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("pause %s: got %v, want %q", scope, err, want)
			}
		}
		if err := say(signalbox.Take, "policy/failover", "mine"); err != nil {
			t.Fatal(err)
		}
		w.make(readsLag, "db/eu", 5)
		w.after(time.Minute)
		expect(t, "effects while it is taken", w.target.log(), "")
		w.die()
		w.start()
		w.after(time.Minute)
		expect(t, "effects after a restart", w.target.log(), "")
		if err := say(signalbox.Release, "policy/failover", "done"); err != nil {
			t.Fatal(err)
		}
		w.after(20 * time.Second)
		expect(t, "effects once it is released", w.target.log(), "b")
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.audit(nil)
	})
}

// An approval from its request to its use, over a restart, and never twice.
func TestApprovalFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.Autonomy = "approve"
		w := newWorld(t, pol)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(30 * time.Second)
		expect(t, "effects before it is approved", w.target.log(), "")
		list, err := w.engine.Approvals(t.Context())
		if err != nil || len(list) != 1 || list[0].State != signalbox.Asked {
			t.Fatalf("got %+v, %v", list, err)
		}
		may := func(*signalbox.Approval, string) error { return nil }
		if _, err := w.engine.Answer(t.Context(), list[0].ID, true, "", "", may); err == nil {
			t.Error("approved by nobody")
		}
		if _, err := w.engine.Answer(t.Context(), list[0].ID, true, "@sre-lead", "go", may); err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine.Answer(t.Context(), list[0].ID, false, "@sre-lead", "stop", may); err == nil {
			t.Error("answered twice")
		}
		w.after(20 * time.Second)
		expect(t, "effects once it is approved", w.target.log(), "b")
		w.die()
		w.start()
		w.after(time.Minute)
		expect(t, "effects after a restart: it did not help, and is taken back", w.target.log(), "b a")
		if a := w.state().Approvals[list[0].ID]; a == nil || a.State != signalbox.Used || a.Action == "" {
			t.Errorf("the approval is not used up: %+v", a)
		}
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.restorePolicy()
		w.audit(nil)
	})
}

// A denial holds, is said, and demotes the policy until it is restored.
func TestDenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.Autonomy = "approve"
		w := newWorld(t, pol)
		w.start()
		w.after(20 * time.Second)
		w.make(readsLag, "db/eu", 5)
		w.after(30 * time.Second)
		list, _ := w.engine.Approvals(t.Context())
		may := func(*signalbox.Approval, string) error { return nil }
		if _, err := w.engine.Answer(t.Context(), list[0].ID, false, "@sre-lead", "not now", may); err != nil {
			t.Fatal(err)
		}
		w.after(time.Hour)
		expect(t, "effects", w.target.log(), "")
		ps := w.state().Policies["failover"]
		if ps.Demoted == nil || ps.Demoted.To != "suggest" || ps.Record.Denied != 1 {
			t.Errorf("got %+v", ps)
		}
		expect(t, "the page of the demotion", string(w.pager.lastOf("signalbox-demoted-", true).event), "trigger")
		w.restorePolicy()
		w.after(time.Minute)
		expect(t, "the page of the demotion, after it", string(w.pager.lastOf("signalbox-demoted-", true).event), "resolve")
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.audit(nil)
	})
}
