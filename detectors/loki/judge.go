package loki

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
)

// base is what both detectors of this kind have. It is immutable.
type base struct {
	common    kind.Common
	unit      signalbox.Unit
	origin    string
	presence  string // "": there is none
	threshold string // for people
	window    time.Duration
}

// round is one judgement under way.
type round struct {
	*base
	was     map[string]signalbox.Reading
	at      time.Time
	proof   []signalbox.Sample // of presence
	noProof string             // why there is none
}

// detector judges the value of a query. It implements signalbox.Detector, and
// is immutable.
type detector struct {
	base
	query  string
	limits threshold.Limits
}

func (d *detector) Questions() []signalbox.Question {
	qs := []signalbox.Question{{Source: d.common.Source, Query: d.query}}
	if d.presence != "" && d.presence != d.query {
		qs = append(qs, signalbox.Question{Source: d.common.Source, Query: d.presence})
	}
	return qs
}

func (d *detector) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	r := &round{base: &d.base, was: was, at: at}
	if asked := len(d.Questions()); len(answers) != asked {
		return r.nothing(fmt.Sprintf("%d answers came to %d questions", len(answers), asked))
	}
	found := answers[0]
	if why := kind.Faulty(found); why != "" {
		return r.nothing(why)
	}
	r.prove(answers[len(answers)-1])
	readings := make([]signalbox.Reading, 0, len(found.Samples)+len(was))
	there := make(map[string]bool, len(found.Samples))
	for _, s := range found.Samples {
		id := kind.SeriesID(s.Labels)
		if !there[id] {
			there[id] = true
			readings = append(readings, d.series(r, id, s))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if !there[id] {
			readings = append(readings, r.gone(was[id], at))
		}
	}
	if len(found.Samples) == 0 && len(r.proof) == 0 {
		readings = append(readings, r.whole("no line is there to give a value, and "+r.noProof))
	}
	return readings
}

// series judges one series of the answer. A value that may only be low because
// lines are missing needs the proof that the log is written, where presence is
// given.
func (d *detector) series(r *round, id string, s signalbox.Sample) signalbox.Reading {
	subject, missing := d.common.Subject.Expand(s.Labels)
	out := r.reading(id, subject, d.common.Kept(s.Labels))
	out.SampleAt = r.at
	if missing != "" {
		return kind.Unknown(out, kind.MissingLabel(missing))
	}
	condition, why := d.limits.Judge(s.Value, r.was[id].Condition)
	if condition == signalbox.Unknown {
		return kind.Unknown(out, why)
	}
	low := condition == signalbox.Clear || !d.limits.Breach.Above
	if proved, noProof := r.proved(s.Labels); low && d.presence != "" && !proved {
		return kind.Unknown(out, "its value may lack lines, and "+noProof)
	}
	out.Condition, out.Value, out.HasValue = condition, signalbox.Float(s.Value), true
	out.Summary = subject + ": " + kind.Format(s.Value, d.unit) + ", " + why
	return out
}

// prove gathers the proof that the log is written.
func (r *round) prove(a signalbox.Answer) {
	if r.presence == "" {
		r.noProof = "no presence query proves that the log is written"
		return
	}
	if why := kind.Faulty(a); why != "" {
		r.noProof = "its presence is unknown: " + why
		return
	}
	r.noProof = "presence is not proved: no line proves that the log is written"
	for _, s := range a.Samples {
		if s.Value != 0 && !math.IsNaN(s.Value) && !math.IsInf(s.Value, 0) {
			r.proof = append(r.proof, s)
		}
	}
}

// proved reports whether the log is proved to be written for a series with
// these labels, or says why not.
func (r *round) proved(labels map[string]string) (ok bool, why string) {
	for _, p := range r.proof {
		if agree(p.Labels, labels) {
			return true, ""
		}
	}
	if len(r.proof) > 0 {
		return false, "presence is proved for others only"
	}
	return false, r.noProof
}

// agree reports whether two label sets have no label with two values.
func agree(a, b map[string]string) bool {
	for n, v := range a {
		if w, shared := b[n]; shared && v != w {
			return false
		}
	}
	return true
}

// gone judges a series that is known and not in the answer: well, where the log
// is proved to be written, and otherwise Unknown. sampleAt is when the proof
// is of.
func (r *round) gone(was signalbox.Reading, sampleAt time.Time) signalbox.Reading {
	proved, why := r.proved(was.Labels)
	if !proved {
		return r.lost(was, "no line of it is there, and "+why)
	}
	out := r.reading(was.Series, was.Subject, was.Labels)
	out.Condition, out.SampleAt, out.EndedAt = signalbox.Clear, sampleAt, r.at
	out.Summary = was.Subject + ": no line of it is there, and the log is proved to be written"
	return out
}

// lost is what is said of a series that is not known now. Its items stay those
// that were told: what is new is read again.
func (r *round) lost(s signalbox.Reading, why string) signalbox.Reading {
	out := r.reading(s.Series, s.Subject, s.Labels)
	out.SampleAt, out.Items = s.SampleAt, r.was[s.Series].Items
	return kind.Unknown(out, why)
}

// nothing is what is said when nothing can be said of any series.
func (r *round) nothing(why string) []signalbox.Reading {
	readings := make([]signalbox.Reading, 0, len(r.was)+1)
	for _, id := range slices.Sorted(maps.Keys(r.was)) {
		readings = append(readings, r.lost(r.was[id], why))
	}
	return append(readings, r.whole(why))
}

// whole is the reading of the detector itself, which has no series.
func (r *round) whole(why string) signalbox.Reading {
	return kind.Unknown(r.reading("", r.common.Name, nil), why)
}

func (r *round) reading(series, subject string, labels map[string]string) signalbox.Reading {
	return signalbox.Reading{
		Detector: r.common.Name, Series: series, Subject: subject, Labels: labels,
		Unit: r.unit, Threshold: r.threshold, Window: r.window, At: r.at,
		Origin: r.origin, Confirmed: true, Owner: r.common.Owner, Links: r.common.Links,
	}
}

func only(all map[string]string, names []string) map[string]string {
	kept := make(map[string]string, len(names))
	for _, n := range names {
		if v, ok := all[n]; ok {
			kept[n] = v
		}
	}
	return kept
}
