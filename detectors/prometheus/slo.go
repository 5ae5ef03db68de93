package prometheus

import (
	"maps"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/internal/freshness"
	"github.com/signalbox/signalbox/internal/kind"
)

// count is one part of an slo over one window.
type count struct {
	part   burnrate.Part
	window time.Duration
}

// planSLO asks for each part over each window. What their freshness needs is
// the same for all windows, and is asked for once.
func (d *detector) planSLO() error {
	d.counts = map[count]*freshness.Query{}
	for _, w := range d.slo.Spans() {
		for _, p := range d.slo.Parts() {
			q, err := d.add("slo."+string(p), d.slo.Query(p, w))
			if err != nil {
				return err
			}
			d.counts[count{p, w}] = q
		}
	}
	return nil
}

// burning judges each series of the slo. An answer that failed takes only its
// own window away.
func (r *round) burning() (readings []signalbox.Reading, why string) {
	found, why := r.slo.Series(r.counted)
	if why != "" && !r.answered() {
		return nil, why
	}
	for _, s := range found {
		readings = append(readings, r.burns(s))
	}
	return readings, ""
}

// answered reports whether no answer of the slo failed: then an empty one is
// empty.
func (r *round) answered() bool {
	for _, q := range r.counts {
		if r.faults(q) != "" {
			return false
		}
	}
	return true
}

// counted are the series of one part over one window.
func (r *round) counted(p burnrate.Part, window time.Duration) (found []burnrate.Measured, why string) {
	q := r.counts[count{p, window}]
	if why := r.faults(q); why != "" {
		return nil, why
	}
	ages := freshness.NewAges(q, r.answer)
	for _, s := range r.answer(q.Text).Samples {
		labels := s.Labels
		if _, named := labels[model.MetricNameLabel]; named {
			labels = maps.Clone(labels)
			delete(labels, model.MetricNameLabel)
		}
		m, ok := ages.Behind(s.Labels)
		found = append(found, burnrate.Measured{Labels: labels, Value: s.Value, At: m.Oldest, Why: r.stale(m, ok)})
	}
	return found, ""
}

func (r *round) burns(s burnrate.Series) signalbox.Reading {
	subject, missing := r.common.Subject.Expand(s.Labels)
	out := r.reading(kind.SeriesID(s.Labels), subject, r.common.Kept(s.Labels))
	out.SampleAt, out.Threshold, out.Window = s.At, s.Pair.String(), s.Window
	switch {
	case missing != "":
		return kind.Unknown(out, kind.MissingLabel(missing))
	case s.Condition == signalbox.Unknown:
		return kind.Unknown(out, s.Why)
	}
	out.Condition, out.Value, out.HasValue = s.Condition, signalbox.Float(s.Burn), true
	out.Summary = subject + ": " + s.Summary()
	return out
}
