package burnrate

import (
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

var moment = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func objective(t *testing.T, text string) kind.Quantity {
	t.Helper()
	var q kind.Quantity
	if err := q.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return q
}

func rates(m map[time.Duration]Rate) func(time.Duration) Rate {
	return func(w time.Duration) Rate {
		if r, ok := m[w]; ok {
			return r
		}
		return Rate{Why: "not asked"}
	}
}

func TestJudgePairs(t *testing.T) {
	const lost = -1.0
	for name, c := range map[string]struct {
		h1, m5, h6, m30 float64
		want            signalbox.Condition
		window          time.Duration
		burn            float64
	}{
		"all is well":                    {0.5, 0.4, 0.5, 0.4, signalbox.Clear, 0, 0},
		"fast burn":                      {20, 30, 5, 5, signalbox.Breached, time.Hour, 20},
		"over already":                   {20, 1, 5, 5, signalbox.Clear, 0, 0},
		"only begun":                     {2, 40, 1, 4, signalbox.Clear, 0, 0},
		"slow burn":                      {7, 7, 7, 8, signalbox.Breached, 6 * time.Hour, 7},
		"both":                           {20, 15, 7, 8, signalbox.Breached, time.Hour, 15},
		"exactly the bound is no breach": {14.4, 14.4, 6, 6, signalbox.Clear, 0, 0},
		"the long one is lost, breach by the other pair":      {lost, 30, 7, 8, signalbox.Breached, 6 * time.Hour, 7},
		"the long one is lost, and its short one proves well": {lost, 1, 1, 1, signalbox.Clear, 0, 0},
		"the long one is lost, and its short one burns":       {lost, 30, 1, 1, signalbox.Unknown, 0, 0},
		"the short one is lost, and the long one is well":     {1, lost, 1, 1, signalbox.Unknown, 0, 0},
		"everything is lost":                                  {lost, lost, lost, lost, signalbox.Unknown, 0, 0},
		"not a number":                                        {math.NaN(), 30, 1, 1, signalbox.Unknown, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m := map[time.Duration]Rate{}
			for w, v := range map[time.Duration]float64{time.Hour: c.h1, 5 * time.Minute: c.m5, 6 * time.Hour: c.h6, 30 * time.Minute: c.m30} {
				m[w] = Rate{Burn: v, At: moment}
				if v == lost {
					m[w] = Rate{Why: "the query timed out"}
				}
			}
			got := Judge(Workbook(), rates(m))
			if got.Condition != c.want {
				t.Fatalf("got %s, want %s: %+v", got.Condition, c.want, got)
			}
			if c.want == signalbox.Breached && (got.Window != c.window || got.Burn != c.burn) {
				t.Errorf("got %v over %s, want %v over %s", got.Burn, got.Window, c.burn, c.window)
			}
			if (got.Why == "") != (c.want != signalbox.Unknown) {
				t.Errorf("%s, and why is %q", c.want, got.Why)
			}
		})
	}
}

// What is lost never makes ill what was well, nor well what was ill: it can
// only become Unknown, or stay.
func TestLosingAWindowOnlyTakesKnowledge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, some := map[time.Duration]Rate{}, map[time.Duration]Rate{}
		for _, p := range Workbook() {
			for _, w := range []time.Duration{p.Long, p.Short} {
				all[w] = Rate{Burn: rapid.Float64Range(0, 30).Draw(t, "burn"), At: moment}
				some[w] = all[w]
				if rapid.Bool().Draw(t, "lost") {
					some[w] = Rate{Why: "lost"}
				}
			}
		}
		whole, part := Judge(Workbook(), rates(all)).Condition, Judge(Workbook(), rates(some)).Condition
		if part != signalbox.Unknown && part != whole {
			t.Fatalf("with all it is %s, with some %s", whole, part)
		}
	})
}

// world answers with counts by series: good, bad and total.
type world map[string][3]float64

const absent = -1

func (w world) look(p Part, _ time.Duration) (out []Measured, why string) {
	for name, v := range w {
		n := map[Part]float64{Good: v[0], Bad: v[1], Total: v[2], Ratio: v[0] / v[2]}[p]
		if n != absent {
			out = append(out, Measured{Labels: map[string]string{"service": name}, Value: n, At: moment})
		}
	}
	return out, ""
}

func TestSeries(t *testing.T) {
	good := Settings{Good: "g[$window]", Total: "t[$window]", Objective: objective(t, "99.9%")}
	bad := Settings{Bad: "b[$window]", Total: "t[$window]", Objective: objective(t, "99.9%")}
	ratio := Settings{Ratio: "r[$window]", Objective: objective(t, "99.9%")}
	for name, c := range map[string]struct {
		s    Settings
		has  [3]float64
		want signalbox.Condition
		burn float64
		why  string
	}{
		"good":                          {good, [3]float64{980, 0, 1000}, signalbox.Breached, 20, ""},
		"bad":                           {bad, [3]float64{0, 20, 1000}, signalbox.Breached, 20, ""},
		"ratio":                         {ratio, [3]float64{0.98, 0, 1}, signalbox.Breached, 20, ""},
		"well":                          {good, [3]float64{999.9, 0, 1000}, signalbox.Clear, 0.1, ""},
		"no bad one was ever counted":   {bad, [3]float64{0, absent, 1000}, signalbox.Clear, 0, ""},
		"no good one was ever counted":  {good, [3]float64{absent, 0, 1000}, signalbox.Unknown, 0, "in total and not in good"},
		"nothing happened":              {good, [3]float64{0, 0, 0}, signalbox.Clear, 0, ""},
		"nothing happened, and a ratio": {ratio, [3]float64{0, 0, 0}, signalbox.Unknown, 0, "not a number"},
		"a little more good than all":   {good, [3]float64{1001, 0, 1000}, signalbox.Clear, 0, ""},
		"much more good than all":       {good, [3]float64{1200, 0, 1000}, signalbox.Unknown, 0, "no share"},
		"more bad than all":             {bad, [3]float64{0, 1200, 1000}, signalbox.Unknown, 0, "no share"},
		"everything bad":                {bad, [3]float64{0, 1000, 1000}, signalbox.Breached, 1000, ""},
	} {
		t.Run(name, func(t *testing.T) {
			out, why := c.s.Series(world{"api": c.has}.look)
			if why != "" || len(out) != 1 {
				t.Fatalf("%q, %+v", why, out)
			}
			got := out[0]
			if got.Condition != c.want || !strings.Contains(got.Why, c.why) || c.why == "" && math.Abs(got.Burn-c.burn) > 1e-6 {
				t.Errorf("got %+v", got)
			}
			if c.want != signalbox.Unknown && !got.At.Equal(moment) {
				t.Errorf("the sample behind it is of %s", got.At)
			}
		})
	}
}

func TestNothingIsNotHealth(t *testing.T) {
	s := Settings{Bad: "b[$window]", Total: "t[$window]", Objective: objective(t, "99%")}
	if out, why := s.Series(world{}.look); len(out) != 0 || why != "the answer of total is empty" {
		t.Errorf("%q, %+v", why, out)
	}
	failing := func(Part, time.Duration) ([]Measured, string) { return nil, "no answer in time" }
	if out, why := s.Series(failing); len(out) != 0 || !strings.Contains(why, "no answer in time") {
		t.Errorf("%q, %+v", why, out)
	}
}

func TestValidate(t *testing.T) {
	fine := func(string) error { return nil }
	pair := func(long, short time.Duration, burn float64) []Window {
		return []Window{{Long: kind.Duration(long), Short: kind.Duration(short), Burn: burn}}
	}
	for name, c := range map[string]struct {
		s    Settings
		want string
	}{
		"right":             {Settings{Good: "$window", Total: "$window", Objective: objective(t, "99.9%")}, ""},
		"only good":         {Settings{Good: "$window", Objective: objective(t, "99.9%")}, "slo must have good and total, or bad and total, or ratio alone"},
		"good and bad":      {Settings{Good: "$window", Bad: "$window", Total: "$window", Objective: objective(t, "99.9%")}, "slo must have good and total"},
		"no window":         {Settings{Ratio: "x", Objective: objective(t, "99.9%")}, "slo.ratio must say $window"},
		"objective":         {Settings{Ratio: "$window", Objective: objective(t, "99.9")}, "slo.objective must be a share"},
		"all good":          {Settings{Ratio: "$window", Objective: objective(t, "100%")}, "slo.objective must be a share"},
		"never reached":     {Settings{Ratio: "$window", Objective: objective(t, "90%"), Windows: pair(time.Hour, 5*time.Minute, 14.4)}, "slo.windows[0].burn must be above 0 and below 10,"},
		"workbook's never":  {Settings{Ratio: "$window", Objective: objective(t, "90%")}, "slo.windows must be given"},
		"short above long":  {Settings{Ratio: "$window", Objective: objective(t, "99%"), Windows: pair(time.Minute, time.Hour, 2)}, "slo.windows[0].long must be longer"},
		"burn not a number": {Settings{Ratio: "$window", Objective: objective(t, "99%"), Windows: pair(time.Hour, time.Minute, math.NaN())}, "slo.windows[0].burn must be above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			c.s.Validate(func(path, rule string, _ any) { said = append(said, path+" "+rule) }, fine)
			if c.want == "" && len(said) > 0 || c.want != "" && (len(said) != 1 || !strings.HasPrefix(said[0], c.want)) {
				t.Errorf("got %q, want %q", said, c.want)
			}
		})
	}
}

func TestQueryIsFilledIn(t *testing.T) {
	s := Settings{Ratio: "a[$window] / b[$window]"}
	if got := s.Query(Ratio, 90*time.Minute); got != "a[1h30m] / b[1h30m]" {
		t.Error(got)
	}
}
