package track

import (
	"fmt"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const interval = 15 * time.Second

func at(look int) time.Time { return start.Add(time.Duration(look) * interval) }

func reading(series string, c signalbox.Condition, when time.Time) signalbox.Reading {
	return signalbox.Reading{Detector: "lag", Series: series, Condition: c, HasValue: c != signalbox.Unknown, At: when}
}

var letters = map[rune]signalbox.Condition{'B': signalbox.Breached, 'C': signalbox.Clear, 'U': signalbox.Unknown}

// story plays looks of one series, a letter each ('.': not in the round), and
// tells its edges: "3B" is a Breached edge at look 3.
func story(t *Tracker, looks string) string {
	var told []string
	for i, l := range looks {
		var rs []signalbox.Reading
		if l != '.' {
			rs = append(rs, reading("a", letters[l], at(i)))
		}
		_, edges := t.Step(rs, at(i))
		for _, e := range edges {
			told = append(told, fmt.Sprintf("%d%c", i, strings.ToUpper(e.Condition.String())[0]))
		}
	}
	return strings.Join(told, " ")
}

func TestEdges(t *testing.T) {
	held := Timing{For: 2 * interval, ClearFor: 3 * interval, KeepFiringFor: 5 * interval}
	for _, c := range []struct {
		name   string
		timing Timing
		looks  string
		want   string
	}{
		{"at once", Timing{}, "CBBC", "1B 3C"},
		{"for needs two spans", Timing{For: 2 * interval}, "CBBBC", "3B 4C"},
		{"a clear look breaks the streak", Timing{For: 2 * interval}, "BBCBBCBB", ""},
		{"unknown pauses, and breaks nothing", Timing{For: 2 * interval}, "BBUUUUBB", "7B"},
		{"unknown alone never opens", Timing{For: interval}, "BUUUUUUUU", ""},
		{"unknown between single breaches never counts", Timing{For: interval}, "BUBUBUBU", ""},
		{"clear.for", Timing{ClearFor: 2 * interval}, "BCCC", "0B 3C"},
		{"a breach breaks the clear streak", Timing{ClearFor: 2 * interval}, "BCCBCCC", "0B 6C"},
		{"unknown pauses the clear streak", Timing{ClearFor: 2 * interval}, "BCCUUCC", "0B 3U 6C"},
		{"keep_firing_for counts from the last breach", Timing{KeepFiringFor: 2 * interval}, "BBCC", "0B 3C"},
		{"keep_firing_for is paused too", Timing{KeepFiringFor: 2 * interval}, "BUUUUCC", "0B 1U"},
		{"… and goes on", Timing{KeepFiringFor: 2 * interval}, "BUUUUCCC", "0B 1U 7C"},
		{"all three", held, "BBBCCCCCCC", "2B 7C"},
		{"unknown, and known again", Timing{}, "BUUB", "0B 1U 3B"},
		{"unknown, and clear", Timing{}, "BUC", "0B 1U 2C"},
		{"unknown that was never open says nothing", Timing{}, "CUC", ""},
		{"an open series that is left out is unknown", Timing{}, "B..B", "0B 1U 3B"},
		{"alternates", Timing{}, "BCBCBC", "0B 1C 2B 3C 4B 5C"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := story(New(c.timing, 0), c.looks); got != c.want {
				t.Errorf("%s: edges %q, want %q", c.looks, got, c.want)
			}
		})
	}
}

func TestGapIsNotCounted(t *testing.T) {
	tr := New(Timing{For: 2 * interval}, 2*interval)
	tr.Step([]signalbox.Reading{reading("a", signalbox.Breached, at(0))}, at(0))
	if _, edges := tr.Step([]signalbox.Reading{reading("a", signalbox.Breached, at(9))}, at(9)); len(edges) > 0 {
		t.Fatalf("a gap of 9 intervals was counted as breached: %+v", edges)
	}
	if _, edges := tr.Step([]signalbox.Reading{reading("a", signalbox.Breached, at(11))}, at(11)); len(edges) != 1 {
		t.Fatal("two intervals seen breached did not open")
	}
}

func TestOnsetAndWell(t *testing.T) {
	one := func(tr *Tracker, look int, c signalbox.Condition) *signalbox.Reading {
		_, edges := tr.Step([]signalbox.Reading{reading("a", c, at(look))}, at(look))
		if len(edges) == 0 {
			return nil
		}
		return &edges[0]
	}
	t.Run("its own clear look", func(t *testing.T) {
		tr := New(Timing{For: interval}, 0)
		one(tr, 0, signalbox.Clear)
		one(tr, 1, signalbox.Unknown)
		one(tr, 2, signalbox.Breached)
		e := one(tr, 3, signalbox.Breached)
		if e == nil || !e.OnsetAt.Equal(at(2)) || !e.WellAt.Equal(at(0)) || !e.Since.Equal(at(2)) {
			t.Fatalf("got %+v, want onset at look 2 and well at look 0", e)
		}
	})
	t.Run("ill again before it was clear for long enough is the same illness", func(t *testing.T) {
		tr := New(Timing{ClearFor: 2 * interval}, 0)
		one(tr, 0, signalbox.Clear)
		one(tr, 1, signalbox.Breached)
		one(tr, 2, signalbox.Clear)
		one(tr, 3, signalbox.Breached)
		one(tr, 4, signalbox.Clear)
		one(tr, 5, signalbox.Clear)
		e := one(tr, 6, signalbox.Clear)
		if e == nil || e.Condition != signalbox.Clear || !e.OnsetAt.Equal(at(1)) || !e.WellAt.Equal(at(0)) {
			t.Fatalf("got %+v, want the end of what began at look 1", e)
		}
	})
	t.Run("first start: never well", func(t *testing.T) {
		if e := one(New(Timing{}, 0), 0, signalbox.Breached); e == nil || !e.WellAt.IsZero() {
			t.Fatalf("got %+v, want no WellAt", e)
		}
	})
	t.Run("a new series after a good round", func(t *testing.T) {
		tr := New(Timing{}, 0)
		tr.Step([]signalbox.Reading{reading("b", signalbox.Clear, at(0))}, at(0))
		tr.Step([]signalbox.Reading{reading("b", signalbox.Unknown, at(1))}, at(1))
		if e := one(tr, 2, signalbox.Breached); e == nil || !e.WellAt.Equal(at(0)) {
			t.Fatalf("got %+v, want well at the last good round, look 0", e)
		}
	})
	t.Run("the restored heartbeat", func(t *testing.T) {
		tr := New(Timing{}, 0)
		tr.Restore(nil, at(-4))
		if e := one(tr, 0, signalbox.Breached); e == nil || !e.WellAt.Equal(at(-4)) {
			t.Fatalf("got %+v, want well at the restored round", e)
		}
	})
}

func TestRestore(t *testing.T) {
	open := reading("a", signalbox.Breached, at(-9))
	open.OnsetAt, open.WellAt = at(-10), at(-11)
	t.Run("stays open until clear, under its onset", func(t *testing.T) {
		tr := New(Timing{For: time.Hour, ClearFor: interval}, 0)
		tr.Restore([]signalbox.Reading{open}, time.Time{})
		out, edges := tr.Step([]signalbox.Reading{reading("a", signalbox.Breached, at(0))}, at(0))
		if len(edges) != 0 || !out[0].OnsetAt.Equal(at(-10)) || !out[0].WellAt.Equal(at(-11)) {
			t.Fatalf("got %+v, %+v: want no second opening, and its first onset", out, edges)
		}
		if got := story(tr, ".CC"); got != "0U 2C" {
			t.Fatalf("edges %q, want 0U 2C", got)
		}
	})
	t.Run("was unknown: no second unknown edge", func(t *testing.T) {
		tr := New(Timing{}, 0)
		lost := open
		lost.Condition = signalbox.Unknown
		tr.Restore([]signalbox.Reading{lost}, time.Time{})
		if got := story(tr, "UUB"); got != "2B" {
			t.Fatalf("edges %q, want 2B", got)
		}
	})
	t.Run("a clear incident opens again", func(t *testing.T) {
		tr := New(Timing{}, 0)
		clear := open
		clear.Condition = signalbox.Clear
		tr.Restore([]signalbox.Reading{clear}, time.Time{})
		if got := story(tr, "CB"); got != "1B" {
			t.Fatalf("edges %q, want 1B", got)
		}
	})
	t.Run("late", func(t *testing.T) {
		tr := New(Timing{ClearFor: 2 * interval}, 0)
		story(tr, "C")
		tr.Restore([]signalbox.Reading{open}, time.Time{})
		if _, edges := tr.Step([]signalbox.Reading{reading("a", signalbox.Clear, at(1))}, at(1)); len(edges) != 0 {
			t.Fatalf("closed before clear.for: %+v", edges)
		}
		if _, edges := tr.Step([]signalbox.Reading{reading("a", signalbox.Clear, at(2))}, at(2)); len(edges) != 1 || !edges[0].OnsetAt.Equal(at(-10)) {
			t.Fatalf("got %+v, want its end with the restored onset", edges)
		}
	})
	t.Run("what Open returns can be restored", func(t *testing.T) {
		old := New(Timing{ClearFor: time.Hour}, 0)
		story(old, "BC")
		tr := New(Timing{}, 0)
		tr.Restore(old.Open(), old.Good())
		if got := story(tr, "C"); got != "0C" {
			t.Fatalf("edges %q, want 0C: a series that waits to be clear is open", got)
		}
	})
}

func TestLastKeepsWhatWasKnown(t *testing.T) {
	tr := New(Timing{}, 0)
	story(tr, "BU")
	if got := tr.Last()["a"].Condition; got != signalbox.Breached {
		t.Errorf("after B U the last known condition is %v, want breached", got)
	}
	tr.Step([]signalbox.Reading{reading("", signalbox.Unknown, at(2)), reading("a", signalbox.Unknown, at(2))}, at(2))
	if _, there := tr.Last()[""]; there {
		t.Error("the detector as a whole is no series")
	}
}

func TestForget(t *testing.T) {
	ended := reading("a", signalbox.Clear, at(1))
	ended.EndedAt = at(1)
	long := int(ForgetAfter / interval)
	for _, c := range []struct {
		name string
		play func(*Tracker)
		want int
	}{
		{"ended", func(tr *Tracker) { story(tr, "C"); tr.Step([]signalbox.Reading{ended}, at(1)) }, 0},
		{"ended while its end is not yet an edge", func(tr *Tracker) { story(tr, "B"); tr.Step([]signalbox.Reading{ended}, at(1)) }, 1},
		{"left out", func(tr *Tracker) { story(tr, "C.") }, 0},
		{"unknown for a while", func(tr *Tracker) { story(tr, "CUUU") }, 1},
		{"unknown for long", func(tr *Tracker) { story(tr, "C"+strings.Repeat("U", long)) }, 0},
		{"open and unknown for long", func(tr *Tracker) { story(tr, "B"+strings.Repeat("U", long)) }, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := New(Timing{ClearFor: time.Minute}, 0)
			c.play(tr)
			if len(tr.Last()) != c.want || len(tr.series) != c.want {
				t.Errorf("knows %d series (%d inside), want %d", len(tr.Last()), len(tr.series), c.want)
			}
		})
	}
}

func TestMoreItemsAreAnEdge(t *testing.T) {
	tr := New(Timing{ClearFor: 2 * interval}, 0)
	var told []string
	for i, items := range []string{"", "a", "a", "a b", "", "a b", "a b c"} {
		r := reading("a", signalbox.Breached, at(i))
		if r.Items = strings.Fields(items); len(r.Items) == 0 {
			r.Condition = signalbox.Clear
		}
		_, edges := tr.Step([]signalbox.Reading{r}, at(i))
		for _, e := range edges {
			told = append(told, fmt.Sprintf("%d%v", i, e.Items))
		}
	}
	if got := strings.Join(told, " "); got != "1[a] 3[a b] 6[a b c]" {
		t.Errorf("edges %s", got)
	}
	if known := tr.Last()["a"].Items; len(known) != 3 {
		t.Errorf("an open series knows %v", known)
	}
	// Known again after a restart: what is durable is no news.
	open := tr.Open()
	later := New(Timing{}, 0)
	later.Restore(open, at(6))
	r := reading("a", signalbox.Breached, at(7))
	r.Items = open[0].Items
	if _, edges := later.Step([]signalbox.Reading{r}, at(7)); len(edges) != 0 {
		t.Errorf("edges %v for items that are known", edges)
	}
}

// The items of an illness stay known until it is over, and not beyond: what is
// found then begins anew.
func TestItemsEndWithTheirIllness(t *testing.T) {
	tr := New(Timing{ClearFor: 2 * interval}, 0)
	look := func(i int, c signalbox.Condition, items ...string) (known []string) {
		r := reading("a", c, at(i))
		r.Items = items
		tr.Step([]signalbox.Reading{r}, at(i))
		return tr.Last()["a"].Items
	}
	look(0, signalbox.Breached, "x")
	for i, c := range []signalbox.Condition{signalbox.Clear, signalbox.Unknown, signalbox.Clear} {
		if known := look(i+1, c); len(known) != 1 {
			t.Errorf("look %d, still open: knows %v, want [x]", i+1, known)
		}
	}
	for i := 4; i < 6; i++ {
		tr.Step([]signalbox.Reading{reading("a", signalbox.Clear, at(i))}, at(i))
	}
	if known := tr.Last()["a"].Items; len(tr.Open()) != 0 || known != nil {
		t.Errorf("over: knows %v, want none", known)
	}
	again := New(Timing{}, 0)
	over := reading("a", signalbox.Clear, at(1))
	over.Items = []string{"x"}
	again.Restore([]signalbox.Reading{over}, at(1))
	if known := again.Last()["a"].Items; known != nil {
		t.Errorf("restored when it was over: knows %v, want none", known)
	}
}

// How many are not listed is known until the illness is over, as its detector
// counted most of them.
func TestUnlistedOnlyBecomeMoreUntilItIsOver(t *testing.T) {
	tr := New(Timing{ClearFor: interval}, 0)
	for i, c := range []struct {
		condition signalbox.Condition
		says      int
		want      int
	}{{signalbox.Breached, 5, 5}, {signalbox.Breached, 9, 9}, {signalbox.Clear, 0, 9}, {signalbox.Clear, 0, 9}, {signalbox.Breached, 1, 1}} {
		r := reading("a", c.condition, at(i))
		r.Unlisted = c.says
		out, _ := tr.Step([]signalbox.Reading{r}, at(i))
		if out[0].Unlisted != c.want {
			t.Errorf("look %d: %d, want %d", i, out[0].Unlisted, c.want)
		}
	}
}

// A sample that is looked at again proves nothing anew.
func TestTimeCountsBySamples(t *testing.T) {
	tr := New(Timing{For: time.Minute}, 31*time.Second)
	sampled := start
	look := func(after time.Duration, c signalbox.Condition) int {
		r := signalbox.Reading{Series: "a", Condition: c, SampleAt: sampled, At: start.Add(after)}
		_, edges := tr.Step([]signalbox.Reading{r}, start.Add(after))
		return len(edges)
	}
	for after := time.Duration(0); after <= 75*time.Second; after += 15 * time.Second {
		if look(after, signalbox.Breached) > 0 {
			t.Fatalf("one bad sample opened an incident after %s", after)
		}
	}
	sampled = start.Add(45 * time.Second) // the next one, late
	if look(90*time.Second, signalbox.Breached) > 0 {
		t.Fatal("45s of bad samples opened an incident that wants 60s")
	}
	sampled = start.Add(time.Minute)
	if look(105*time.Second, signalbox.Breached) != 1 {
		t.Fatal("60s of bad samples must open an incident")
	}
}

// What another counted of a breach is counted on: the gap between counts as
// nothing, a clear look in it or after it begins it anew, and what was looked at
// here is not overwritten.
func TestResume(t *testing.T) {
	base := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return base.Add(time.Duration(s) * time.Second) }
	look := func(tr *Tracker, s int, c signalbox.Condition) (edge bool, held time.Duration) {
		out, edges := tr.Step([]signalbox.Reading{{Detector: "d", Series: "a", Condition: c, At: at(s), SampleAt: at(s)}}, at(s))
		return len(edges) > 0, out[0].Held
	}
	timing := Timing{For: time.Minute}
	first := New(timing, 20*time.Second)
	look(first, -10, signalbox.Clear)
	var held time.Duration
	for s := 0; s <= 50; s += 10 {
		if _, held = look(first, s, signalbox.Breached); held != time.Duration(s)*time.Second {
			t.Fatalf("held after %ds: %v", s, held)
		}
	}
	streak := []signalbox.Streak{{Detector: "d", Series: "a", Held: held, OnsetAt: at(0), WellAt: at(-10), LookedAt: at(50)}}

	next := New(timing, 20*time.Second)
	next.Resume(streak)
	if edge, held := look(next, 100, signalbox.Breached); edge || held != 50*time.Second {
		t.Errorf("the gap must not count: edge %v, held %v", edge, held)
	}
	next.Resume([]signalbox.Streak{{Detector: "d", Series: "a", Held: time.Hour, LookedAt: at(99)}})
	out, edges := next.Step([]signalbox.Reading{{Detector: "d", Series: "a", Condition: signalbox.Breached, At: at(110), SampleAt: at(110)}}, at(110))
	if len(edges) != 1 || !edges[0].OnsetAt.Equal(at(0)) || !edges[0].WellAt.Equal(at(-10)) || out[0].Held != 0 {
		t.Errorf("counted on to a minute it is an edge under its own onset: %+v", edges)
	}

	again := New(timing, 20*time.Second)
	again.Resume(streak)
	look(again, 60, signalbox.Clear)
	if edge, held := look(again, 70, signalbox.Breached); edge || held != 0 {
		t.Errorf("a clear look begins it anew: edge %v, held %v", edge, held)
	}
	gone := New(timing, 20*time.Second)
	gone.Resume(streak)
	gone.Step(nil, at(60))
	if edge, held := look(gone, 70, signalbox.Breached); edge || held != 0 {
		t.Errorf("a round without it begins it anew: edge %v, held %v", edge, held)
	}
}
