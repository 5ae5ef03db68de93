package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// Who restores a policy has all its incidents looked at again, also where they
// are more than one transaction takes.
func TestRestoreReachesEveryIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pol := flipPolicy()
		pol.Autonomy = "approve"
		w := newWorld(t, pol)
		w.makeMany(readsLag, 150, 0)
		w.start()
		w.after(20 * time.Second)
		w.makeMany(readsLag, 150, 5)
		w.after(time.Minute)
		list, err := w.engine.Approvals(t.Context())
		if err != nil || len(list) == 0 {
			t.Fatalf("nothing to deny: %v", err)
		}
		may := func(*signalbox.Approval, string) error { return nil }
		if _, err := w.engine.Answer(t.Context(), list[0].ID, false, "@sre-lead", "not now", may); err != nil {
			t.Fatal(err)
		}
		w.after(time.Minute)
		w.restorePolicy()
		reached := 0
		for _, inc := range w.state().Incidents {
			if inc.Trigger == "test" {
				reached++
			}
		}
		if want := 150; reached != want {
			t.Errorf("restored: got %d incidents, want %d", reached, want)
		}
		w.halt()
	})
}

// An acknowledgement that takes the incident stops an action at the last check
// before it is sent, where it comes after the decision.
func TestAcknowledgementTakesAtTheLastCheck(t *testing.T) {
	for _, takes := range []bool{false, true} {
		t.Run(fmt.Sprint(takes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := guarded(t, func(c *policy.Config) { c.AcknowledgeTakes = takes }, flipPolicy())
				p := newPoints(w, signalbox.ClassC)
				w.start()
				w.after(20 * time.Second)
				say := func(kind signalbox.ControlKind) {
					if err := w.engine.Control(t.Context(), signalbox.Control{Kind: kind, Scope: "all", Reason: "looking", Who: "@be-lead"}); err != nil {
						t.Fatal(err)
					}
				}
				say(signalbox.Pause) // so that there is a page
				w.make(readsLag, "db/eu", 5)
				w.after(time.Minute)
				p.with(func() {
					p.atDoor = func() {
						for _, inc := range w.status().Incidents {
							c := signalbox.Control{Kind: signalbox.Acknowledge, Scope: "page/" + inc.Page, Who: "the primary", At: time.Now()}
							if err := w.engine.Receive(t.Context(), signalbox.Batch{Source: "pagerduty", At: time.Now(), Words: []signalbox.Control{c}}); err != nil {
								t.Error(err)
							}
						}
						time.Sleep(time.Second) //nolint:forbidigo // bubble time
					}
				})
				say(signalbox.Resume)
				w.after(10 * time.Second)
				want := "b"
				if takes {
					want = ""
				}
				w.halt()
				if got := p.requests(); !strings.HasPrefix(got, want) || (got == "") != takes {
					t.Errorf("requests: got %q, want %q", got, want)
				}
			})
		})
	}
}
