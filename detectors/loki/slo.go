package loki

import (
	"fmt"
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/burnrate"
	"github.com/signalbox/signalbox/internal/kind"
)

// burnDetector judges how fast an error budget burns, counted in lines. It
// implements signalbox.Detector, and is immutable.
type burnDetector struct {
	base
	slo       *burnrate.Settings
	questions []signalbox.Question // the counts, then presence
	places    map[count]int        // of a count in questions
}

// count is one part of an slo over one window.
type count struct {
	part   burnrate.Part
	window time.Duration
}

// validateSLO holds what stands beside slo to what it can be.
func (d *DetectorSettings) validateSLO(fail kind.Fail) {
	d.SLO.Validate(fail, func(query string) error {
		s, err := parseValue(query)
		if err == nil && s.comparison {
			err = errComparison
		}
		return err
	})
	if d.Presence == "" {
		fail("presence", `must be given with slo, since a log that is no longer written burns nothing: LogQL that counts what the same log always holds, like sum(count_over_time({app="api"}[5m]))`, nil)
	}
	if d.ValueUnit != signalbox.Number {
		fail("unit", "must be absent with slo: a burn rate is a plain number", string(d.ValueUnit))
	}
	if b := d.Breach.Bound(); b.Text != "" {
		fail("breach", "must say only for: the thresholds of an slo stand in slo.windows", b.String())
	}
	if b := d.Clear.Bound(); b.Text != "" {
		fail("clear", "must say only for: the thresholds of an slo stand in slo.windows", b.String())
	}
}

func newBurnDetector(b base, slo *burnrate.Settings) *burnDetector {
	d := &burnDetector{base: b, slo: slo, places: map[count]int{}}
	for _, w := range slo.Spans() {
		for _, p := range slo.Parts() {
			d.places[count{p, w}] = len(d.questions)
			d.questions = append(d.questions, signalbox.Question{Source: b.common.Source, Query: slo.Query(p, w)})
		}
	}
	d.questions = append(d.questions, signalbox.Question{Source: b.common.Source, Query: b.presence})
	return d
}

// Questions are each part over each window, and what proves that the log is
// written.
func (d *burnDetector) Questions() []signalbox.Question { return slices.Clone(d.questions) }

// Judge judges each series of the slo. An answer that failed takes only its own
// window away.
func (d *burnDetector) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	r := &round{base: &d.base, was: was, at: at}
	if len(answers) != len(d.questions) {
		return r.nothing(fmt.Sprintf("%d answers came to %d questions", len(answers), len(d.questions)))
	}
	r.prove(answers[len(answers)-1])
	failed := ""
	found, none := d.slo.Series(func(p burnrate.Part, w time.Duration) (out []burnrate.Measured, why string) {
		a := answers[d.places[count{p, w}]]
		if why := kind.Faulty(a); why != "" {
			failed = why
			return nil, why
		}
		for _, s := range a.Samples {
			out = append(out, burnrate.Measured{Labels: s.Labels, Value: s.Value, At: at})
		}
		return out, ""
	})
	if none != "" && failed != "" {
		return r.nothing(none)
	}
	readings, there := make([]signalbox.Reading, 0, len(found)+len(was)), map[string]bool{}
	for _, s := range found {
		reading := d.burns(r, s)
		there[reading.Series] = true
		readings = append(readings, reading)
	}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if !there[id] {
			readings = append(readings, r.gone(was[id], at))
		}
	}
	if len(found) == 0 && len(r.proof) == 0 {
		readings = append(readings, r.whole("no line is there to count, and "+r.noProof))
	}
	return readings
}

// burns judges one series. That it is well needs the proof that the log is
// written: what is not written burns nothing.
func (d *burnDetector) burns(r *round, s burnrate.Series) signalbox.Reading {
	subject, missing := d.common.Subject.Expand(s.Labels)
	out := r.reading(kind.SeriesID(s.Labels), subject, d.common.Kept(s.Labels))
	out.SampleAt, out.Threshold, out.Window = r.at, s.Pair.String(), s.Window
	switch proved, noProof := r.proved(s.Labels); {
	case missing != "":
		return kind.Unknown(out, kind.MissingLabel(missing))
	case s.Condition == signalbox.Unknown:
		return kind.Unknown(out, s.Why)
	case s.Condition == signalbox.Clear && !proved:
		return kind.Unknown(out, "its counts may lack lines, and "+noProof)
	}
	out.Condition, out.Value, out.HasValue = s.Condition, signalbox.Float(s.Burn), true
	out.Summary = subject + ": " + s.Summary()
	return out
}
