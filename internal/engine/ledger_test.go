package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// jobs runs ids as a cluster runs Jobs: a run has the id of its action as its
// name, so that it is begun once. Its own record is the oracle.
type jobs struct {
	mu   sync.Mutex
	runs map[signalbox.ActionID][]string // with which ids each was begun
	fail bool                            // runs begin and end badly
	lost bool                            // nothing is known of a run any more
	long bool                            // runs have no end yet
}

func (j *jobs) with(f func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f()
}

// Preview implements signalbox.Remediator.
func (j *jobs) Preview(context.Context, signalbox.Step) (signalbox.Forecast, error) {
	return signalbox.Forecast{Class: signalbox.ClassB, Targets: []signalbox.Target{"job payments/replay"}, Found: "nothing runs"}, nil
}

// Start implements signalbox.Remediator.
func (j *jobs) Start(_ context.Context, a signalbox.Action) (signalbox.Receipt, error) {
	if err := a.Gate(); err != nil {
		return signalbox.Receipt{}, &signalbox.Failure{Reason: "not started", Err: err}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.runs[a.ID] = a.Step.Items
	if j.lost {
		return signalbox.Receipt{}, errors.New("answer lost")
	}
	return signalbox.Receipt{At: time.Now(), Detail: "it was begun"}, nil
}

// Probe implements signalbox.Remediator.
func (j *jobs) Probe(_ context.Context, a signalbox.Action) (signalbox.Progress, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch r := (signalbox.Receipt{At: time.Now()}); {
	case j.lost:
		return signalbox.Progress{Phase: signalbox.InDoubt, Reason: "no Job of that name is there"}, nil
	case j.long:
		return signalbox.Progress{Phase: signalbox.Running}, nil
	case j.fail:
		return signalbox.Progress{Phase: signalbox.Fell, Reason: "its Job failed", Receipt: r}, nil
	default:
		return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: r}, nil
	}
}

// each tells how often a run was begun with each id: "a:1 b:1".
func (j *jobs) each() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := map[string]int{}
	for _, ids := range j.runs {
		for _, id := range ids {
			n[id]++
		}
	}
	var out []string
	for _, id := range slices.Sorted(maps.Keys(n)) {
		out = append(out, fmt.Sprintf("%s:%d", id, n[id]))
	}
	return strings.Join(out, " ")
}

// replays is a policy that runs one Job for at most two ids at once.
func replays() policy.Policy {
	p := flipPolicy()
	p.Name, p.On, p.Cooldown, p.Budget = "replay", []string{stream}, 0, nil
	p.Verify = signalbox.Witness{Detector: replicaLag, Subject: "replica/a"}
	p.Runbook = []signalbox.Step{{
		Kind: "job", Name: "replay", To: "run", Spec: json.RawMessage(`{}`), Undo: signalbox.UndoNever, Tool: true,
		Flow: signalbox.Flow{Most: 2, Pace: signalbox.ItemPace{N: 100, Per: time.Hour}},
	}}
	return p
}

// replaying is a world in which ids of a stream are run again by Jobs.
func replaying(t *testing.T, policies ...policy.Policy) (*world, *jobs) {
	t.Helper()
	w := newWorld(t, policies...)
	j := &jobs{runs: map[signalbox.ActionID][]string{}}
	w.set.Remediators["job"] = j
	w.start()
	w.after(2 * time.Minute) // what is told next was well after the policy was activated
	return w, j
}

// names tells of a series that ids failed, and that no more do.
func (w *world) names(series string, ids ...string) {
	w.t.Helper()
	for _, r := range []signalbox.Reading{found(ids...), found()} {
		r.Series, r.Subject = series, "psp/"+series
		w.engine.Observe(w.t.Context(), stream, r.At, true, []signalbox.Reading{r}, []signalbox.Reading{r})
		w.after(time.Minute)
	}
}

// away is a restart after some time.
func (w *world) away(d time.Duration) {
	w.die()
	w.after(d)
	w.start()
	w.after(time.Minute)
}

// open are the subjects of the incidents that are not over.
func (w *world) open() (subjects []string) {
	for _, inc := range w.state().Incidents {
		if !inc.Closed() {
			subjects = append(subjects, inc.Reading.Subject)
		}
	}
	slices.Sort(subjects)
	return subjects
}

// An id that one incident had is taken by no later one, whatever became of the
// first in between: its end, a restart, days without either.
func TestLedgerOfIDsAcrossIncidents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := replaying(t, replays())
		w.names("webhooks", "a", "b", "c")
		w.after(10 * time.Minute)
		expect(t, "runs of the first incident", j.each(), "a:1 b:1 c:1")
		expect(t, "open", strings.Join(w.open(), " "), "")
		w.names("refunds", "b", "d")
		w.after(10 * time.Minute)
		expect(t, "runs of the second", j.each(), "a:1 b:1 c:1 d:1")
		w.away(3 * 24 * time.Hour)
		w.names("webhooks", "a", "e", "d", "c")
		w.after(10 * time.Minute)
		expect(t, "runs after a restart", j.each(), "a:1 b:1 c:1 d:1 e:1")
		w.away(policy.LedgerFor)
		w.names("webhooks", "a")
		w.after(10 * time.Minute)
		expect(t, "runs once it is forgotten, as is documented", j.each(), "a:2 b:1 c:1 d:1 e:1")
		w.audit(nil)
	})
}

// What became of a Job is not known: its ids are not run again, by no action of
// any incident and by no later process, and they are not forgotten: they are in
// the ledger, their action is in doubt, and their owner was paged.
func TestIDsOfALostJobAreNeitherResentNorForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := replaying(t, replays())
		j.lost = true
		w.names("webhooks", "a", "b", "c")
		w.after(time.Hour)
		w.names("refunds", "a", "b", "d")
		for range 2 {
			w.away(time.Hour)
		}
		expect(t, "runs", j.each(), "a:1 b:1")
		expect(t, "stages", w.stages(), "doubt:1")
		expect(t, "open", strings.Join(w.open(), " "), "psp/refunds psp/webhooks")
		spent := w.state().Budgets[policy.ItemsPrefix+"replay"]
		if spent == nil || !slices.Equal(spent.Items, []string{policy.ItemKey("a"), policy.ItemKey("b")}) {
			t.Errorf("the ledger holds %+v, want a and b", spent)
		}
		if e := w.pager.last(); e.event != signalbox.PageTrigger || len(w.pager.events) == 0 {
			t.Errorf("nobody was paged: %+v", e)
		}
		j.with(func() { j.lost = false }) // the Job is found
		w.after(10 * time.Minute)
		expect(t, "runs once it is known: automation gave up on c, and d is of the other", j.each(), "a:1 b:1 d:1")
		expect(t, "open, since c waits for a person", strings.Join(w.open(), " "), "psp/webhooks")
		w.audit(nil)
	})
}

// A run that began and failed keeps what it spent, of the budget and of the
// ledger, and is not made again: by this process, a later one, or for another
// incident that names the same ids.
func TestWhatRanAndFailedKeepsItsSpend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := replays()
		p.Budget = []policy.Rate{{N: 1, Per: 24 * time.Hour}}
		w, j := replaying(t, p)
		j.fail = true
		w.names("webhooks", "a", "b", "c")
		w.after(time.Hour)
		w.away(time.Hour)
		expect(t, "runs", j.each(), "a:1 b:1")
		expect(t, "stages", w.stages(), "failed:1")
		s := w.state()
		for _, scope := range []string{"all", "policy/replay", "kind/job", policy.ItemsPrefix + "replay"} {
			want := 1
			if strings.HasPrefix(scope, policy.ItemsPrefix) {
				want = 2
			}
			if b := s.Budgets[scope]; b == nil || len(b.Times) != want {
				t.Errorf("scope %s: %+v, want %d spent", scope, b, want)
			}
		}
		if ts := s.Targets["job payments/replay"]; ts == nil || len(ts.Acted) != 1 {
			t.Errorf("its target: %+v, want one action on it", ts)
		}
		j.with(func() { j.fail = false })
		w.names("refunds", "a", "d")
		w.after(time.Hour)
		expect(t, "runs while the budget is spent", j.each(), "a:1 b:1")
		w.away(22 * time.Hour) // one is free again
		w.after(time.Minute)
		expect(t, "runs once a day has gone by", j.each(), "a:1 b:1 d:1")
		w.away(24 * time.Hour)
		w.names("disputes", "b", "e")
		w.after(time.Hour)
		expect(t, "runs of the third incident", j.each(), "a:1 b:1 d:1 e:1")
		expect(t, "open, since c waits for a person", strings.Join(w.open(), " "), "psp/webhooks")
		w.audit(nil)
	})
}

// The same of a step without ids, with its budget left: what it has done is for a
// person to see.
func TestWhatRanAndFailedIsNotMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := replays()
		p.On, p.Verify, p.Runbook[0].Flow = []string{readsLag}, signalbox.Witness{}, signalbox.Flow{}
		w, j := replaying(t, p)
		j.fail = true
		w.make(readsLag, "db/eu", 5)
		w.after(time.Hour)
		w.away(time.Minute)
		w.after(time.Hour)
		if len(j.runs) != 1 {
			t.Errorf("%d runs, want 1", len(j.runs))
		}
		if b := w.state().Budgets["policy/replay"]; b == nil || len(b.Times) != 1 {
			t.Errorf("its budget: %+v, want 1 spent", b)
		}
		expect(t, "stages", w.stages(), "failed:1")
		w.audit(nil)
	})
}

// Ids that did not fit, and those that the detector did not list, are counted with
// the incident, and the page says so until a person has heard it.
func TestIDsThatAreNotListedStayOnThePage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, j := replaying(t, replays())
		r := found("a")
		r.Unlisted = 7
		w.engine.Observe(t.Context(), stream, r.At, true, []signalbox.Reading{r}, []signalbox.Reading{r})
		w.after(time.Second)
		r = found("a", strings.Repeat("x", 200<<10), "b")
		w.engine.Observe(t.Context(), stream, r.At, true, []signalbox.Reading{r}, []signalbox.Reading{r})
		w.after(time.Minute)
		r = found()
		w.engine.Observe(t.Context(), stream, r.At, true, []signalbox.Reading{r}, []signalbox.Reading{r})
		w.after(time.Second)
		w.away(48 * time.Hour)
		w.after(10 * time.Minute)
		expect(t, "runs", j.each(), "a:1 b:1")
		expect(t, "open", strings.Join(w.open(), " "), "psp")
		if e := w.pager.last(); e.event != signalbox.PageTrigger || !strings.Contains(e.body.Summary, "at least 7 more are not listed, and replay takes none of them") {
			t.Errorf("the page: %s %.300s", e.event, e.body.Summary)
		}
		for id := range w.state().Incidents {
			if err := w.engine.Control(t.Context(), signalbox.Control{Kind: signalbox.Acknowledge, Scope: "incident/" + string(id), Who: "ann"}); err != nil {
				t.Error(err)
			}
		}
		w.after(time.Minute)
		expect(t, "open once it is acknowledged", strings.Join(w.open(), " "), "")
		expect(t, "page", string(w.pager.last().event), "resolve")
		w.audit(nil)
	})
}
