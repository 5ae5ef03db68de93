package prometheus

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/freshness"
	"github.com/signalbox/signalbox/internal/kind"
)

// detector implements signalbox.Detector. It is immutable.
type detector struct {
	common    kind.Common
	unit      signalbox.Unit
	limits    threshold.Limits
	origin    string
	maxAge    time.Duration
	value     *freshness.Query // nil: there is an slo
	slo       *burnrate.Settings
	counts    map[count]*freshness.Query // of the slo
	presence  *freshness.Query           // nil: there is none
	questions []signalbox.Question
	index     map[string]int // of a question's text in questions
}

func (d *detector) Questions() []signalbox.Question { return slices.Clone(d.questions) }

// round is one judgement under way.
type round struct {
	*detector
	answers []signalbox.Answer
	was     map[string]signalbox.Reading
	at      time.Time
	proof   []signalbox.Sample // of presence, fresh
	proofAt []time.Time        // the sample time of each
	noProof string             // why there is none
}

func (d *detector) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	r := &round{detector: d, answers: answers, was: was, at: at}
	if len(answers) != len(d.questions) {
		return r.nothing(fmt.Sprintf("%d answers came to %d questions", len(answers), len(d.questions)))
	}
	r.prove()
	look := r.values
	if d.slo != nil {
		look = r.burning
	}
	readings, why := look()
	if why != "" {
		return r.nothing(why)
	}
	there := make(map[string]bool, len(readings))
	for i := range readings {
		there[readings[i].Series] = true
	}
	none := len(readings) == 0
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if !there[id] {
			readings = append(readings, r.gone(was[id]))
		}
	}
	if none && len(r.proof) == 0 {
		readings = append(readings, r.whole("the query's answer is empty, and "+r.noProof))
	}
	return readings
}

// values judges each series of the query's answer; why says why nothing can be
// said of any.
func (r *round) values() (readings []signalbox.Reading, why string) {
	if why := r.faults(r.value); why != "" {
		return nil, why
	}
	found, ages := r.answer(r.value.Text), freshness.NewAges(r.value, r.answer)
	readings = make([]signalbox.Reading, 0, len(found.Samples)+len(r.was))
	there := make(map[string]bool, len(found.Samples))
	for _, s := range found.Samples {
		id := kind.SeriesID(s.Labels)
		if !there[id] {
			there[id] = true
			readings = append(readings, r.series(id, s, ages))
		}
	}
	return readings, ""
}

// faults says why nothing can be read from the answers to a query; "" when it
// can.
func (r *round) faults(q *freshness.Query) string {
	for _, text := range append([]string{q.Text}, q.Questions()...) {
		if why := kind.Faulty(r.answer(text)); why != "" {
			return why
		}
	}
	return ""
}

func (r *round) answer(text string) signalbox.Answer { return r.answers[r.index[text]] }

// prove gathers the fresh proof that what is watched is there.
func (r *round) prove() {
	if r.presence == nil {
		r.noProof = "no presence query proves that what is watched is there"
		return
	}
	if why := r.faults(r.presence); why != "" {
		r.noProof = "its presence is unknown: " + why
		return
	}
	r.noProof = "presence is not proved"
	ages := freshness.NewAges(r.presence, r.answer)
	for _, s := range r.answer(r.presence.Text).Samples {
		m, ok := ages.Behind(s.Labels)
		if why := r.stale(m, ok); why != "" {
			r.noProof = "presence is not proved: " + why
			continue
		}
		if s.Value != 0 && !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0) {
			r.proof, r.proofAt = append(r.proof, s), append(r.proofAt, m.Oldest)
		}
	}
}

// stale says why the samples behind a result prove nothing; "" when they do.
func (r *round) stale(m freshness.Moments, ok bool) string {
	switch {
	case !ok:
		return "no present sample stands behind the value"
	case m.Newest.After(r.at.Add(futureSlack)):
		return fmt.Sprintf("a sample behind it is %s in the future", m.Newest.Sub(r.at).Round(time.Second))
	case r.at.Sub(m.Oldest) > r.maxAge:
		return fmt.Sprintf("a sample behind it is %s old, and at most %s is fresh", r.at.Sub(m.Oldest).Round(time.Second), r.maxAge)
	}
	return ""
}

// series judges one series of the answer.
func (r *round) series(id string, s signalbox.Sample, ages *freshness.Ages) signalbox.Reading {
	subject, missing := r.common.Subject.Expand(s.Labels)
	out := r.reading(id, subject, r.common.Kept(s.Labels))
	m, ok := ages.Behind(s.Labels)
	if ok {
		out.SampleAt = m.Oldest
	}
	why := r.stale(m, ok)
	if missing != "" {
		why = kind.MissingLabel(missing)
	}
	if why != "" {
		return kind.Unknown(out, why)
	}
	condition, why := r.limits.Judge(s.Value, r.was[id].Condition)
	if condition == signalbox.Unknown {
		return kind.Unknown(out, why)
	}
	out.Condition, out.Value, out.HasValue = condition, signalbox.Float(s.Value), true
	out.Summary = subject + ": " + kind.Format(s.Value, r.unit) + ", " + why
	return out
}

// gone judges a series that is known and not in the answer: well, where what
// is watched is proved to be there, and otherwise Unknown.
func (r *round) gone(was signalbox.Reading) signalbox.Reading {
	out := r.reading(was.Series, was.Subject, was.Labels)
	out.SampleAt = was.SampleAt
	for i, p := range r.proof {
		if agree(p.Labels, was.Labels) {
			out.Condition, out.SampleAt, out.EndedAt = signalbox.Clear, r.proofAt[i], r.at
			out.Summary = was.Subject + ": gone, and what is watched is proved to be there"
			return out
		}
	}
	why := "the series is gone, and " + r.noProof
	if len(r.proof) > 0 {
		why = "the series is gone, and presence is proved for others only"
	}
	return kind.Unknown(out, why)
}

// agree reports whether two label sets have no label with two values.
func agree(a, b map[string]string) bool {
	for n, v := range a {
		if w, shared := b[n]; shared && n != model.MetricNameLabel && v != w {
			return false
		}
	}
	return true
}

// nothing is what is said when nothing can be said of any series.
func (r *round) nothing(why string) []signalbox.Reading {
	readings := make([]signalbox.Reading, 0, len(r.was)+1)
	for _, id := range slices.Sorted(maps.Keys(r.was)) {
		w := r.was[id]
		out := r.reading(id, w.Subject, w.Labels)
		out.SampleAt = w.SampleAt
		readings = append(readings, kind.Unknown(out, why))
	}
	return append(readings, r.whole(why))
}

// whole is the reading of the detector itself, which has no series.
func (r *round) whole(why string) signalbox.Reading {
	return kind.Unknown(r.reading("", r.common.Name, nil), why)
}

func (r *round) reading(series, subject string, labels map[string]string) signalbox.Reading {
	out := signalbox.Reading{
		Detector: r.common.Name, Series: series, Subject: subject, Labels: labels, Unit: r.unit, At: r.at,
		Origin: r.origin, Confirmed: true, Owner: r.common.Owner, Links: r.common.Links,
	}
	if r.value != nil {
		out.Threshold, out.Window = r.limits.Breach.String(), r.value.Window
	}
	return out
}
