package threshold

import (
	"fmt"
	"math"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"pgregory.net/rapid"
)

func quantity(t *testing.T, text string) (q kind.Quantity) {
	t.Helper()
	if text != "" {
		if err := q.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

func TestJudge(t *testing.T) {
	above := Limits{Breach: Bound{true, 100, "100"}, Clear: Bound{false, 80, "80"}}
	below := Limits{Breach: Bound{false, 3, "3"}, Clear: Bound{true, 5, "5"}}
	single := Limits{Breach: Bound{true, 100, "100"}}
	const u, c, b = signalbox.Unknown, signalbox.Clear, signalbox.Breached
	for _, x := range []struct {
		limits Limits
		value  float64
		was    signalbox.Condition
		want   signalbox.Condition
		why    string
	}{
		{above, 101, c, b, "above 100"},
		{above, 100, c, c, "not above 100"},
		{above, 100, b, b, "not yet below 80"},
		{above, 80, b, b, "not yet below 80"},
		{above, 79, b, c, "below 80"},
		{above, 90, u, c, "not above 100"},
		{below, 2, c, b, "below 3"},
		{below, 4, b, b, "not yet above 5"},
		{below, 4, c, c, "not below 3"},
		{below, 6, b, c, "above 5"},
		{single, 100, b, c, "not above 100"},
		{single, 100.5, u, b, "above 100"},
		{above, math.NaN(), b, u, "the value is not a number"},
		{above, math.Inf(1), c, u, "the value is infinite"},
		{below, math.Inf(-1), c, u, "the value is infinite"},
	} {
		if got, why := x.limits.Judge(x.value, x.was); got != x.want || why != x.why {
			t.Errorf("%v of %v was %v: got %v, %q; want %v, %q", x.limits, x.value, x.was, got, why, x.want, x.why)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		name                     string
		unit                     signalbox.Unit
		above, below, cAbv, cBlw string
		want                     string
	}{
		{"good", "s", "100ms", "", "", "80ms", ""},
		{"good below", "", "", "80%", "0.9", "", ""},
		{"no clear", "B", "1GiB", "", "", "", ""},
		{"equal", "", "5", "", "", "5", ""},
		{"none", "", "", "", "", "", "breach: must say above or below"},
		{"both", "", "1", "2", "", "", "breach: must say only one"},
		{"clear both", "", "1", "", "2", "1", "clear: must say only one"},
		{"unit", "ms", "1", "", "", "", "unit: must be s, B, or absent"},
		{"unit of breach", "s", "5", "", "", "", "breach.above: must agree with unit, which says that the value is in seconds (write 100ms, 5s, 2m, 1h), got 5"},
		{"unit of clear", "", "5", "", "", "4s", "clear.below: must agree with unit"},
		{"bytes", "B", "5", "", "", "", "in bytes"},
		{"same side", "", "5", "", "4", "", "clear.above: must be on the other side: say clear.below, at most breach.above (5), got 4"},
		{"same side below", "", "", "5", "", "6", "clear.below: must be on the other side"},
		{"reversed", "s", "50ms", "", "", "80ms", "clear.below: must not be greater than breach.above (50ms), got 80ms"},
		{"reversed below", "", "", "5", "4", "", "clear.above: must not be less than breach.below (5), got 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			Validate(func(path, rule string, value any) {
				got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
			}, c.unit,
				Side{Above: quantity(t, c.above), Below: quantity(t, c.below)}, Side{Above: quantity(t, c.cAbv), Below: quantity(t, c.cBlw)})
			if c.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || c.want == "" || !strings.Contains(got[0], c.want) {
				t.Errorf("got %q, want one with %q", got, c.want)
			}
		})
	}
}

// Whatever was before, a value is never Breached on the healthy side of the
// clear threshold, never Clear beyond the breach threshold, and a second look
// at the same value changes nothing.
func TestHysteresisIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-1e6, 1e6).Draw(t, "low")
		high := low + rapid.Float64Range(0, 1e6).Draw(t, "width")
		l := Limits{Breach: Bound{true, high, "high"}, Clear: Bound{false, low, "low"}}
		if rapid.Bool().Draw(t, "below") {
			l = Limits{Breach: Bound{false, low, "low"}, Clear: Bound{true, high, "high"}}
		}
		v := rapid.Float64Range(-3e6, 3e6).Draw(t, "value")
		was := signalbox.Condition(rapid.IntRange(0, 2).Draw(t, "was"))
		c, _ := l.Judge(v, was)
		switch again, _ := l.Judge(v, c); {
		case l.Breach.crossed(v) != (c == signalbox.Breached) && was != signalbox.Breached,
			l.Clear.crossed(v) && c != signalbox.Clear,
			l.Breach.crossed(v) && c != signalbox.Breached,
			again != c:
			t.Fatalf("%+v of %v was %v: %v, then %v", l, v, was, c, again)
		}
	})
}
