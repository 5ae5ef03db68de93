package outward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/store"
)

// fakeAnnotator keeps the newest annotation of each action, as the contract of
// kind.Annotator says.
type fakeAnnotator struct {
	mu    sync.Mutex
	notes map[string]kind.Annotation
	calls []kind.Annotation
	fail  func(ctx context.Context, a kind.Annotation) error // nil: nothing
}

func (f *fakeAnnotator) Annotate(ctx context.Context, a kind.Annotation) error {
	f.mu.Lock()
	fail := f.fail
	f.calls = append(f.calls, a)
	f.mu.Unlock()
	if fail != nil {
		if err := fail(ctx, a); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notes == nil {
		f.notes = map[string]kind.Annotation{}
	}
	f.notes[a.Action] = a
	return nil
}

func (f *fakeAnnotator) set(fail func(context.Context, kind.Annotation) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

func (f *fakeAnnotator) called() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.calls)
}

func (f *fakeAnnotator) note(id string) kind.Annotation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.notes[id]
}

// annotated is a lab with annotators.
type annotated struct {
	*lab
	to *fakeAnnotator
}

func newAnnotated(t *testing.T) *annotated {
	return &annotated{newLab(t, ""), &fakeAnnotator{}}
}

func (l *annotated) begin() (stop func()) {
	a := NewAnnotations(AnnotationOptions{
		Records: l.store, To: map[string]kind.Annotator{"dashboards": l.to}, Leads: l.leads.Load,
		Log: slog.New(slog.NewTextHandler(&l.log, nil)), Metrics: l.metrics,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func incidentOf(n int) *signalbox.Incident {
	return &signalbox.Incident{
		ID: signalbox.IncidentID(fmt.Sprintf("%016x", n)), Owner: "backend",
		Reading: signalbox.Reading{Detector: "replication-lag", Series: fmt.Sprint(n), Subject: "db/eu", Summary: "lag is 1.5s"},
	}
}

func actionOf(n int, at time.Time) *signalbox.Action {
	return &signalbox.Action{
		ID: signalbox.ActionID(fmt.Sprintf("%016x-1", n)), Incident: incidentOf(n).ID, Policy: "failover",
		Step: signalbox.Step{Kind: "endpoint", Name: "read-endpoint", To: "b", Spec: []byte("{}")}, Stage: signalbox.Claimed, ClaimedAt: at,
	}
}

// put writes records as the engine does.
func (l *annotated) put(kindOf journal.Kind, changes ...journal.Change) {
	l.t.Helper()
	if _, err := l.journal.Write(context.Background(), nil, nil, []journal.Record{{Kind: kindOf, Put: changes}}, nil); err != nil {
		l.t.Fatalf("%v", err)
	}
}

// The life of an action is one annotation: it begins with the claim, ends with
// the effect, and says what came of it.
func TestActionIsAnnotated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAnnotated(t)
		stop := l.begin()
		pass(every)
		claimed := time.Now()
		a := actionOf(1, claimed)
		l.put(journal.Intent, journal.PutIncident(incidentOf(1)), journal.PutAction(a))
		synctest.Wait()
		want := kind.Annotation{
			Detector: "replication-lag", Action: "0000000000000001-1", Start: claimed.UTC(),
			Text: "read-endpoint to b: under way. For db/eu, by policy failover. Incident 0000000000000001, action 0000000000000001-1.",
			Tags: []string{"endpoint", "read-endpoint", "failover"},
		}
		mustNote(t, l.to.note(want.Action), want)

		pass(3 * time.Second)
		a.Stage, a.EndedAt, a.Receipt.Detail = signalbox.Done, time.Now(), "a secret of the target"
		l.put(journal.Receipt, journal.PutAction(a))
		synctest.Wait()
		want.End, want.Text = a.EndedAt.UTC(), strings.Replace(want.Text, "under way", "done", 1)
		mustNote(t, l.to.note(want.Action), want)

		a.Outcome, a.Undone = signalbox.Recovered, "0000000000000001-2"
		l.put(journal.Settled, journal.PutAction(a))
		synctest.Wait()
		want.Text = strings.Replace(want.Text, "done", "done, recovered, taken back by 0000000000000001-2", 1)
		mustNote(t, l.to.note(want.Action), want)
		if l.to.called() != 3 || testutil.ToFloat64(l.metrics.annotated) != 3 {
			t.Errorf("told %d times, counted %v, want 3", l.to.called(), testutil.ToFloat64(l.metrics.annotated))
		}
		stop()
	})
}

func mustNote(t *testing.T, got, want kind.Annotation) {
	t.Helper()
	if got.Detector != want.Detector || got.Action != want.Action || !got.Start.Equal(want.Start) || !got.End.Equal(want.End) ||
		got.Text != want.Text || !slices.Equal(got.Tags, want.Tags) {
		t.Fatalf("got\n%+v, want\n%+v", got, want)
	}
}

// After a restart, and by the next leader, every action that the store has is
// told again: one that began before, and one that ended between.
func TestActionsAreToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAnnotated(t)
		at := time.Now()
		one, two := actionOf(1, at), actionOf(2, at)
		l.put(journal.Intent, journal.PutIncident(incidentOf(1)), journal.PutAction(one), journal.PutIncident(incidentOf(2)), journal.PutAction(two))
		stop := l.begin()
		pass(every)
		stop()
		two.Stage, two.EndedAt = signalbox.Broken, at
		l.put(journal.NoEffect, journal.PutAction(two))
		stop = l.begin()
		pass(every)
		if l.to.called() != 4 || !strings.Contains(l.to.note(string(two.ID)).Text, "had no effect") || l.to.note(string(two.ID)).End.IsZero() {
			t.Errorf("told %d times, want 4; %+v", l.to.called(), l.to.notes)
		}
		// A standby tells nothing; what changed meanwhile is told when it leads.
		l.leads.Store(false)
		pass(2 * every)
		one.Stage, one.EndedAt = signalbox.Done, at
		l.put(journal.Receipt, journal.PutAction(one))
		pass(time.Minute)
		if l.to.called() != 4 {
			t.Error("a replica that does not lead told something")
		}
		l.leads.Store(true)
		pass(2 * every)
		if !strings.Contains(l.to.note(string(one.ID)).Text, "done") {
			t.Errorf("got %+v", l.to.note(string(one.ID)))
		}
		stop()
	})
}

// An annotator that hangs or fails stalls nobody: the records go on, the newest
// state is told once it is well, and a stop does not wait.
func TestAnnotatorThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAnnotated(t)
		l.to.set(func(ctx context.Context, _ kind.Annotation) error { <-ctx.Done(); return ctx.Err() })
		stop := l.begin()
		began := time.Now()
		for n := 1; n <= 20; n++ {
			a := actionOf(n, began)
			l.put(journal.Intent, journal.PutIncident(incidentOf(n)), journal.PutAction(a))
			a.Stage, a.EndedAt = signalbox.Done, began
			l.put(journal.Receipt, journal.PutAction(a))
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the records waited %s", took)
		}
		pass(time.Minute)
		if q := testutil.ToFloat64(l.metrics.annotations); q != 20 {
			t.Errorf("%v wait, want 20", q)
		}
		l.to.set(nil)
		pass(10 * time.Minute)
		for n := 1; n <= 20; n++ {
			if note := l.to.note(fmt.Sprintf("%016x-1", n)); !strings.Contains(note.Text, "done") {
				t.Errorf("action %d: got %+v", n, note)
			}
		}
		l.to.set(func(ctx context.Context, _ kind.Annotation) error { <-ctx.Done(); return ctx.Err() })
		l.put(journal.Intent, journal.PutIncident(incidentOf(21)), journal.PutAction(actionOf(21, began)))
		pass(every)
		began = time.Now()
		stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("the stop took %s", took)
		}
	})
}

// One that fails is tried again with longer and longer pauses, or when the
// server wants it, and is given up in the end; others are told meanwhile.
func TestAnnotationThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAnnotated(t)
		at := time.Now()
		bad, good := actionOf(1, at), actionOf(2, at)
		l.to.set(func(_ context.Context, a kind.Annotation) error {
			if a.Action == string(bad.ID) {
				return errFault
			}
			return nil
		})
		l.put(journal.Intent, journal.PutIncident(incidentOf(1)), journal.PutAction(bad), journal.PutIncident(incidentOf(2)), journal.PutAction(good))
		stop := l.begin()
		pass(time.Second)
		if l.to.note(string(good.ID)).Action == "" {
			t.Error("an action waits for another that fails")
		}
		pass(2 * time.Hour)
		if l.to.called() != maxAttempts+1 || testutil.ToFloat64(l.metrics.noteErrors) != maxAttempts || testutil.ToFloat64(l.metrics.notTold) != 1 {
			t.Errorf("called %d times, %v errors, %v dropped", l.to.called(), testutil.ToFloat64(l.metrics.noteErrors), testutil.ToFloat64(l.metrics.notTold))
		}
		// Its next state is tried anew.
		l.to.set(nil)
		bad.Stage = signalbox.Done
		l.put(journal.Receipt, journal.PutAction(bad))
		pass(time.Second)
		if l.to.note(string(bad.ID)).Action == "" {
			t.Error("the next state was not told")
		}
		stop()
	})
}

func TestRest(t *testing.T) {
	after := &signalbox.RetryAfter{After: 20 * time.Minute, Err: errFault}
	for _, c := range []struct {
		attempts int
		err      error
		want     time.Duration
	}{
		{1, errFault, 5 * time.Second},
		{2, errFault, 10 * time.Second},
		{7, errFault, 5 * time.Minute},
		{maxAttempts, errFault, 5 * time.Minute},
		{1, errors.Join(after), 20 * time.Minute},
		{1, &signalbox.RetryAfter{After: 48 * time.Hour, Err: errFault}, time.Hour},
		{1, &signalbox.RetryAfter{After: time.Second, Err: errFault}, 5 * time.Second},
	} {
		if got := rest(c.attempts, c.err); got != c.want {
			t.Errorf("after %d attempts, %v: got %s, want %s", c.attempts, c.err, got, c.want)
		}
	}
}

// The queue holds each action once and is bounded; what is beyond is counted.
func TestNotesAreBounded(t *testing.T) {
	m := NewMetrics(prometheus.NewRegistry())
	q := newNotes(m)
	add := func(n, rev int) {
		a := actionOf(n, time.Unix(0, 0))
		q.add(string(signalbox.ActionKey(a.ID)), a, store.Revision(rev))
	}
	for n := range maxNotes + 5 {
		add(n, n+1)
		add(n, n+1) // the same again
	}
	for n := range 10 {
		add(n+10, maxNotes+100+n) // a newer state takes the place of the old one
	}
	if len(q.order) != maxNotes || testutil.ToFloat64(m.notTold) != 5 || testutil.ToFloat64(m.annotations) != maxNotes {
		t.Errorf("%d wait, %v dropped, gauge %v", len(q.order), testutil.ToFloat64(m.notTold), testutil.ToFloat64(m.annotations))
	}
	if q.order[0].action.ID != actionOf(5, time.Time{}).ID || q.order[5].rev != maxNotes+100 {
		t.Errorf("the order is not that of arrival: %+v", q.order[0])
	}
	add(0, 1) // dropped, and not to be told again in the same state
	if len(q.order) != maxNotes || testutil.ToFloat64(m.notTold) != 5 {
		t.Error("what was dropped came back")
	}
}

// An action whose incident is gone has no dashboard, and holds nobody up.
func TestActionWithoutIncident(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAnnotated(t)
		at := time.Now()
		l.put(journal.Intent, journal.PutAction(actionOf(1, at)), journal.PutIncident(incidentOf(2)), journal.PutAction(actionOf(2, at)))
		stop := l.begin()
		pass(every)
		stop()
		if ids := slices.Collect(maps.Keys(l.to.notes)); !slices.Equal(ids, []string{"0000000000000002-1"}) {
			t.Errorf("got %v", ids)
		}
	})
}

// A store that goes away is looked at again, and nothing is told twice for it.
func TestStoreThatGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newAnnotated(t)
		at := time.Now()
		l.put(journal.Intent, journal.PutIncident(incidentOf(1)), journal.PutAction(actionOf(1, at)))
		records := &brittle{Records: l.store}
		a := NewAnnotations(AnnotationOptions{
			Records: records, To: map[string]kind.Annotator{"dashboards": l.to}, Leads: l.leads.Load,
			Log: slog.New(slog.NewTextHandler(&l.log, nil)), Metrics: l.metrics,
		})
		ctx, cancel := context.WithCancel(t.Context())
		go a.Run(ctx)
		pass(every)
		records.snap()
		pass(10 * time.Second)
		l.put(journal.Intent, journal.PutIncident(incidentOf(2)), journal.PutAction(actionOf(2, at)))
		pass(every)
		if l.to.called() != 2 || l.to.note("0000000000000002-1").Action == "" {
			t.Errorf("told %d times, want each of two once", l.to.called())
		}
		cancel()
		synctest.Wait()
	})
}

// brittle is a store whose watches can be broken.
type brittle struct {
	Records
	mu   sync.Mutex
	ends []context.CancelFunc
}

func (b *brittle) Watch(ctx context.Context, prefix string, from store.Revision) (<-chan store.Batch, error) {
	ctx, end := context.WithCancel(ctx)
	b.mu.Lock()
	b.ends = append(b.ends, end)
	b.mu.Unlock()
	return b.Records.Watch(ctx, prefix, from)
}

func (b *brittle) snap() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, end := range b.ends {
		end()
	}
}
