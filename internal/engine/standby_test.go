package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
)

// replica is another engine over the world's store.
type replica struct {
	*engine.Engine
	t    *testing.T
	line *line
	stop func() // in good order
}

// replica starts one with a configuration that is the world's but for its hash.
func (w *world) replica(name, hash string, with ...func(*journal.Options)) *replica {
	w.t.Helper()
	log := slog.New(slog.NewTextHandler(testWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelDebug})).With("replica", name)
	way := &line{Store: w.store}
	o := journal.Options{Now: time.Now, Log: log, Dir: w.t.TempDir()}
	for _, f := range with {
		f(&o)
	}
	j, err := journal.Open(w.t.Context(), way, o)
	if err != nil {
		w.t.Fatal(err)
	}
	e := engine.New(engine.Options{
		Store: way, Journal: j, Replica: name, Now: time.Now, KillFile: w.kill, Log: log, Registerer: prometheus.NewRegistry(), Timing: w.timing,
	}, w.hashed(hash))
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := e.Run(ctx); err != nil {
			w.t.Error(err)
		}
	}()
	return &replica{Engine: e, t: w.t, line: way, stop: func() { cancel(); <-ended; synctest.Wait() }}
}

// One that stands by deletes of its archive, from when it led, what is to be kept
// no longer.
func TestStandByPrunesItsArchive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		for range 3 {
			w.make(readsLag, "db/eu", 5)
			w.after(10 * time.Minute)
			w.make(readsLag, "db/eu", 0)
			w.after(10 * time.Minute)
		}
		dir := t.TempDir()
		led, err := journal.Open(t.Context(), w.store, journal.Options{Now: time.Now, Dir: dir, FileBytes: 1 << 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := led.Archive(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		files := func() int {
			all, err := filepath.Glob(filepath.Join(dir, "journal-*"))
			if err != nil {
				t.Fatal(err)
			}
			return len(all)
		}
		had := files()
		r := w.replica("other", "one", func(o *journal.Options) { o.Dir, o.KeepFor = dir, 2*time.Hour })
		defer r.stop()
		w.after(10 * time.Minute)
		if had < 3 || files() != had {
			t.Fatalf("%d of %d files, want many and all", files(), had)
		}
		w.after(3 * time.Hour)
		expect(t, "files left", fmt.Sprint(files()), "1")
		w.halt()
	})
}

// hashed is the world's set under another hash.
func (w *world) hashed(hash string) *engine.Set {
	set := *w.set
	set.Hash = hash
	return &set
}

func (r *replica) status() engine.Status {
	r.t.Helper()
	st, err := r.Status(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

func breach(detector, series string) signalbox.Reading {
	now := time.Now()
	return signalbox.Reading{
		Detector: detector, Series: series, Subject: series, Condition: signalbox.Breached, Episode: now.Format(time.RFC3339Nano), OnsetAt: now,
		At: now, SampleAt: now, Summary: series + " is ill", Owner: "backend",
	}
}

// One that stands by takes alerts in for the leader, tells what the leader
// wrote, refuses controls with its name, and pages nothing of its own, for as
// long as that lasts. It leads at once when the leader stops, and begins anew.
func TestStandBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(20 * time.Second)
		r := w.replica("other", "one")
		defer r.stop()
		w.after(5 * time.Second)
		if duty, _ := r.Duty(); !duty.StandsBy || duty.Beginning != 0 {
			t.Fatalf("its duty: got %+v, want to stand by", duty)
		}
		seen := breach(readsLag, "db/eu")
		seen.Episode = ""
		r.Observe(t.Context(), readsLag, seen.At, true, []signalbox.Reading{seen}, []signalbox.Reading{seen})
		alert := breach(alerts, "disk")
		if err := r.Receive(t.Context(), signalbox.Batch{Source: alerts, At: alert.At, Readings: []signalbox.Reading{alert}}); err != nil {
			t.Fatal(err)
		}
		w.after(3 * time.Minute)
		for who, st := range map[string]engine.Status{"the leader": w.status(), "the other": r.status()} {
			if len(st.Incidents) != 1 || st.Incidents[0].Reading.Subject != "disk" || st.Leader != "test" || len(st.Present) != 2 {
				t.Errorf("%s says %+v", who, st)
			}
		}
		expect(t, "pages", w.pager.log(), "trigger")
		id := string(r.status().Incidents[0].ID)
		if x, err := r.Explain(t.Context(), id); err != nil || len(x.Entries) == 0 {
			t.Errorf("explain: got %d entries and %v", len(x.Entries), err)
		}
		var refused *engine.StandsBy
		for _, c := range []signalbox.Control{{Kind: signalbox.Kill, Scope: "all"}, {Kind: signalbox.Acknowledge, Scope: "incident/" + id}} {
			if err := r.Control(t.Context(), c); !errors.As(err, &refused) || refused.Leader != "test" || !errors.Is(err, engine.ErrNoTerm) {
				t.Errorf("%s: got %v, want a refusal that names the leader", c.Kind, err)
			}
		}
		w.halt()
		w.after(time.Second)
		duty, _ := r.Duty()
		if st := r.status(); !st.Leading || st.StandsBy || st.Leader != "other" || len(st.Present) != 1 {
			t.Errorf("after the leader stopped it says %+v", st)
		}
		if duty.StandsBy || duty.Beginning != 1 || !duty.Anew || len(duty.Known.Open) != 1 || duty.Known.Open[0].Subject != "disk" {
			t.Errorf("its duty: got %+v, want to begin anew with what is open", duty)
		}
	})
}

// One that stands by and does not reach the store is alone: it pages what it
// sees, and that it has no store. It reaches the store again: it takes that
// back, and what it saw is the leader's.
func TestStandByIsAloneWithoutStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.after(20 * time.Second)
		r := w.replica("other", "one")
		defer r.stop()
		w.after(5 * time.Second)
		r.line.cut.Store(true)
		w.after(4 * time.Second)
		if duty, _ := r.Duty(); !duty.StandsBy {
			t.Errorf("4 seconds without the store are none yet")
		}
		w.after(3 * time.Second)
		if duty, _ := r.Duty(); duty.StandsBy {
			t.Fatal("it stands by, and sees nobody lead")
		}
		seen := breach(plainOne, "queue/psp")
		seen.Episode = ""
		r.Observe(t.Context(), plainOne, seen.At, true, []signalbox.Reading{seen}, []signalbox.Reading{seen})
		w.after(40 * time.Second)
		expect(t, "pages without a store", w.pager.log(), "trigger trigger")
		r.line.cut.Store(false)
		w.after(10 * time.Second)
		if duty, _ := r.Duty(); !duty.StandsBy {
			t.Fatal("it does not stand by again")
		}
		if last := w.pager.last(); last.event != signalbox.PageResolve || !strings.HasPrefix(last.key, "signalbox-store-") {
			t.Errorf("the page about its store must be resolved, got %s of %s", last.event, last.key)
		}
		w.after(2 * time.Minute) // the leader did not see it: nobody else would resolve its page
		expect(t, "pages", w.pager.log(), "trigger trigger resolve resolve")
		w.halt()
		w.after(10 * time.Second)
		if st := r.status(); !st.Leading || len(st.Incidents) != 0 {
			t.Errorf("what it saw alone is not its own any more: %+v", st.Incidents)
		}
	})
}

// A replica whose configuration is not the one in force does not lead while
// another has it, also when it wins the race; where none has, it leads and puts
// its own in force.
func TestAnotherConfigurationDoesNotLead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, flipPolicy())
		w.start()
		w.after(5 * time.Second)
		third := w.replica("third", "one") // waits first, and so may win first
		defer third.stop()
		w.after(5 * time.Second)
		second := w.replica("second", "one")
		w.after(5 * time.Second)
		if err := third.Swap(t.Context(), w.hashed("two")); err != nil {
			t.Fatal(err)
		}
		w.after(5 * time.Second)
		w.halt()
		w.after(20 * time.Second)
		if st := second.status(); !st.Leading || st.Config.Hash != "one" {
			t.Errorf("the one with the configuration in force must lead, it says %+v", st)
		}
		if st := third.status(); st.Leading || !st.StandsBy || st.Loaded != "two" || st.Config.Hash != "one" {
			t.Errorf("the one with another must not lead, it says %+v", st)
		}
		second.stop()
		w.after(20 * time.Second)
		if st := third.status(); !st.Leading || st.Config.Hash != "two" || st.Config.Seq != 2 {
			t.Errorf("where nobody has it the other leads, it says %+v", st)
		}
	})
}

// How long a breach was counted that is no incident yet goes to the next leader,
// with the same configuration; one that has ended does not.
func TestCountedBreachGoesToTheNextLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.after(20 * time.Second)
		observe := func(c signalbox.Condition, held time.Duration) {
			r := breach(stream, "s")
			r.Episode, r.Condition, r.Held = "", c, held
			w.engine.Observe(t.Context(), stream, r.At, true, []signalbox.Reading{r}, nil)
		}
		told := func() int { return len(w.state().Beats["test"].Streaks) }
		observe(signalbox.Breached, 30*time.Second)
		w.after(11 * time.Second)
		if told() != 1 {
			t.Fatalf("the heartbeat tells %d, want the one under way", told())
		}
		observe(signalbox.Clear, 0)
		w.after(2 * time.Second)
		if told() != 0 {
			t.Error("a breach that has ended is still told after 2 seconds")
		}
		observe(signalbox.Breached, 5*time.Second)
		w.after(11 * time.Second)
		if told() != 0 {
			t.Error("one that was counted for less than a heartbeat is not worth telling")
		}
		observe(signalbox.Breached, 40*time.Second)
		w.after(11 * time.Second)
		same := w.replica("same", "one")
		w.after(5 * time.Second)
		w.halt()
		w.after(time.Second)
		duty, _ := same.Duty()
		if got := duty.Known.Streaks; len(got) != 1 || got[0].Held != 40*time.Second || got[0].Detector != stream {
			t.Errorf("the next leader knows %+v", got)
		}
		same.Observe(t.Context(), stream, time.Now(), true, []signalbox.Reading{{Detector: stream, Series: "s", Condition: signalbox.Breached, Held: 50 * time.Second, At: time.Now()}}, nil)
		w.after(11 * time.Second)
		other := w.replica("other", "two")
		defer other.stop()
		w.after(5 * time.Second)
		same.stop()
		w.after(5 * time.Second)
		if duty, _ := other.Duty(); duty.Beginning != 1 || len(duty.Known.Streaks) != 0 {
			t.Errorf("with another configuration nothing is counted on: %+v", duty)
		}
	})
}

// One that led, was cut off, stood by and leads again knows nothing of what it
// saw before: who led in between may have answered it.
func TestLeadsAnewAfterItStoodBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.start()
		w.after(20 * time.Second)
		r := breach(stream, "s")
		r.Episode, r.Held = "", 40*time.Second
		w.engine.Observe(t.Context(), stream, r.At, true, []signalbox.Reading{r}, nil)
		other := w.replica("other", "one")
		w.after(5 * time.Second)
		w.line.cut.Store(true)
		w.store.Expire("engine")
		w.after(20 * time.Second)
		if st := other.status(); !st.Leading {
			t.Fatalf("the other must lead, it says %+v", st)
		}
		w.line.cut.Store(false)
		w.after(20 * time.Second)
		if duty, _ := w.engine.Duty(); !duty.StandsBy {
			t.Fatalf("the first must stand by: %+v", duty)
		}
		other.stop()
		w.after(5 * time.Second)
		duty, _ := w.engine.Duty()
		if st := w.status(); !st.Leading || duty.StandsBy || !duty.Anew {
			t.Errorf("it must lead, and ask anew: %+v", duty)
		}
		if told := w.state().Beats["test"].Streaks; len(told) != 0 {
			t.Errorf("its heartbeat tells what it saw before it stood by: %+v", told)
		}
		w.halt()
	})
}

// After its store was away a process finds its own lease, which has not run out.
// That is no other replica: what it saw meanwhile is recorded when it leads.
func TestOwnOldLeaseIsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.store.TTL = 24 * time.Second
		w.start()
		w.after(20 * time.Second)
		w.store.Break(errors.New("away"))
		w.make(plainOne, "queue/psp", 5)
		w.after(17 * time.Second)
		w.store.Mend()
		for range 6 {
			w.after(time.Second)
			if duty, _ := w.engine.Duty(); duty.StandsBy {
				t.Fatal("it stands by for itself")
			}
		}
		w.after(20 * time.Second)
		if st := w.status(); !st.Leading || len(st.Incidents) != 1 {
			t.Errorf("it must lead and have the incident, it says %+v", st)
		}
		expect(t, "pages, of the breach and of the store", w.pager.log(), "trigger trigger resolve")
		w.halt()
	})
}
