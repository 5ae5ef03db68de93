package track

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"pgregory.net/rapid"
)

type look struct {
	at        time.Time
	condition signalbox.Condition
}

// streak is the counted time of condition c that ends at the last of looks:
// the reference that the tracker is held to. Unknown looks pause it, a look of
// the other condition ends it.
func streak(looks []look, c signalbox.Condition) time.Duration {
	var sum time.Duration
	for i := len(looks) - 1; i > 0; i-- {
		if looks[i].condition != c && looks[i].condition != signalbox.Unknown {
			break
		}
		if looks[i].condition == c && looks[i-1].condition == c {
			sum += looks[i].at.Sub(looks[i-1].at)
		}
	}
	return sum
}

// calmSince is the counted time since the last breached look.
func calmSince(looks []look) time.Duration {
	var sum time.Duration
	for i := len(looks) - 1; i > 0 && looks[i].condition != signalbox.Breached; i-- {
		if looks[i].condition != signalbox.Unknown && looks[i-1].condition != signalbox.Unknown {
			sum += looks[i].at.Sub(looks[i-1].at)
		}
	}
	return sum
}

func TestTrackerKeepsItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := func(name string, most int) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Second
		}
		timing := Timing{For: seconds("for", 60), ClearFor: seconds("clear for", 60), KeepFiringFor: seconds("keep", 60)}
		tr, now := New(timing, 0), start
		var looks []look
		open, lost := false, false
		for range rapid.IntRange(1, 60).Draw(t, "looks") {
			now = now.Add(time.Second + seconds("gap", 30))
			c := signalbox.Condition(rapid.SampledFrom([]uint8{0, 1, 1, 2, 2, 2}).Draw(t, "condition"))
			looks = append(looks, look{now, c})
			out, edges := tr.Step([]signalbox.Reading{reading("a", c, now)}, now)
			if len(out) != 1 || out[0].Condition != c || len(edges) > 1 {
				t.Fatalf("one reading %v gave %+v and edges %+v", c, out, edges)
			}
			want := (!open || lost) && c == signalbox.Breached && (lost || streak(looks, c) >= timing.For) ||
				open && !lost && c == signalbox.Unknown ||
				open && c == signalbox.Clear && streak(looks, c) >= timing.ClearFor && calmSince(looks) >= timing.KeepFiringFor
			if got := len(edges) == 1; got != want {
				t.Fatalf("looks %+v: edge %v, want %v (open %v, lost %v)", looks, got, want, open, lost)
			}
			if len(edges) == 1 {
				open, lost = c != signalbox.Clear, c == signalbox.Unknown
			}
			if o := tr.Open(); (len(o) == 1) != open {
				t.Fatalf("looks %+v: open %+v, want %v", looks, o, open)
			}
		}
	})
}

// A breach that lasts longer than `for` and one interval, all of it known, is
// never missed, whatever came before.
func TestNoBreachIsMissed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		timing := Timing{For: time.Duration(rapid.IntRange(0, 120).Draw(t, "for")) * time.Second}
		tr := New(timing, 2*interval)
		before := rapid.SliceOfN(rapid.SampledFrom([]rune("BCU.")), 0, 30).Draw(t, "before")
		story(tr, string(before))
		n := len(before)
		for began := n; at(n).Sub(at(began)) <= timing.For+interval; n++ {
			tr.Step([]signalbox.Reading{reading("a", signalbox.Breached, at(n))}, at(n))
		}
		if len(tr.Open()) != 1 {
			t.Fatalf("after %q and a breach of %s the series is not open", string(before), at(n).Sub(at(len(before))))
		}
	})
}
