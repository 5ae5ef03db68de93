package kubernetes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// detector implements signalbox.Detector. It is immutable.
type detector struct {
	common    kind.Common
	question  signalbox.Question
	what      string // the key of table
	threshold string
	atLeast   int // ill objects of a workload that make a breach
	expect    int // objects that must be there
	stale     time.Duration
	origin    string
}

func newDetector(c kind.Common, q question, src *Source) *detector {
	names := make([]string, len(q.Reasons))
	for i, r := range q.Reasons {
		names[i] = r.Reason
	}
	d := &detector{
		common: c, question: signalbox.Question{Source: c.Source, Query: q.text()}, what: q.Watch,
		threshold: strings.Join(names, ", "), stale: src.stale, origin: c.Origin,
	}
	if d.origin == "" {
		d.origin = src.Origin()
	}
	return d
}

func (d *detector) Questions() []signalbox.Question { return []signalbox.Question{d.question} }

// Judge returns one reading for each workload that is ill, or was: what the
// whole present state no longer names is well. What is not well yet is ill only
// if it was.
func (d *detector) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	seen, samples, why := d.read(answers, at)
	if why != "" {
		return d.nothing(why, was, at)
	}
	of := map[string][]signalbox.Sample{}
	var order []string
	for _, s := range samples {
		id := seriesOf(s.Labels)
		if of[id] == nil {
			order = append(order, id)
		}
		of[id] = append(of[id], s)
	}
	var out []signalbox.Reading
	told := map[string]bool{"": true}
	for _, id := range order {
		ill := of[id]
		if was[id].Condition != signalbox.Breached {
			ill = slices.DeleteFunc(ill, func(s signalbox.Sample) bool { return s.Value == 0 })
		}
		if len(ill) > 0 {
			told[id] = true
			out = append(out, d.judge(id, ill, at))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if !told[id] {
			out = append(out, d.well(was[id], seen, at))
		}
	}
	return out
}

// read takes the answer apart: of what moment it is, and what is ill. why says
// that nothing can be read from it.
func (d *detector) read(answers []signalbox.Answer, at time.Time) (seen time.Time, ill []signalbox.Sample, why string) {
	if len(answers) != 1 {
		return seen, nil, fmt.Sprintf("%d answers came to 1 question", len(answers))
	}
	a := answers[0]
	switch {
	case a.Err != nil:
		return seen, nil, a.Err.Error()
	case len(a.Warnings) > 0:
		return seen, nil, "the answer may be partial: " + a.Warnings[0]
	case len(a.Samples) == 0 || a.Samples[0].Labels[labelWhat] != whatScope:
		return seen, nil, "the answer doesn't say of what it is"
	}
	scope := a.Samples[0]
	switch there := int(scope.Value); {
	case at.Sub(scope.At) > d.stale:
		return seen, nil, fmt.Sprintf("what is known is %s old, and at most %s is fresh", at.Sub(scope.At).Round(time.Second), d.stale)
	case there < d.expect:
		return seen, nil, fmt.Sprintf("%d %s are there, and at least %d are expected", there, d.what, d.expect)
	}
	return scope.At, a.Samples[1:], ""
}

// seriesOf is what stays the same about a workload.
func seriesOf(l map[string]string) string {
	return l[labelNamespace] + "/" + l[labelKind] + "/" + l[labelWorkload]
}

// maxNamed is how many objects a summary names.
const maxNamed = 5

// judge judges one workload by its objects that are ill, or not well yet, the
// worst first.
func (d *detector) judge(id string, ill []signalbox.Sample, at time.Time) signalbox.Reading {
	worst := ill[0]
	labels := d.labels(worst.Labels)
	subject, missing := d.common.Subject.Expand(worst.Labels)
	r := d.reading(id, subject, labels, at)
	r.SampleAt = worst.At
	if missing != "" {
		return kind.Unknown(r, kind.MissingLabel(missing))
	}
	r.Value, r.HasValue = signalbox.Float(len(ill)), true
	r.Summary = subject + ": " + describe(ill)
	r.Condition = signalbox.Breached
	if len(ill) < d.atLeast {
		r.Condition = signalbox.Clear
		r.Summary += fmt.Sprintf(", fewer than %d", d.atLeast)
	}
	return r
}

// describe names what is ill: "CrashLoopBackOff (container app) since
// 10:15:00Z: api-0, api-1".
func describe(ill []signalbox.Sample) string {
	worst := ill[0].Labels
	text := worst[labelReason]
	if ill[0].Value == 0 {
		text = "not well yet, " + text
	}
	if c := worst[labelContainer]; c != "" {
		text += " (container " + c + ")"
	}
	if s := worst[labelSince]; s != "" {
		text += " since " + s
	}
	var names []string
	for _, s := range ill[:min(len(ill), maxNamed)] {
		name := s.Labels[labelObject]
		if r := s.Labels[labelReason]; r != worst[labelReason] {
			name += " (" + r + ")"
		}
		names = append(names, name)
	}
	text += ": " + strings.Join(names, ", ")
	if more := len(ill) - len(names); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// well is what is said of a workload that was ill, and of which nothing is now.
func (d *detector) well(was signalbox.Reading, seen, at time.Time) signalbox.Reading {
	r := d.reading(was.Series, was.Subject, was.Labels, at)
	r.Condition, r.HasValue, r.SampleAt, r.EndedAt = signalbox.Clear, true, seen, at
	r.Summary = was.Subject + ": nothing is wrong with it any more"
	return r
}

// labels are those of the reading: all, or those that the configuration keeps.
func (d *detector) labels(all map[string]string) map[string]string {
	kept := maps.Clone(all)
	maps.DeleteFunc(kept, func(n, _ string) bool {
		return n == labelSince || len(d.common.Labels) > 0 && !slices.Contains(d.common.Labels, n)
	})
	return kept
}

// nothing is what is said when nothing can be said.
func (d *detector) nothing(why string, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	readings := []signalbox.Reading{kind.Unknown(d.reading("", d.common.Name, nil, at), why)}
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if id == "" {
			continue
		}
		r := d.reading(id, was[id].Subject, was[id].Labels, at)
		r.SampleAt = was[id].SampleAt
		readings = append(readings, kind.Unknown(r, why))
	}
	return readings
}

func (d *detector) reading(series, subject string, labels map[string]string, at time.Time) signalbox.Reading {
	return signalbox.Reading{
		Detector: d.common.Name, Series: series, Subject: subject, Labels: labels, Threshold: d.threshold, At: at,
		Origin: d.origin, Confirmed: true, Owner: d.common.Owner, Links: d.common.Links,
	}
}
