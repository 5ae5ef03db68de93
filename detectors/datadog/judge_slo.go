package datadog

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
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

// burnJudge judges the burn rates over pairs of windows.
type burnJudge struct {
	pairs  []burnrate.Pair
	places map[time.Duration]int // of the answer over a window
}

func (j burnJudge) judge(r *round) []signalbox.Reading {
	samples := map[time.Duration]signalbox.Sample{}
	said := burnrate.Judge(j.pairs, func(window time.Duration) burnrate.Rate {
		s, why := r.only(j.places[window])
		samples[window] = s
		return burnrate.Rate{Burn: s.Value, At: s.At, Why: why}
	})
	if said.Condition == signalbox.Unknown {
		return r.nothing(said.Why)
	}
	out, ok := r.begin(samples[said.Window])
	out.Threshold = said.Pair.String()
	if ok {
		out.Condition, out.Value, out.HasValue, out.Window = said.Condition, signalbox.Float(said.Burn), true, said.Window
		out.Summary = out.Subject + ": " + said.Summary()
	}
	return r.slo(out)
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
		return r.slo(kind.Unknown(out, why))
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
		return r.slo(kind.Unknown(out, "the state is neither ok, warning nor breached"))
	}
	if !math.IsNaN(s.Value) && s.Labels["slo_type"] != "monitor" { // of monitor SLOs Datadog's figure can't be trusted
		out.Value, out.HasValue = signalbox.Float(s.Value), true
	}
	out.Summary = out.Subject + ": the SLO's state is " + s.Labels[stateLabel]
	return r.slo(out)
}
