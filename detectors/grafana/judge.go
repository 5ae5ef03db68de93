package grafana

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
)

// panelDetector implements signalbox.Detector. It is immutable.
type panelDetector struct {
	common   kind.Common
	unit     signalbox.Unit
	limits   threshold.Limits
	maxAge   time.Duration
	question signalbox.Question
}

func (d *panelDetector) Questions() []signalbox.Question { return []signalbox.Question{d.question} }

// round is one judgement under way.
type round struct {
	*panelDetector
	told about
	was  map[string]signalbox.Reading
	at   time.Time
}

// Judge returns one reading a series of the panel. What the panel does not show
// any more is Unknown: an empty panel proves nothing.
func (d *panelDetector) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	r := &round{panelDetector: d, was: was, at: at}
	if len(answers) != 1 {
		return r.nothing(fmt.Sprintf("%d answers came to 1 question", len(answers)))
	}
	a := answers[0]
	if a.Err != nil {
		return r.nothing(a.Err.Error())
	}
	told, values, err := readAbout(a.Samples)
	if err != nil {
		return r.nothing(err.Error())
	}
	r.told = told
	if len(a.Warnings) > 0 {
		return r.nothing("the answer may be partial: " + a.Warnings[0])
	}
	if len(values) == 0 {
		return r.nothing("the panel's query has an empty answer")
	}
	return r.all(values)
}

func (r *round) all(values []signalbox.Sample) []signalbox.Reading {
	readings := make([]signalbox.Reading, 0, len(values)+len(r.was))
	there := make(map[string]bool, len(values))
	for _, v := range values {
		if id := kind.SeriesID(v.Labels); !there[id] {
			there[id] = true
			readings = append(readings, r.series(id, v))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(r.was)) {
		if !there[id] && id != "" {
			readings = append(readings, r.unknownStill(r.was[id], "the panel does not show the series any more"))
		}
	}
	return readings
}

// series judges one series of the panel.
func (r *round) series(id string, v signalbox.Sample) signalbox.Reading {
	subject, missing := r.common.Subject.Expand(v.Labels)
	out := r.reading(id, subject, r.common.Kept(v.Labels))
	why := v.Text
	if why == "" {
		out.SampleAt = v.At
		why = r.stale(v.At)
	}
	if missing != "" {
		why = kind.MissingLabel(missing)
	}
	if why != "" {
		return r.unknown(out, why)
	}
	condition, why := r.limits.Judge(v.Value, r.was[id].Condition)
	if condition == signalbox.Unknown {
		return r.unknown(out, why)
	}
	out.Condition, out.Value, out.HasValue = condition, signalbox.Float(v.Value), true
	out.Summary = r.changed(subject + ": " + kind.Format(v.Value, r.unit) + ", " + why)
	return out
}

// stale says why a sample's time proves nothing; "" when it does.
func (r *round) stale(sample time.Time) string {
	switch age := r.at.Sub(sample); {
	case age < -futureSlack:
		return fmt.Sprintf("its sample is %s in the future", (-age).Round(time.Second))
	case age > r.maxAge:
		return fmt.Sprintf("a sample behind it is %s old, and at most %s is fresh", age.Round(time.Second), r.maxAge)
	}
	return ""
}

// changed adds to a summary how the panel changed of late.
func (r *round) changed(summary string) string {
	return strings.Join(append([]string{summary}, r.told.Changes...), "; ")
}

// nothing is what is said when nothing can be said of any series.
func (r *round) nothing(why string) []signalbox.Reading {
	readings := make([]signalbox.Reading, 0, len(r.was)+1)
	for _, id := range slices.Sorted(maps.Keys(r.was)) {
		if id != "" {
			readings = append(readings, r.unknownStill(r.was[id], why))
		}
	}
	return append(readings, r.unknown(r.reading("", r.common.Name, nil), why))
}

// unknownStill is a series that was known and is not told of now.
func (r *round) unknownStill(was signalbox.Reading, why string) signalbox.Reading {
	out := r.reading(was.Series, was.Subject, was.Labels)
	out.SampleAt = was.SampleAt
	if r.told.Link.Href == "" { // the panel could not be found: what is known of it stands
		out.Origin, out.Links, out.Window = was.Origin, was.Links, was.Window
	}
	return r.unknown(out, why)
}

func (r *round) reading(series, subject string, labels map[string]string) signalbox.Reading {
	out := signalbox.Reading{
		Detector: r.common.Name, Series: series, Subject: subject, Labels: labels,
		Unit: r.unit, Threshold: r.limits.Breach.String(), Window: r.told.Window, At: r.at,
		Origin: or(r.common.Origin, r.told.Origin), Confirmed: true, Owner: r.common.Owner, Links: slices.Clone(r.common.Links),
	}
	if r.told.Link.Href != "" {
		out.Links = append(out.Links, r.told.Link)
	}
	return out
}

func (r *round) unknown(out signalbox.Reading, why string) signalbox.Reading {
	out.Condition, out.Reason = signalbox.Unknown, why
	out.Summary = r.changed(out.Subject + ": unknown, " + why)
	return out
}
