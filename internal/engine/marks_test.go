package engine_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
	"github.com/signalbox/signalbox/policy"
)

// spentFor is for how long a restored store counts the budget of a marked world
// as spent.
const spentFor = time.Hour

// marked is a world whose daemon keeps marks.
func marked(t *testing.T) (*world, *points) {
	t.Helper()
	pol := flipPolicy()
	pol.Budget = []policy.Rate{{N: 10, Per: spentFor}}
	w := newWorld(t, pol)
	w.marks = t.TempDir()
	p := newPoints(w, signalbox.ClassA)
	w.start()
	w.after(20 * time.Second)
	return w, p
}

// copied is a restored copy of the store as it is now: a store of its own, whose
// revisions begin after bump of them.
func (w *world) copied(bump int) *mem.Store {
	w.t.Helper()
	kvs, _, err := w.store.List(w.t.Context(), "")
	if err != nil {
		w.t.Fatal(err)
	}
	out := mem.New()
	commit := func(puts ...store.Put) {
		if _, err := out.Commit(w.t.Context(), store.Txn{Puts: puts}); err != nil {
			w.t.Fatal(err)
		}
	}
	for range bump {
		commit(store.Put{Key: "bump", Value: []byte("x")})
	}
	for _, kv := range kvs {
		if !strings.HasPrefix(kv.Key, store.LeadPrefix) {
			commit(store.Put{Key: kv.Key, Value: kv.Value})
		}
	}
	return out
}

// storeMarks are those that the file holds.
func (w *world) storeMarks() marks.Marks {
	w.t.Helper()
	m, err := marks.In(w.marks).Read()
	if err != nil || m == nil {
		w.t.Fatalf("marks: %+v, %v", m, err)
	}
	return *m
}

// flips lets the breach come and go, with its flip and flip back.
func (w *world) flips() {
	w.t.Helper()
	w.make(readsLag, "db/eu", 5)
	w.after(30 * time.Second)
	w.make(readsLag, "db/eu", 0)
	w.after(10 * time.Minute)
}

// frozen expects that nothing is thrown for a breach, which is paged all the
// same, and that the default owner was told why.
func (w *world) frozen(p *points, why string) {
	w.t.Helper()
	w.after(20 * time.Second)
	before := p.log()
	w.make(readsLag, "db/eu", 5)
	w.after(2 * time.Minute)
	expect(w.t, "effects while it is frozen", p.log(), before)
	kill, incident := w.pager.lastOf("signalbox-kill", true), w.pager.lastOf("signalbox-kill", false)
	if kill.event != signalbox.PageTrigger || !strings.Contains(kill.body.Summary, why) {
		w.t.Errorf("the default owner's page: got %+v, want a trigger with %q", kill, why)
	}
	if incident.event != signalbox.PageTrigger || !strings.Contains(fmt.Sprint(incident.body), "db/eu") {
		w.t.Errorf("the breach is not paged while it is frozen: %+v", incident)
	}
	if f := w.status().Store.Frozen; f == nil || !strings.Contains(f.Why, why) {
		w.t.Errorf("status: got %+v, want frozen with %q", f, why)
	}
}

// confirm is a person's word; wrong is what it must be refused with.
func (w *world) confirm(reason, wrong string) {
	w.t.Helper()
	err := w.engine.Control(w.t.Context(), signalbox.Control{Kind: signalbox.Confirm, Scope: "all", Who: "lead", Reason: reason})
	if got := fmt.Sprint(err); wrong != "" && !strings.Contains(got, wrong) || wrong == "" && err != nil {
		w.t.Errorf("confirm: got %v, want an error with %q", err, wrong)
	}
	w.after(2 * time.Second)
}

// A store that was restored from an older copy is noticed by the marks outside
// of it: nothing is thrown, restarts included, until a person confirms it. Then
// what was spent counts as spent, and the tokens at the target go on above all
// that it has seen, though the store's revisions went back.
func TestOlderStoreIsFrozenUntilConfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := marked(t)
		old := w.copied(0)
		w.flips()
		expect(t, "effects", p.log(), "b a")
		w.confirm("all is well", "nothing to confirm")
		w.halt()
		fence, newest := p.fence, w.storeMarks()
		w.store = old
		w.start()
		w.frozen(p, "the store is older than its marks")
		w.halt()
		w.start()
		w.frozen(p, "the store is older than its marks") // a restart confirms nothing
		if got := w.storeMarks(); got != newest {
			t.Errorf("the marks moved to %+v while it was frozen", got)
		}
		w.make(readsLag, "db/eu", 0)
		w.after(10 * time.Minute)
		w.confirm(" ", "needs a reason")
		w.confirm("compared with the target", "")
		expect(t, "the default owner's page", string(w.pager.lastOf("signalbox-kill", true).event), string(signalbox.PageResolve))
		if got := w.storeMarks(); got.Epoch != 1 || got.Store != newest.Store {
			t.Errorf("marks after the confirmation: %+v", got)
		}
		w.make(readsLag, "db/eu", 5)
		w.after(2 * time.Minute)
		expect(t, "effects while the budget counts as spent", p.log(), "b a")
		w.make(readsLag, "db/eu", 0)
		w.after(spentFor)
		w.flips()
		expect(t, "effects after its window", p.log(), "b a b a")
		if p.fence <= fence {
			t.Errorf("the target's token went from %d to %d", fence, p.fence)
		}
		w.wasConfirmed()
		w.audit(p)
	})
}

// A member of a cluster that was restored by hand is not relied on, whatever its
// marks agree with, until a person confirms it after that: also where there are
// no marks, and after an earlier confirmation.
func TestRestoredByHandIsFrozenUntilConfirmed(t *testing.T) {
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprintf("marks kept %t", kept), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := marked(t)
				for i := range 2 {
					w.halt()
					if !kept {
						w.marks = t.TempDir()
					}
					if err := marks.In(w.marks).MarkRestored(time.Now()); err != nil {
						t.Fatal(err)
					}
					w.start()
					w.frozen(p, "the store was restored by hand at ")
					w.make(readsLag, "db/eu", 0)
					w.after(10 * time.Minute)
					w.confirm("compared with the target", "")
					w.halt()
					if m := w.storeMarks(); !m.Restored.IsZero() || m.Epoch != int64(i)+1 {
						t.Errorf("marks after the confirmation: %+v", m)
					}
					w.start() // which does not ask again
					w.after(spentFor)
					w.flips()
					expect(t, "effects after the confirmation", p.log(), strings.TrimSpace(strings.Repeat("b a ", i+1)))
				}
				w.audit(p)
			})
		})
	}
}

// wasConfirmed looks for the confirmation in the journal, with who and why.
func (w *world) wasConfirmed() {
	w.t.Helper()
	kinds := map[journal.Kind]int{}
	named := false
	for _, e := range w.entries() {
		kinds[e.Kind]++
		named = named || e.Kind == journal.ControlSet && e.Who == "lead" && strings.Contains(string(e.Data), "compared with the target")
	}
	if kinds[journal.StoreFrozen] != 1 || !named {
		w.t.Errorf("the journal has %d entries of a frozen store, and the confirmation: %t", kinds[journal.StoreFrozen], named)
	}
}

// A restored copy that goes on by itself, past the number of the marks' entry,
// is still another journal.
func TestOlderStoreThatGrewIsStillFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := marked(t)
		old := w.copied(1000)
		w.flips()
		w.halt()
		w.store = old
		m := w.marks
		w.marks = ""
		w.start() // a version without marks
		w.flips()
		w.flips()
		w.halt()
		w.marks = m
		w.start()
		w.frozen(p, "it goes on from an older copy")
		w.audit(p)
	})
}

// A store that has all that the marks know of, or more, is relied on at once.
func TestNewerOrEqualStoreIsNotFrozen(t *testing.T) {
	for name, more := range map[string]bool{"equal": false, "newer": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := marked(t)
				behind, err := os.ReadFile(filepath.Join(w.marks, marks.Name))
				if err != nil {
					t.Fatal(err)
				}
				w.flips()
				w.halt()
				w.store = w.copied(5000)
				if more {
					if err := os.WriteFile(filepath.Join(w.marks, marks.Name), behind, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				w.start()
				w.after(20 * time.Second)
				w.flips()
				expect(t, "effects", p.log(), "b a b a")
				if f := w.status().Store.Frozen; f != nil {
					t.Errorf("frozen: %s", f.Why)
				}
				w.audit(p)
			})
		})
	}
}

// What else does not agree: another store, an empty one, marks that are gone or
// can't be read, revisions that went back, and an archive that is ahead.
func TestWhatFreezes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		why    string
	}{
		"an empty store":         {func(w *world) { w.store = mem.New() }, "it was never led"},
		"another's store":        {func(w *world) { w.otherMarks(func(m *marks.Marks) { m.Store = "ANOTHER" }) }, "the store is another's"},
		"a copy of before":       {func(w *world) { w.otherMarks(func(m *marks.Marks) { m.Epoch = 2 }) }, "it was confirmed 0 times"},
		"the marks are gone":     {func(w *world) { w.marks = w.t.TempDir() }, "there are no marks beside it"},
		"the marks are no marks": {func(w *world) { w.writeMarks([]byte("{}")) }, "its marks can't be read"},
		"revisions went back":    {func(w *world) { w.store = w.copied(0) }, "was last written at revision"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, p := marked(t)
				w.flips()
				w.halt()
				c.change(w)
				w.start()
				w.frozen(p, c.why)
				w.make(readsLag, "db/eu", 0)
				w.after(10 * time.Minute)
				w.confirm("compared", "")
				w.halt()
				w.start() // and stays confirmed
				w.after(spentFor)
				w.flips()
				expect(t, "effects after the confirmation", p.log(), "b a b a")
				w.audit(p)
			})
		})
	}
}

func (w *world) writeMarks(b []byte) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.marks, marks.Name), b, 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// otherMarks are the marks with a change.
func (w *world) otherMarks(change func(m *marks.Marks)) {
	w.t.Helper()
	m := w.storeMarks()
	change(&m)
	w.marks = w.t.TempDir()
	if err := marks.In(w.marks).Advance(m); err != nil {
		w.t.Fatal(err)
	}
}

// The marks are never ahead of the store, and know of an intent before its
// effect is there; otherwise at most a second behind.
func TestMarksFollowTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := marked(t)
		n := 0
		w.oracle = func(a *signalbox.Action) (wrong []string) {
			n++
			if m := w.storeMarks(); m.Revision < a.Token.Revision() {
				wrong = append(wrong, fmt.Sprintf("action %s of token %d is sent, and the marks are at revision %d", a.ID, a.Token, m.Revision))
			}
			return wrong
		}
		w.make(readsLag, "db/eu", 5)
		for range 300 {
			w.after(100 * time.Millisecond)
			m := w.storeMarks()
			if why, err := w.reader().Lacks(t.Context(), journal.Mark{Seq: m.Seq, Hash: m.Hash, Revision: store.Revision(m.Revision)}); err != nil || why != "" {
				t.Fatalf("the marks are ahead of the store: %s, %v", why, err)
			}
		}
		w.after(time.Second)
		if head, err := w.reader().Head(t.Context()); err != nil || w.storeMarks().Seq != head {
			t.Errorf("the marks are at entry %d, and the store at %d, %v", w.storeMarks().Seq, head, err)
		}
		if n != 1 {
			t.Errorf("%d requests, want 1", n)
		}
		w.audit(p)
	})
}

// Where the marks can't be written nothing is sent, and a page goes out.
func TestNothingIsSentWithoutMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := marked(t)
		path := filepath.Join(w.marks, marks.Name)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
			t.Fatal(err)
		}
		w.make(readsLag, "db/eu", 5)
		w.after(2 * time.Minute)
		expect(t, "requests", p.requests(), "")
		if e := w.pager.last(); e.event != signalbox.PageTrigger {
			t.Errorf("the last page: %+v", e)
		}
		w.audit(p)
	})
}

// What was in flight in an older copy is not sealed while the store is frozen:
// its target may be far ahead.
func TestFrozenStoreSealsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := marked(t)
		p.with(func() { p.lag = time.Minute })
		w.make(readsLag, "db/eu", 5)
		w.after(8 * time.Second)
		expect(t, "stages", w.stages(), "claimed:1")
		old := w.copied(5000)
		w.after(15 * time.Minute)
		w.make(readsLag, "db/eu", 0)
		w.after(15 * time.Minute)
		w.halt()
		fence := p.fence
		w.store = old
		w.start()
		w.after(5 * time.Minute)
		if p.fence != fence {
			t.Errorf("a frozen store sealed its target: the token went from %d to %d", fence, p.fence)
		}
		w.confirm("compared", "")
		w.after(5 * time.Minute)
		if got := w.stages(); strings.Contains(got, "doubt") || strings.Contains(got, "claimed") {
			t.Errorf("after the confirmation it is not settled: %s", got)
		}
		w.audit(p)
	})
}
