package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// Each control is on record once, with who, why, its scope and its end; one that is
// refused is not. So are the answers to requests.
func TestEachControlIsOnRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.Autonomy, pol.VerifyWithin = "approve", 30*time.Minute
		w := newWorld(t, pol)
		w.start()
		w.after(20 * time.Second)
		say := func(kind signalbox.ControlKind, scope string, during time.Duration) {
			t.Helper()
			c := signalbox.Control{Kind: kind, Scope: scope, Who: "@be-lead", Reason: "for " + string(kind)}
			if during > 0 {
				c.Until = time.Now().Add(during).UTC()
			}
			n := len(w.of(journal.ControlSet))
			if err := w.engine.Control(t.Context(), c); err != nil {
				t.Fatalf("%s %s: %v", kind, scope, err)
			}
			list := w.of(journal.ControlSet)
			if len(list) != n+1 {
				t.Fatalf("%s %s: %d entries, want 1", kind, scope, len(list)-n)
			}
			e := list[n]
			got := said[signalbox.Control](t, e)
			if !got.At.Equal(time.Now()) || !got.Until.Equal(c.Until) {
				t.Errorf("%s %s: at %s until %s, want until %s", kind, scope, got.At, got.Until, c.Until)
			}
			got.At, got.Until, c.Until = time.Time{}, time.Time{}, time.Time{}
			if got != c || e.Who != c.Who {
				t.Errorf("on record: %+v by %q, want %+v", got, e.Who, c)
			}
		}
		say(signalbox.Pause, "owner/backend", time.Hour)
		say(signalbox.Resume, "owner/backend", 0)
		say(signalbox.Kill, "all", 0)
		say(signalbox.Resume, "all", 0)
		w.make(readsLag, "db/eu", 5)
		w.after(30 * time.Second)
		incident := "incident/" + ids(w.status())
		say(signalbox.Take, incident, time.Hour)
		say(signalbox.Release, incident, 0)
		say(signalbox.Take, "policy/failover", 0)
		say(signalbox.Release, "policy/failover", 0)
		w.after(30 * time.Second)
		answered := func(approve bool, reason string) {
			t.Helper()
			a, may := w.asked(), func(*signalbox.Approval, string) error { return nil }
			if _, err := w.engine.Answer(t.Context(), a.ID, approve, "@sre-lead", reason, may); err != nil {
				t.Fatal(err)
			}
			list := w.of(journal.ApprovalGiven)
			e := list[len(list)-1]
			got, want := said[signalbox.Approval](t, e), map[bool]signalbox.ApprovalState{true: signalbox.Approved, false: signalbox.Denied}[approve]
			if e.Who != "@sre-lead" || e.Incident != a.Incident || got.ID != a.ID || got.Who != e.Who || got.State != want || got.Reason != reason || !got.Expires.Equal(a.Expires) {
				t.Errorf("on record: %+v by %q, want %s of %s", got, e.Who, want, a.ID)
			}
		}
		answered(true, "go")
		w.after(20 * time.Second)
		expect(t, "effects once it is approved", w.target.log(), "b")
		say(signalbox.Estimate, incident, time.Hour)
		say(signalbox.Acknowledge, incident, 0)
		say(signalbox.TakeBack, incident, 0)
		w.after(20 * time.Second)
		expect(t, "effects once it is taken back", w.target.log(), "b a")
		say(signalbox.Restore, "policy/failover", 0)
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.make(readsLag, "db/eu", 5)
		w.after(30 * time.Second)
		answered(false, "not now")
		n := len(w.of(journal.ControlSet))
		for _, c := range []signalbox.Control{{Kind: signalbox.Pause, Scope: "policy/none"}, {Kind: signalbox.Resume, Scope: "all"}, {Kind: "sleep", Scope: "all"}} {
			c.Who, c.Reason = "@be-lead", "none"
			if err := w.engine.Control(t.Context(), c); err == nil {
				t.Errorf("%s %s is not refused", c.Kind, c.Scope)
			}
		}
		if more := len(w.of(journal.ControlSet)) - n; more != 0 {
			t.Errorf("%d refused controls are on record", more)
		}
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.audit(nil)
	})
}

// Controls in force stay so over a reload, a restart and both, each until its end.
func TestControlsOutliveReloadsAndRestarts(t *testing.T) {
	for name, c := range map[string]struct {
		kind  signalbox.ControlKind
		scope string
		until time.Duration // 0: until it is lifted
		lift  signalbox.ControlKind
	}{
		"kill":                 {signalbox.Kill, "all", 0, signalbox.Resume},
		"pause of all":         {signalbox.Pause, "all", 0, signalbox.Resume},
		"pause of a policy":    {signalbox.Pause, "policy/failover", 0, signalbox.Resume},
		"pause of an owner":    {signalbox.Pause, "owner/backend", 0, signalbox.Resume},
		"pause of a target":    {signalbox.Pause, "target/" + string(theTarget), 0, signalbox.Resume},
		"pause for a time":     {signalbox.Pause, "all", time.Hour, ""},
		"a taken incident":     {signalbox.Take, "", 0, signalbox.Release},
		"a taken policy":       {signalbox.Take, "policy/failover", 0, signalbox.Release},
		"a taken target":       {signalbox.Take, "target/" + string(theTarget), 0, signalbox.Release},
		"an owner's, all":      {signalbox.Take, "owner/backend", 0, signalbox.Release},
		"a policy, for a time": {signalbox.Take, "policy/failover", time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, flipPolicy())
				w.start()
				w.after(20 * time.Second)
				say := func(kind signalbox.ControlKind, scope string, until time.Time) {
					t.Helper()
					if err := w.engine.Control(t.Context(), signalbox.Control{Kind: kind, Scope: scope, Who: "@be-lead", Reason: "a test", Until: until}); err != nil {
						t.Fatal(err)
					}
				}
				scope, end := c.scope, time.Time{}
				if c.until > 0 {
					end = time.Now().Add(c.until)
				}
				if scope == "" { // there is an incident only once it is ill
					say(signalbox.Pause, "all", time.Time{})
				} else {
					say(c.kind, scope, end)
				}
				w.make(readsLag, "db/eu", 5)
				w.after(time.Minute)
				if scope == "" {
					scope = "incident/" + ids(w.status())
					say(c.kind, scope, end)
					say(signalbox.Resume, "all", time.Time{})
				}
				reload := func(hash string) {
					w.configure(hash, flipPolicy())
					if err := w.engine.Swap(t.Context(), w.set); err != nil {
						t.Fatal(err)
					}
				}
				for _, then := range []func(){func() {}, func() { reload("two") }, w.again, func() { reload("three"); w.again() }} {
					then()
					w.after(time.Minute)
					expect(t, "effects while it is in force", w.target.log(), "")
				}
				if c.lift != "" {
					w.after(2 * time.Hour)
					expect(t, "effects as long as nobody lifts it", w.target.log(), "")
					say(c.lift, scope, time.Time{})
				} else {
					w.after(time.Until(end) - time.Second)
					expect(t, "effects right before its end", w.target.log(), "")
				}
				w.after(20 * time.Second)
				expect(t, "effects after it", w.target.log(), "b")
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				w.audit(nil)
			})
		})
	}
}
