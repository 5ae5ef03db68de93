package datadog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// detector implements signalbox.Detector. It is immutable once it is built.
type detector struct {
	common    kind.Common
	origin    string
	site      string
	maxAge    time.Duration
	questions []signalbox.Question
	judge     judge
}

// judge is what is different between the detectors: it says what the answers
// to its questions mean.
type judge interface {
	judge(r *round) []signalbox.Reading
}

// ask adds a question, unless it is there, and returns its place.
func (d *detector) ask(q question) int {
	asked := signalbox.Question{Source: d.common.Source, Query: q.text()}
	if i := slices.Index(d.questions, asked); i >= 0 {
		return i
	}
	d.questions = append(d.questions, asked)
	return len(d.questions) - 1
}

// Questions returns what is asked each round.
func (d *detector) Questions() []signalbox.Question { return slices.Clone(d.questions) }

// round is one judgement under way.
type round struct {
	*detector
	answers []signalbox.Answer
	was     map[string]signalbox.Reading
	at      time.Time
}

// Judge returns a Reading a series; series of was that the answers don't name
// are Unknown, unless the judge knows better.
func (d *detector) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	r := &round{detector: d, answers: answers, was: was, at: at}
	if len(answers) != len(d.questions) {
		return r.nothing(fmt.Sprintf("%d answers came to %d questions", len(answers), len(d.questions)))
	}
	return d.judge.judge(r)
}

// futureSlack is how far in the future a sample may seem, by the clocks.
const futureSlack = 5 * time.Second

// samples returns those of an answer, or why there are none.
func (r *round) samples(i int) (samples []signalbox.Sample, why string) {
	a := r.answers[i]
	switch {
	case a.Err != nil:
		return nil, a.Err.Error()
	case len(a.Warnings) > 0:
		return nil, "the answer may be partial: " + a.Warnings[0]
	}
	for _, s := range a.Samples {
		switch age := r.at.Sub(s.At); {
		case age > r.maxAge:
			return nil, fmt.Sprintf("the answer is %s old, and at most %s is fresh", age.Round(time.Second), r.maxAge)
		case age < -futureSlack:
			return nil, fmt.Sprintf("the answer is %s in the future", (-age).Round(time.Second))
		}
	}
	return a.Samples, ""
}

// only returns the sample of an answer that has one.
func (r *round) only(i int) (s signalbox.Sample, why string) {
	samples, why := r.samples(i)
	if why == "" && len(samples) != 1 {
		why = fmt.Sprintf("%d series came where one was expected", len(samples))
	}
	if why != "" {
		return s, why
	}
	return samples[0], ""
}

// series begins the reading of a sample's series: Unknown where its subject
// can't be named.
func (r *round) series(id string, s signalbox.Sample, links ...signalbox.Link) (out signalbox.Reading, ok bool) {
	subject, missing := r.common.Subject.Expand(s.Labels)
	out = r.reading(id, subject, r.labels(s.Labels))
	out.SampleAt = s.At
	out.Links = append(slices.Clip(out.Links), links...)
	out.Suppressed = s.Labels[mutedLabel]
	if missing != "" {
		return kind.Unknown(out, kind.MissingLabel(missing)), false
	}
	return out, true
}

// nothing is what is said when nothing can be said of any series.
func (r *round) nothing(why string) []signalbox.Reading {
	return append(r.others(nil, why), kind.Unknown(r.reading("", r.common.Name, nil), why))
}

// others are the series that are known and not in there, all Unknown.
func (r *round) others(there map[string]bool, why string) []signalbox.Reading {
	var readings []signalbox.Reading
	for _, id := range slices.Sorted(maps.Keys(r.was)) {
		if id != "" && !there[id] {
			readings = append(readings, kind.Unknown(r.again(id), why))
		}
	}
	return readings
}

// again begins another reading of a series that is known.
func (r *round) again(id string) signalbox.Reading {
	w := r.was[id]
	out := r.reading(id, w.Subject, w.Labels)
	out.SampleAt, out.Links, out.Suppressed = w.SampleAt, w.Links, w.Suppressed
	return out
}

func (r *round) reading(series, subject string, labels map[string]string) signalbox.Reading {
	return signalbox.Reading{
		Detector: r.common.Name, Series: series, Subject: subject, Labels: labels, At: r.at,
		Origin: r.origin, Confirmed: true, Owner: r.common.Owner, Links: r.common.Links,
	}
}

// labels keeps those that the configuration lists, or all, without those that
// are for the judge.
func (d *detector) labels(all map[string]string) map[string]string {
	kept := make(map[string]string, len(all))
	for n, v := range all {
		if !strings.HasPrefix(n, "__") && (len(d.common.Labels) == 0 || slices.Contains(d.common.Labels, n)) {
			kept[n] = v
		}
	}
	return kept
}

// seriesID is a stable hash of what tells a series from others: not of what
// Datadog's users may change while it is ill, like tags and names.
func seriesID(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// link is a page of Datadog's; none where the site is not known.
func (d *detector) link(text, path string, query url.Values) []signalbox.Link {
	pages := pagesOf(d.site)
	if pages == "" {
		return nil
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return []signalbox.Link{{Text: text, Href: pages + path}}
}
