package engine_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/policy"
)

// unreadable is a store of which some keys can't be read while get says so.
type unreadable struct {
	store.Store
	get atomic.Pointer[func(ctx context.Context, key string) (store.KV, bool, error)]
}

func (u *unreadable) Get(ctx context.Context, key string) (store.KV, bool, error) {
	if get := u.get.Load(); get != nil {
		return (*get)(ctx, key)
	}
	return u.Store.Get(ctx, key)
}

// fails has the keys that begin so answered by answer, and the others by the store.
func (u *unreadable) fails(prefix string, answer func(ctx context.Context) (store.KV, bool, error)) {
	get := func(ctx context.Context, key string) (store.KV, bool, error) {
		if strings.HasPrefix(key, prefix) {
			return answer(ctx)
		}
		return u.Store.Get(ctx, key)
	}
	u.get.Store(&get)
}

// reasons are those of the actions, in any order.
func (w *world) reasons() (all []string) {
	for _, a := range w.state().Actions {
		all = append(all, a.Reason)
	}
	return all
}

// What can't be read at the last check before a write counts as a refusal: nothing
// is sent. Once it can be read, the next attempt is.
func TestGateRefusesWhatItCannotRead(t *testing.T) {
	away := func(context.Context) (store.KV, bool, error) { return store.KV{}, false, store.ErrUnavailable }
	for name, c := range map[string]struct {
		prefix string
		answer func(ctx context.Context) (store.KV, bool, error)
		want   string
	}{
		"the store does not answer": {signalbox.ControlsKey, away, "the controls can't be read"},
		"the store hangs": {signalbox.ControlsKey, func(ctx context.Context) (store.KV, bool, error) {
			<-ctx.Done()
			return store.KV{}, false, ctx.Err()
		}, "the controls can't be read"},
		"a record of a later version": {signalbox.ControlsKey, func(context.Context) (store.KV, bool, error) {
			return store.KV{Key: signalbox.ControlsKey, Value: []byte(`{"v":99}`)}, true, nil
		}, "the controls can't be read"},
		"the page can't be read": {signalbox.IncidentPrefix, away, "whether its page is acknowledged can't be read"},
		"the incident is not there": {signalbox.IncidentPrefix, func(context.Context) (store.KV, bool, error) {
			return store.KV{}, false, nil
		}, "is not on record"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := guarded(t, func(c *policy.Config) { c.AcknowledgeTakes = true }, flipPolicy())
				p := newPoints(w, signalbox.ClassA)
				u := &unreadable{}
				w.options = func(o *engine.Options) {
					u.Store, o.Store = o.Store, u
					j, err := journal.Open(t.Context(), u, journal.Options{Now: time.Now, Log: o.Log, Dir: w.archive})
					if err != nil {
						t.Fatal(err)
					}
					o.Journal = j
				}
				w.start()
				w.after(20 * time.Second)
				u.fails(c.prefix, c.answer)
				w.make(readsLag, "db/eu", 5)
				w.until(func() bool { return len(w.status().Incidents) == 1 && w.stages() == "failed:1" })
				u.get.Store(nil)
				expect(t, "requests while it can't be read", p.requests(), "")
				if got := w.reasons(); len(got) != 1 || !strings.Contains(got[0], c.want) {
					t.Errorf("reasons: got %q, want %q", got, c.want)
				}
				w.after(20 * time.Second)
				expect(t, "requests once it can be read", p.requests(), "b")
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				w.audit(p)
			})
		})
	}
}

// Who takes it between the decision and the write has it, whatever its scope, until
// it is released or its time is over.
func TestTakeBetweenClaimAndSend(t *testing.T) {
	for name, c := range map[string]struct {
		scope string        // "": of the incident
		until time.Duration // from then; 0: without an end
		sent  bool
	}{
		"the incident":                        {"", 0, false},
		"its policy":                          {"policy/failover", 0, false},
		"its owner's incidents":               {"owner/backend", 0, false},
		"its target":                          {"target/" + string(theTarget), 0, false},
		"all":                                 {"all", 0, false},
		"another's incidents":                 {"owner/devops", 0, true},
		"the incident, for a while":           {"", 3 * time.Second, false},
		"the incident, for less than it took": {"", time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := lab(t, signalbox.ClassA)
				take := signalbox.Control{Kind: signalbox.Take, Scope: c.scope, Who: "@be-lead", Reason: "mine"}
				p.with(func() {
					p.atDoor = func() {
						p.with(func() { p.atDoor = nil })
						if c.scope == "" {
							take.Scope = "incident/" + ids(w.status())
						}
						if c.until > 0 {
							take.Until = time.Now().Add(c.until)
						}
						if err := w.engine.Control(context.WithoutCancel(t.Context()), take); err != nil {
							t.Error(err)
						}
						time.Sleep(2 * time.Second) //nolint:forbidigo // bubble time
					}
				})
				w.make(readsLag, "db/eu", 5)
				w.until(func() bool { return w.stages() == "failed:1" || w.stages() == "done:1" })
				if c.sent {
					expect(t, "requests", p.requests(), "b")
					w.make(readsLag, "db/eu", 0)
					w.after(10 * time.Minute)
					w.audit(p)
					return
				}
				expect(t, "requests", p.requests(), "")
				if got, want := w.reasons(), "taken ("+take.Scope+") by @be-lead"; len(got) != 1 || !strings.Contains(got[0], want) {
					t.Errorf("reasons: got %q, want %q", got, want)
				}
				if c.until == 0 {
					w.after(5 * time.Minute)
					expect(t, "requests while it is taken", p.requests(), "")
					release := signalbox.Control{Kind: signalbox.Release, Scope: take.Scope, Who: "@be-lead", Reason: "done"}
					if err := w.engine.Control(t.Context(), release); err != nil {
						t.Fatal(err)
					}
				}
				w.after(20 * time.Second)
				expect(t, "requests once it is given back", p.requests(), "b")
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				w.audit(p)
			})
		})
	}
}
