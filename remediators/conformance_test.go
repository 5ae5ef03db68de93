package remediators_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/remediators"
)

// The suite holds every kind of remediator to the same promises, on a real
// server where one runs here, else on a stand-in that is held to the vendor's
// contract. Whatever becomes of a write or its answer, one action has at most
// one effect, what is said to have had none has none, and a doubt is settled by
// what is there; nothing that was not previewed is changed; no secret is told.
//
//	conformance_test.go           the table, and the tests
//	conformance_door_test.go      what goes wrong between us and a target
//	conformance_bench_test.go     one target for one check, as the daemon reaches it
//	conformance_checks_test.go    the promises
//	conformance_onwards_test.go   the promises of what goes on after its start, and of what only looks
//	conformance_pagers_test.go    the promises of kinds that reach people
//	conformance_careless_test.go  a kind that breaks them all, which the suite must catch
//	conformance_*_test.go         the targets
//
// A new kind is an entry for each of its backends, tools or channels.

// entry is one kind by one of its keys: a backend of a switch, a tool, an
// owner's or a channel's.
type entry struct {
	kind, key string
	move      string // `to` of the step
	name      string // what tells it from others of its key
	class     signalbox.Class
	build     func(b *bench)
	// without are promises that it does not make, each with the reason.
	without map[string]string
	needs   string // a real server, which -short leaves out
	// unheld: its stand-in does without the vendor's contract, which takes long to
	// read. What is sent is the same as in the checks that are held to it.
	unheld bool
	// apart: Start puts it on record once for an id, begins it, and does not wait
	// for it: that it was begun is no answer.
	apart bool
	// still: it writes nothing, and is only looked at.
	still bool
}

func (e entry) String() string {
	text := e.kind + " " + e.key
	for _, more := range []string{e.move, e.name} {
		if more != "" {
			text += " " + more
		}
	}
	return text
}

// entries are the table.
func entries() []entry {
	return slices.Concat(
		webhookEntries(), cdnEntries(), announceEntries(), statuspageEntries(), terraformEntries(), pipelineEntries(), settingEntries(),
		rolloutEntries(), argoRolloutEntries(), jobEntries(), credentialsEntries(), argocdEntries(), commandEntries(), pageEntries(), channelEntries(),
	)
}

// keys are what a kind can be configured by.
func keys(k kind.Remediator) []string {
	return slices.Concat(slices.Collect(maps.Keys(k.Backends)), slices.Collect(maps.Keys(k.Tools)), slices.Collect(maps.Keys(k.Owner)), slices.Collect(maps.Keys(k.Channel)))
}

// No kind escapes, and no way to configure one.
func TestEachKindIsHeldToIt(t *testing.T) {
	held := map[string]bool{}
	for _, e := range entries() {
		held[e.kind+" "+e.key] = true
	}
	for _, k := range remediators.Kinds() {
		for _, key := range keys(k) {
			name := k.Name + " " + key
			if !held[name] {
				t.Errorf("%s is in the table of kinds, and has no entry in the suite", name)
			}
			delete(held, name)
		}
	}
	for name := range held {
		t.Errorf("%s is in the suite, and not in the table of kinds", name)
	}
}

// TestConformance holds each entry to each promise.
func TestConformance(t *testing.T) {
	h := &house{t: t, kinds: remediators.Kinds()}
	for _, e := range entries() {
		t.Run(e.String(), func(t *testing.T) {
			if e.needs != "" && testing.Short() {
				t.Skipf("SKIPPED with -short: it needs %s", e.needs)
			}
			for _, p := range promises(e) {
				switch {
				case e.without[p.name] != "":
					t.Logf("not held to %s: %s", p.name, e.without[p.name])
				case !p.pagers || h.reaches(e.kind):
					t.Run(p.name, func(t *testing.T) { p.test(t, h, e) })
				}
			}
		})
	}
}

// promise is one that kinds make.
type promise struct {
	name   string
	test   func(t *testing.T, h *house, e entry)
	pagers bool // it is made only by kinds that reach people
}

// reaches reports whether a kind reaches people.
func (h *house) reaches(name string) bool {
	return slices.ContainsFunc(h.kinds, func(k kind.Remediator) bool { return k.Name == name && (k.Owner != nil || k.Channel != nil) })
}

// promises are what is checked, by names that entry.without can have.
func promises(e entry) []promise {
	one := func(name string, check func(b *bench)) promise {
		return promise{name: name, test: func(t *testing.T, h *house, e entry) { report(t, h.check(t, e, check)) }}
	}
	reads := promise{name: "reads", test: func(t *testing.T, h *house, e entry) {
		e.unheld = true
		for _, f := range []fault{{name: "503", code: 503}, {name: "broken body", code: 200, cut: true}, dropped} {
			t.Run(f.name, func(t *testing.T) { report(t, h.check(t, e, checkReads(f))) })
		}
	}}
	if e.still {
		return []promise{one("still", checkStill), one("preview", checkPreview), reads}
	}
	return []promise{
		one("well", checkWell),
		one("twice", checkTwice),
		one("preview", checkPreview),
		one("gate", checkGate),
		one("undo", checkUndo),
		one("positions", checkStrange),
		reads,
		{name: "faults", test: func(t *testing.T, h *house, e entry) {
			e.unheld = true
			writes, can := h.writesOf(t, e)
			for n := range writes {
				for _, f := range faults() {
					if can(f) {
						t.Run(fmt.Sprintf("write %d, %s", n+1, f.name), func(t *testing.T) { report(t, h.check(t, e, checkFault(n+1, f))) })
					}
				}
			}
		}},
		{name: "late", test: func(t *testing.T, h *house, e entry) {
			e.unheld = true
			writes, _ := h.writesOf(t, e)
			for n := range writes {
				t.Run(fmt.Sprint("write ", n+1), func(t *testing.T) { report(t, h.check(t, e, checkLate(n+1, writes))) })
			}
		}},
		{name: "onwards", test: func(t *testing.T, h *house, e entry) {
			e.unheld = true
			first, _ := h.writesOf(t, e)
			for n := first + 1; n <= h.allWritesOf(t, e); n++ {
				for _, f := range []fault{{name: "503", code: 503}, {name: "409", code: 409}, dropped, lost} {
					t.Run(fmt.Sprintf("write %d, %s", n, f.name), func(t *testing.T) { report(t, h.check(t, e, checkOnwards(n, f))) })
				}
				t.Run(fmt.Sprintf("write %d, late", n), func(t *testing.T) { report(t, h.check(t, e, checkOnwardsLate(n))) })
			}
		}},
		{name: "pages", pagers: true, test: func(t *testing.T, h *house, e entry) {
			report(t, h.check(t, e, checkNoStep))
			var can func(fault) bool
			report(t, h.check(t, e, func(b *bench) { can = b.door.can; checkPage(nil)(b) }))
			e.unheld = true
			for _, f := range faults() {
				if can(f) {
					t.Run(f.name, func(t *testing.T) { report(t, h.check(t, e, checkPage(&f))) })
				}
			}
		}},
	}
}

// writesOf counts the writes that a whole Start sends, and tells what can go
// wrong with one.
func (h *house) writesOf(t *testing.T, e entry) (n int, can func(fault) bool) {
	t.Helper()
	report(t, h.check(t, e, func(b *bench) {
		a := b.theAction()
		if err := b.start(b.process(), b.t.Context(), &a); err != nil {
			b.fail("start: %v", err)
		}
		_ = b.effects() // what is begun apart has come by then
		n, can = b.writes(), b.door.can
	}))
	return n, can
}

// allWritesOf counts the writes of an action that comes to its end.
func (h *house) allWritesOf(t *testing.T, e entry) (n int) {
	t.Helper()
	report(t, h.check(t, e, func(b *bench) {
		a := b.theAction()
		if err := b.start(b.process(), b.t.Context(), &a); err != nil {
			b.fail("start: %v", err)
			return
		}
		b.finish(a)
		n = b.writes()
	}))
	return n
}

// report tells what is wrong.
func report(t *testing.T, wrong []string) {
	t.Helper()
	for _, w := range wrong {
		t.Error(w)
	}
}
