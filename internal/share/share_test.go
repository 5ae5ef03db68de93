package share_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/share"
)

func TestQuestionsAreSpread(t *testing.T) {
	w, qs := newTown(t), questions(3000)
	one := w.join("one")
	if by := round(t, one, qs, one); by["one"] != len(qs) {
		t.Fatalf("alone: %v", by)
	}
	two := w.join("two")
	two1 := spread(t, one, qs, one, two)
	before := one.source.queries()
	three := w.join("three")
	by := spread(t, one, qs, one, two, three)
	for name, n := range by {
		if n < 850 || n > 1150 {
			t.Errorf("%s asks %d of 3000", name, n)
		}
	}
	for _, q := range one.source.queries() {
		if !slices.Contains(before, q) {
			t.Fatalf("%q moved to one, though another came", q)
		}
	}
	// Who goes leaves its share to the others, and they keep theirs.
	kept := one.source.queries()
	w.set("three", "")
	eventually(t, "the others to ask", func() string {
		by = round(t, one, qs, one, two, three)
		if by["three"] > 0 || by["one"] != two1["one"] { // those that it was asked when it went are asked here, once
			return fmt.Sprintf("%v, and before it came %v", by, two1)
		}
		return ""
	})
	now := one.source.queries()
	for _, q := range kept {
		if !slices.Contains(now, q) {
			t.Fatalf("%q moved from one, though another went", q)
		}
	}
	// Each can be the one that leads, and all assign alike.
	if again := spread(t, two, qs, one, two); again["one"] != by["one"] {
		t.Errorf("another assigns %v, not %v", again, by)
	}
}

func TestWhoDiesIsAskedInsteadOf(t *testing.T) {
	w, qs := newTown(t), questions(100)
	one, two := w.join("one"), w.join("two")
	spread(t, one, qs, one, two)
	waits := make(chan struct{})
	stuck := sync.OnceFunc(func() { close(waits) })
	two.source.mu.Lock()
	two.source.answer = func(ctx context.Context, q signalbox.Question) signalbox.Answer {
		stuck()
		<-ctx.Done()
		return signalbox.Answer{Err: ctx.Err()}
	}
	two.source.mu.Unlock()
	go func() {
		<-waits
		two.stop()
	}()
	// All are answered, in this very round.
	if by := round(t, one, qs, one); by["one"] != len(qs) {
		t.Errorf("asked here: %v", by)
	}
	// And from then on none goes there, though the store still says that it is there.
	if by := round(t, one, qs, one); by["one"] != len(qs) {
		t.Errorf("asked here: %v", by)
	}
}

// A replica that was stopped keeps its connections open and answers nothing.
func TestWhoIsStoppedIsAskedInsteadOf(t *testing.T) {
	w, qs := newTown(t), questions(100)
	one, two := w.join("one"), newHeld(t)
	w.join("two", func(_ *share.Options, at *share.Place) { at.Address = two.front(at.Listener.Addr().String()) })
	eventually(t, "some to go through", func() string {
		if by := round(t, one, qs, one); by["one"] == len(qs) {
			return fmt.Sprint(by)
		}
		return ""
	})
	two.hold()
	if by := round(t, one, qs, one); by["one"] != len(qs) {
		t.Errorf("asked here: %v", by)
	}
	two.release()
	eventually(t, "some to go there again", func() string {
		if by := round(t, one, qs, one); by["one"] == len(qs) {
			return fmt.Sprint(by)
		}
		return ""
	})
}

func TestAnswersComeWhole(t *testing.T) {
	w := newTown(t)
	one, two := w.join("one"), w.join("two")
	qs := questions(40)
	spread(t, one, qs, one, two)
	from := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	for i := range qs {
		qs[i].From = from
	}
	for _, n := range []*node{one, two} {
		n.source.mu.Lock()
		n.source.answer = func(_ context.Context, q signalbox.Question) signalbox.Answer {
			if !q.From.Equal(from) {
				return signalbox.Answer{Err: fmt.Errorf("from %s", q.From)}
			}
			return signalbox.Answer{At: from, Warnings: []string{"partial"}, Samples: []signalbox.Sample{
				{Value: math.NaN()}, {Value: math.Inf(-1), Text: "a line", At: from}, {Labels: map[string]string{"by": n.name}},
			}}
		}
		n.source.mu.Unlock()
	}
	by := map[string]int{}
	for i, a := range one.Source("metrics", one.source).Ask(t.Context(), qs, time.Now()) {
		if a.Err != nil || a.Question != qs[i] || len(a.Samples) != 3 || !math.IsNaN(a.Samples[0].Value) || !math.IsInf(a.Samples[1].Value, -1) ||
			a.Samples[1].Text != "a line" || !a.Samples[1].At.Equal(from) || !a.At.Equal(from) || !slices.Equal(a.Warnings, []string{"partial"}) {
			t.Fatalf("%+v", a)
		}
		by[a.Samples[2].Labels["by"]]++
	}
	if by["one"] == 0 || by["two"] == 0 {
		t.Errorf("asked by %v", by)
	}
	// An error of the source is an answer, and no reason to ask again.
	for _, n := range []*node{one, two} {
		n.source.forget()
		n.source.mu.Lock()
		n.source.answer = func(context.Context, signalbox.Question) signalbox.Answer {
			return signalbox.Answer{Err: errors.New("503 of " + n.name)}
		}
		n.source.mu.Unlock()
	}
	said := map[string]int{}
	for _, a := range one.Source("metrics", one.source).Ask(t.Context(), qs, time.Now()) {
		said[fmt.Sprint(a.Err)]++
	}
	if said["503 of one"] != by["one"] || said["503 of two"] != by["two"] {
		t.Errorf("said %v, want as %v", said, by)
	}
}

// joined asks a question and the one after it in one request.
type joined struct{ *noted }

func (joined) Together(qs []signalbox.Question) (groups [][]int) {
	for i := 0; i < len(qs); i += 2 {
		groups = append(groups, []int{i, i + 1})
	}
	return groups
}

// What goes in one request is asked by one replica.
func TestWhatIsAskedTogetherStaysTogether(t *testing.T) {
	w, qs := newTown(t), questions(200)
	one, two := w.join("one"), w.join("two")
	spread(t, one, qs, one, two)
	one.source.forget()
	two.source.forget()
	one.Source("metrics", joined{one.source}).Ask(t.Context(), qs, time.Now())
	for _, n := range []*node{one, two} {
		asked := n.source.queries()
		for i := 0; i < len(qs); i += 2 {
			if slices.Contains(asked, qs[i].Query) != slices.Contains(asked, qs[i+1].Query) {
				t.Errorf("%s was asked for one of %q and %q", n.name, qs[i].Query, qs[i+1].Query)
			}
		}
		if len(asked) == 0 {
			t.Errorf("%s was asked nothing", n.name)
		}
	}
}

// Who asks before it acts asks by itself.
func TestHere(t *testing.T) {
	w, qs := newTown(t), questions(50)
	one, two := w.join("one"), w.join("two")
	spread(t, one, qs, one, two)
	one.source.forget()
	one.Source("metrics", one.source).Ask(share.Here(t.Context()), qs, time.Now())
	if n := len(one.source.queries()); n != len(qs) {
		t.Errorf("asked %d of %d here", n, len(qs))
	}
}

// Nothing is asked by a replica with another configuration: neither when it is
// known beforehand, nor when it has just changed.
func TestAnotherConfiguration(t *testing.T) {
	w, qs := newTown(t), questions(50)
	one := w.join("one")
	var config sync.Map
	config.Store("now", "c1")
	two := w.join("two", func(o *share.Options, _ *share.Place) {
		o.Config = func() string { c, _ := config.Load("now"); return c.(string) }
	})
	spread(t, one, qs, one, two)
	config.Store("now", "c2")
	if by := round(t, one, qs, one, two); by["one"] != len(qs) || by["two"] > 0 {
		t.Errorf("it has just changed: %v", by)
	}
	w.set("two", "c2")
	w.set("two", "c1")
	config.Store("now", "c1")
	spread(t, one, qs, one, two)
}

// A clock that is off is seen here, whoever asked: against this replica's own.
func TestSkew(t *testing.T) {
	w, qs := newTown(t), questions(50)
	one := w.join("one")
	two := w.join("two", func(o *share.Options, _ *share.Place) {
		o.Now = func() time.Time { return time.Now().Add(time.Hour) } // its own clock is off
	})
	source := one.Source("metrics", one.source).(signalbox.Clock)
	for _, c := range []struct{ one, two, want time.Duration }{
		{0, -time.Hour, 0},
		{0, -time.Hour + 40*time.Second, 40 * time.Second},
		{-30 * time.Second, -time.Hour, -30 * time.Second},
	} {
		one.source.skew, two.source.skew = c.one, c.two
		spread(t, one, qs, one, two)
		got, known := source.Skew()
		if !known || (got-c.want).Abs() > 5*time.Second {
			t.Errorf("skew %s, %t; want about %s", got, known, c.want)
		}
	}
}
