package outward

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/journal"
)

// Every entry is told once, in order, byte for byte; another start tells only
// what is new.
func TestEachEntryIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "")
		l.write(1234)
		stop := l.start(l.audit(10_000))
		pass(every)
		l.mustHave(1, 1234)
		l.write(3)
		pass(2 * every)
		l.mustHave(1, 1237)
		stop()
		if !l.sink.closed.Load() || l.marked() != 1237 {
			t.Errorf("closed %t, marked %d", l.sink.closed.Load(), l.marked())
		}
		l.write(2)
		stop = l.start(l.audit(10_000))
		pass(every)
		stop()
		l.mustHave(1, 1239)
		mustChain(t, texts(l.sink.lines))
		if got := testutil.ToFloat64(l.metrics.pushed); got != 1239 {
			t.Errorf("pushed %v", got)
		}
		if q, s := testutil.ToFloat64(l.metrics.queue), testutil.ToFloat64(l.metrics.sequence); q != 0 || s != 1239 {
			t.Errorf("queue %v, sequence %v", q, s)
		}
	})
}

// A sink that hangs stalls nobody: the journal is written meanwhile, what waits
// is bounded, each dropped entry is counted, and the stop does not wait.
func TestSinkThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "")
		hang := func(ctx context.Context, _ []Line) error {
			select {
			case <-time.After(15 * time.Second):
				return errors.New("no answer")
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		l.sink.set(func() { l.sink.push = hang })
		l.write(5)
		stop := l.start(l.audit(100))
		pass(every)
		began := time.Now()
		l.write(1000)
		if took := time.Since(began); took != 0 {
			t.Errorf("writing waited %s for the sink", took)
		}
		pass(5 * time.Minute)
		if got := l.dropped(droppedOverflow); got != 905 {
			t.Errorf("dropped %d entries of 1005 with a queue of 100, want 905", got)
		}
		if q := testutil.ToFloat64(l.metrics.queue); q != 100 {
			t.Errorf("%v wait, want 100", q)
		}
		began = time.Now()
		stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("the stop took %s", took)
		}
		// Well again, the newest are told.
		l.sink.set(func() { l.sink.push = nil })
		stop = l.start(l.audit(100))
		pass(every)
		stop()
		l.mustHave(906, 1005)
		if got := l.dropped(droppedOverflow); got != 905 {
			t.Errorf("dropped %d, want 905 still", got)
		}
	})
}

// The pauses between failures double up to a minute.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "")
		l.sink.set(func() { l.sink.push = func(context.Context, []Line) error { return errFault } })
		l.write(1)
		stop := l.start(l.audit(100))
		pass(10 * time.Minute)
		stop()
		// At 0, 1, 3, 7, 15, 31 and 63 s, and then each minute.
		if l.sink.pushes != 15 || l.errors(stepPush) != 15 {
			t.Errorf("pushed %d times in 10 min, counted %d failures, want 15", l.sink.pushes, l.errors(stepPush))
		}
	})
}

// The process dies after the sink has acknowledged and before the mark is put:
// the next start asks, and repeats nothing.
func TestCrashBeforeTheMark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "")
		l.write(10)
		stop := l.start(l.audit(100))
		pass(every)
		l.marks.before.Store(1 << 40) // from here on nothing reaches the store
		l.write(5)
		pass(2 * every)
		l.mustHave(1, 15)
		stop()
		if l.marked() != 10 {
			t.Fatalf("marked %d, want 10: this test shows nothing", l.marked())
		}
		l.marks.before.Store(0)
		l.write(5)
		stop = l.start(l.audit(100))
		pass(every)
		stop()
		l.mustHave(1, 20)
	})
}

// Entries that are refused for what they are are dropped alone and counted, and
// the good ones of their batches are told once.
func TestRefusedEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "")
		l.write(300)
		l.sink.refuse = map[uint64]bool{1: true, 77: true, 78: true, 300: true}
		stop := l.start(l.audit(1000))
		pass(time.Minute)
		stop()
		got := l.sink.seqs()
		seen := map[uint64]int{}
		for _, seq := range got {
			seen[seq]++
		}
		for seq := uint64(1); seq <= 300; seq++ {
			if want := map[bool]int{false: 1, true: 0}[l.sink.refuse[seq]]; seen[seq] != want {
				t.Errorf("entry %d is there %d times, want %d", seq, seen[seq], want)
			}
		}
		if l.dropped(droppedRefused) != 4 || testutil.ToFloat64(l.metrics.pushed) != 296 || l.marked() != 300 {
			t.Errorf("dropped %d, pushed %v, marked %d", l.dropped(droppedRefused), testutil.ToFloat64(l.metrics.pushed), l.marked())
		}
	})
}

// A sink that may only be pushed to gets the entries all the same: at once when
// it says so, after three questions when it does not answer.
func TestSinkThatCannotBeAsked(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		asked int
	}{
		"forbidden": {&httpclient.Error{Status: http.StatusForbidden}, 1},
		"not there": {&httpclient.Error{Status: http.StatusNotFound}, 1},
		"too many":  {&httpclient.Error{Status: http.StatusTooManyRequests}, 3},
		"ill":       {&httpclient.Error{Status: http.StatusBadGateway}, 3},
		"silent":    {errFault, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, "")
				l.write(10)
				l.sink.ask = func() error { return c.err }
				stop := l.start(l.audit(100))
				pass(time.Minute)
				stop()
				l.mustHave(1, 10)
				if l.sink.asks != c.asked || l.errors(stepAsk) != c.asked {
					t.Errorf("asked %d times, counted %d, want %d", l.sink.asks, l.errors(stepAsk), c.asked)
				}
			})
		})
	}
}

// Only the leader tells. A second one that believes to lead too notices at the
// mark, and repeats nothing.
func TestOnlyTheLeaderTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "")
		l.leads.Store(false)
		l.write(10)
		stop := l.start(l.audit(100))
		pass(time.Minute)
		l.mustHave(1, 0)
		l.leads.Store(true)
		pass(2 * every)
		l.mustHave(1, 10)

		second := l.start(l.audit(100))
		for range 20 {
			l.write(7)
			pass(every)
		}
		synctest.Wait()
		stop()
		second()
		if seqs := l.sink.seqs(); len(seqs) < 150 || l.marked() != 150 {
			t.Fatalf("%d entries were told, marked %d, want 150", len(seqs), l.marked())
		}
		if l.errors(stepMark) == 0 {
			t.Error("two that lead met at no mark: this test shows nothing")
		}
	})
}

// What another replica has archived can't be told: it is counted, and the rest
// is told.
func TestArchivedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := t.TempDir(), t.TempDir()
		l := newLab(t, here)
		l.write(10)
		stop := l.start(l.audit(1000))
		pass(every)
		stop()
		l.write(50)
		if err := l.open(there).Archive(t.Context(), 20); err != nil {
			t.Fatal(err)
		}
		stop = l.start(l.audit(1000))
		pass(every)
		stop()
		if seqs := l.sink.seqs(); len(seqs) != 30 || seqs[10] != 41 || seqs[29] != 60 {
			t.Errorf("got %v, want 1 to 10 and 41 to 60", seqs)
		}
		if l.dropped(droppedArchived) != 30 {
			t.Errorf("dropped %d, want 30", l.dropped(droppedArchived))
		}
	})
}

// What this replica has archived is told from its files: the archive does not
// wait for the sink.
func TestArchivedHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, t.TempDir())
		l.write(60)
		if err := l.journal.Archive(t.Context(), 20); err != nil {
			t.Fatal(err)
		}
		stop := l.start(l.audit(1000))
		pass(every)
		stop()
		l.mustHave(1, 60)
		mustChain(t, texts(l.sink.lines))
	})
}

// An old journal that gets a sink owes it the newest entries only.
func TestFirstStartOnAnOldJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "")
		l.write(60)
		stop := l.start(l.audit(20))
		pass(every)
		stop()
		l.mustHave(41, 60)
		if l.dropped(droppedOverflow) != 0 {
			t.Errorf("dropped %d entries that were never owed", l.dropped(droppedOverflow))
		}
	})
}

// A mark that can't be read, or is of another version, holds the trail back and
// says so.
func TestMarkThatIsWrong(t *testing.T) {
	for _, value := range []string{"", "{", `{"v":2,"seq":1}`} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, "")
			l.write(2)
			if _, err := l.store.Commit(t.Context(), putMark(value)); err != nil {
				t.Fatal(err)
			}
			stop := l.start(l.audit(20))
			pass(every)
			stop()
			if len(l.sink.seqs()) != 0 || l.errors(stepRead) == 0 || !l.log.has(markKey) {
				t.Errorf("%q: told %v, log %s", value, l.sink.seqs(), l.log.String())
			}
		})
	}
}

// An entry that is too long for a line says what it is, and how to compare it.
func TestLongEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, "")
		l.write(1)
		rec := journal.Record{Kind: journal.Receipt, Incident: "0123456789abcdef", Action: "0123456789abcdef-1", Data: strings.Repeat("x", 300<<10)}
		if _, err := l.journal.Write(t.Context(), nil, nil, []journal.Record{rec}, nil); err != nil {
			t.Fatal(err)
		}
		l.write(1)
		stop := l.start(l.audit(20))
		pass(every)
		stop()
		l.mustHave(1, 3)
		line := l.sink.lines[1].Text
		if len(line) > 1000 || !strings.Contains(line, `"kind":"receipt"`) || !strings.Contains(line, `"action":"0123456789abcdef-1"`) || !strings.Contains(line, `"cut":3`) {
			t.Errorf("got %s", line)
		}
		for e, err := range l.journal.Read(t.Context(), 2, 2) {
			if err != nil || !strings.Contains(line, `"hash":"`+e.Hash()+`"`) {
				t.Errorf("the hash is not the entry's: %s, %v", line, err)
			}
		}
	})
}

// Whatever fails, and whenever the process dies: once all is well every entry
// is there exactly once, and in order.
func TestNoEntryTwiceWhateverFails(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		faults := rapid.SliceOfN(rapid.SampledFrom([]string{"write", "write", "push", "lost", "ask", "mark", "marked", "restart", "leave"}), 1, 40).Draw(rt, "faults")
		synctest.Test(t, func(*testing.T) { // fails by rt
			l := newLab(rt, "")
			once := func(err error) func() error {
				done := false
				return func() error {
					if done {
						return nil
					}
					done = true
					return err
				}
			}
			stop := l.start(l.audit(10_000))
			asks := 0 // with maxUnasked in a row it goes on without an answer
			for _, f := range faults {
				if f == "ask" {
					asks++
				}
				if f == "ask" && asks >= maxUnasked {
					continue
				}
				switch f {
				case "write":
					l.write(3)
				case "push":
					fail := once(errFault)
					l.sink.set(func() { l.sink.push = func(context.Context, []Line) error { return fail() } })
				case "lost":
					l.sink.set(func() { l.sink.lost = once(errFault) })
				case "ask":
					l.sink.set(func() { l.sink.ask = once(errFault) })
				case "mark":
					l.marks.before.Store(1)
				case "marked":
					l.marks.after.Store(1)
				case "restart":
					stop()
					stop = l.start(l.audit(10_000))
				case "leave":
					l.leads.Store(false)
					pass(every)
					l.leads.Store(true)
				}
				pass(every)
			}
			pass(5 * time.Minute)
			stop()
			l.mustHave(1, l.written)
			if l.written > 0 && l.marked() != uint64(l.written) {
				rt.Fatalf("marked %d, want %d", l.marked(), l.written)
			}
		})
	})
}

func ExampleRefused() {
	fmt.Println(&Refused{errors.New("HTTP 400")})
	// Output: refused: HTTP 400
}
