package app

import (
	"context"
	"maps"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// healthEvery is how often a cluster's rules are looked at.
const healthEvery = 15 * time.Second

// rulesHealth is a detector and its source: whether a cluster's rules can be
// read. It is never Breached: what is Unknown of it for too long is told by the
// reading of the cluster's source, as for any detector.
type rulesHealth struct {
	name string
	feed *ruleFeed
}

// Questions is one: which resources can't be read.
func (h *rulesHealth) Questions() []signalbox.Question {
	return []signalbox.Question{{Source: h.feed.source, Query: h.name}}
}

// Ask gives a sample of each resource that is refused, its text being why.
func (h *rulesHealth) Ask(ctx context.Context, qs []signalbox.Question, at time.Time) []signalbox.Answer {
	answers := make([]signalbox.Answer, len(qs))
	for i, q := range qs {
		answers[i] = signalbox.Answer{Question: q, At: at, Err: h.feed.feed.Alive(ctx, at)}
		if answers[i].Err != nil {
			continue
		}
		h.feed.mu.Lock()
		for _, key := range slices.Sorted(maps.Keys(h.feed.resources)) {
			if why := h.feed.resources[key].fault(); why != "" {
				answers[i].Samples = append(answers[i].Samples, signalbox.Sample{Labels: map[string]string{"resource": key}, Value: 1, At: at, Text: why})
			}
		}
		h.feed.mu.Unlock()
	}
	return answers
}

// Judge says Unknown of each resource that is refused, and of all while they
// can't be read.
func (h *rulesHealth) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	reading := func(series string, c signalbox.Condition, why string) signalbox.Reading {
		return signalbox.Reading{
			Detector: h.name, Series: series, Subject: h.name, Labels: map[string]string{"resource": series}, Condition: c, Reason: why,
			At: at, SampleAt: at, Origin: "signalbox", Confirmed: true, Summary: h.name + " " + series + " is " + c.String(),
		}
	}
	var out []signalbox.Reading
	if len(answers) != 1 || answers[0].Err != nil {
		why := "no answer"
		if len(answers) == 1 {
			why = answers[0].Err.Error()
		}
		for _, series := range slices.Sorted(maps.Keys(was)) {
			out = append(out, reading(series, signalbox.Unknown, why))
		}
		return append(out, reading("", signalbox.Unknown, why))
	}
	refused := map[string]string{}
	for _, s := range answers[0].Samples {
		refused[s.Labels["resource"]] = s.Text
		out = append(out, reading(s.Labels["resource"], signalbox.Unknown, s.Text))
	}
	for _, series := range slices.Sorted(maps.Keys(was)) {
		if _, is := refused[series]; !is {
			out = append(out, reading(series, signalbox.Clear, ""))
		}
	}
	if len(out) == 0 {
		out = append(out, reading(h.feed.source, signalbox.Clear, ""))
	}
	return out
}
