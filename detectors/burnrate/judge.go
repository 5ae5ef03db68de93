package burnrate

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// Pair is one pair of windows and the burn rate that both must exceed.
type Pair struct {
	Long, Short time.Duration
	Burn        float64
}

func (p Pair) String() string {
	return fmt.Sprintf("burn above %s over %s and %s", number(p.Burn), kind.Duration(p.Long), kind.Duration(p.Short))
}

// Rate is how fast the error budget burned over one window.
type Rate struct {
	Burn float64
	At   time.Time // the oldest sample behind it
	Why  string    // not empty: it is Unknown, and this is why
}

// unknown says why a rate says nothing; "" when it does.
func (r Rate) unknown() string {
	switch {
	case r.Why != "":
		return r.Why
	case math.IsNaN(r.Burn), math.IsInf(r.Burn, 0):
		return "the burn rate is not a number"
	}
	return ""
}

// Judgement is what the rates say.
type Judgement struct {
	Condition signalbox.Condition
	Pair      Pair
	Burn      float64       // the rate that decides: the lesser of the pair's that are known
	Window    time.Duration // that it was measured over; of a breach the long one, which must lie after an effect
	At        time.Time     // the oldest sample behind it
	Why       string        // of Unknown
}

// Judge is Breached when in any pair both windows burn faster than its bound,
// Clear when in each pair the short one is known, and one of the two does not,
// and else Unknown: a long window alone is as well as it was before the data
// stopped. rate tells the
// rate over a window. There is at least one pair. Of several that are breached
// the first tells, of several that are well the one nearest to its bound.
func Judge(pairs []Pair, rate func(window time.Duration) Rate) Judgement {
	looked := make([]Judgement, len(pairs))
	for i, p := range pairs {
		looked[i] = look(p, rate)
	}
	return slices.MaxFunc(looked, func(a, b Judgement) int {
		if a.Condition != b.Condition {
			return rank(a.Condition) - rank(b.Condition)
		}
		if a.Condition == signalbox.Breached {
			return 0 // the first tells
		}
		switch d := a.Burn/a.Pair.Burn - b.Burn/b.Pair.Burn; {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	})
}

// rank: a breach that is proved stands whatever else is unknown, and health
// only when nothing is.
func rank(c signalbox.Condition) int {
	switch c {
	case signalbox.Breached:
		return 2
	case signalbox.Unknown:
		return 1
	}
	return 0
}

func look(p Pair, rate func(time.Duration) Rate) Judgement {
	out := Judgement{Pair: p}
	known, beyond, recent := 0, 0, false
	for _, w := range []time.Duration{p.Long, p.Short} {
		r := rate(w)
		if why := r.unknown(); why != "" {
			if out.Why == "" {
				out.Why = fmt.Sprintf("over %s: %s", kind.Duration(w), why)
			}
			continue
		}
		known++
		recent = w == p.Short
		if r.Burn > p.Burn {
			beyond++
		}
		if known == 1 || r.Burn < out.Burn {
			out.Burn, out.Window = r.Burn, w
		}
		if out.At.IsZero() || r.At.Before(out.At) {
			out.At = r.At
		}
	}
	switch {
	case known > beyond && recent:
		out.Condition, out.Why = signalbox.Clear, ""
	case known == 2:
		out.Condition, out.Window = signalbox.Breached, p.Long
	}
	return out
}

// Summary says a judgement that is known in a few words.
func (j Judgement) Summary() string {
	verb := "at most"
	if j.Condition == signalbox.Breached {
		verb = "above"
	}
	return fmt.Sprintf("the error budget burns %s times as fast as it may over %s, %s %s", number(j.Burn), kind.Duration(j.Window), verb, number(j.Pair.Burn))
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }
