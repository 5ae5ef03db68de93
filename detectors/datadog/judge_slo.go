package datadog

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
)

// begin begins the reading of an SLO, whose labels any sample of it has.
func (r *round) begin(s signalbox.Sample) (signalbox.Reading, bool) {
	id := s.Labels["slo_id"]
	return r.series(seriesID("slo", id), s, r.link("SLO in Datadog", "/slo", url.Values{"slo_id": {id}})...)
}

// slo is the one reading of an SLO's detector; a series under another id, that
// the name stood for earlier, is Unknown.
func (r *round) slo(out signalbox.Reading) []signalbox.Reading {
	return append(r.others(map[string]bool{out.Series: true}, "the detector watches another SLO now"), out)
}

// pair is one pair of windows: the places of their answers, and the bound.
type pair struct {
	long, short             int
	longWindow, shortWindow time.Duration
	burn                    float64
}

// burnJudge is Breached when in any pair both windows burn faster than its
// bound, and Clear when in each pair the short window is known, and one of the
// two does not. So the loss of one window hides no breach that another pair
// proves; and a long window alone, which is as well as it was before the data
// stopped, proves no health.
type burnJudge struct{ pairs []pair }

// looked is what is known of one pair.
type looked struct {
	pair
	condition signalbox.Condition
	value     float64       // the burn rate that decides: the lesser of those known
	window    time.Duration // over which it was measured
	sample    signalbox.Sample
	why       string // why it is Unknown
}

func (p pair) look(r *round) looked {
	out := looked{pair: p, value: math.Inf(1)}
	known, beyond, recent := 0, 0, false
	for _, w := range []struct {
		place  int
		window time.Duration
	}{{p.long, p.longWindow}, {p.short, p.shortWindow}} {
		s, why := r.only(w.place)
		switch {
		case why != "":
			out.why = fmt.Sprintf("over %s: %s", kind.Duration(w.window), why)
			continue
		case math.IsNaN(s.Value) || math.IsInf(s.Value, 0):
			out.why = fmt.Sprintf("over %s: the burn rate is not a number", kind.Duration(w.window))
			continue
		}
		known++
		recent = w.place == p.short
		if s.Value > p.burn {
			beyond++
		}
		if s.Value < out.value {
			out.value, out.window, out.sample = s.Value, w.window, s
		}
	}
	switch {
	case known > beyond && recent:
		out.condition = signalbox.Clear
	case known == 2:
		out.condition, out.window = signalbox.Breached, p.longWindow
	}
	return out
}

func (j burnJudge) judge(r *round) []signalbox.Reading {
	pairs := make([]looked, len(j.pairs))
	for i, p := range j.pairs {
		pairs[i] = p.look(r)
	}
	// The worst decides: any Breached, then any Unknown, then the nearest to its bound.
	worst := slices.MaxFunc(pairs, func(a, b looked) int {
		if a.condition != b.condition {
			return rank(a.condition) - rank(b.condition)
		}
		if d := a.value/a.burn - b.value/b.burn; d < 0 {
			return -1
		} else if d > 0 {
			return 1
		}
		return 0
	})
	if worst.condition == signalbox.Unknown {
		return r.nothing(worst.why)
	}
	out, ok := r.begin(worst.sample)
	out.Threshold = fmt.Sprintf("burn above %s over %s and %s", number(worst.burn), kind.Duration(worst.longWindow), kind.Duration(worst.shortWindow))
	if ok {
		out.Condition, out.Value, out.HasValue, out.Window = worst.condition, signalbox.Float(worst.value), true, worst.window
		verb := "at most"
		if out.Condition == signalbox.Breached {
			verb = "above"
		}
		out.Summary = fmt.Sprintf("%s: the error budget burns %s times as fast as it may, %s %s", out.Subject, number(worst.value), verb, number(worst.burn))
	}
	return r.slo(out)
}

func rank(c signalbox.Condition) int {
	switch c {
	case signalbox.Breached:
		return 2
	case signalbox.Unknown:
		return 1
	}
	return 0
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// budgetJudge judges what is left of the error budget: 1 is all, 0 none, and
// less than 0 more than there was. It is computed from the SLI over the whole
// timeframe, since Datadog's own figure is 0 for monitor SLOs.
type budgetJudge struct{ limits threshold.Limits }

func (j budgetJudge) judge(r *round) []signalbox.Reading {
	s, why := r.only(0)
	if why != "" {
		return r.nothing(why)
	}
	out, ok := r.begin(s)
	out.Threshold, out.Window = "error budget left "+j.limits.Breach.String(), lengthOf(s.Labels["timeframe"])
	if !ok {
		return r.slo(out)
	}
	left := 1 - s.Value
	condition, why := j.limits.Judge(left, r.was[out.Series].Condition)
	if condition == signalbox.Unknown {
		return r.slo(unknown(out, why))
	}
	out.Condition, out.Value, out.HasValue = condition, signalbox.Float(left), true
	out.Summary = fmt.Sprintf("%s: %s%% of the error budget of %s left, %s", out.Subject, number(left*100), s.Labels["timeframe"], why)
	return r.slo(out)
}

// stateJudge judges the state that Datadog computed.
type stateJudge struct{ ill []string }

func (j stateJudge) judge(r *round) []signalbox.Reading {
	s, why := r.only(0)
	if why != "" {
		return r.nothing(why)
	}
	out, ok := r.begin(s)
	out.Threshold = "state " + fmt.Sprint(j.ill)
	if !ok {
		return r.slo(out)
	}
	switch state := s.Labels[stateLabel]; {
	case slices.Contains(j.ill, state):
		out.Condition = signalbox.Breached
	case state == "ok" || state == "warning" || state == "breached":
		out.Condition = signalbox.Clear
	default:
		return r.slo(unknown(out, "the state is neither ok, warning nor breached"))
	}
	if !math.IsNaN(s.Value) && s.Labels["slo_type"] != "monitor" { // of monitor SLOs Datadog's figure can't be trusted
		out.Value, out.HasValue = signalbox.Float(s.Value), true
	}
	out.Summary = out.Subject + ": the SLO's state is " + s.Labels[stateLabel]
	return r.slo(out)
}
