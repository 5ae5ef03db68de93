package rules

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// evidence is what one round has to prove health with.
type evidence struct {
	*round
	why     string              // why the rule's own expression gives none
	unasked bool                // in this round
	parts   []map[string]sample // by part of the proof: its samples by their labels
	active  map[string]bool     // the labels of the samples that the expression gave
	byName  map[string][]signalbox.Reading
}

// sample is what one part of the proof says of one set of labels.
type sample struct {
	labels map[string]string
	number bool // and not NaN, which compares false with everything
}

// gather reads the answers that prove health, and notes which of them stand
// behind the alerts whose expression holds.
func (r *round) gather() *evidence {
	e := &evidence{round: r, active: map[string]bool{}}
	if !r.whole {
		e.why, e.unasked, r.Detector.verified = "what would prove that all is well is asked next", true, nil
		return e
	}
	if r.verifier != nil {
		e.verify()
	}
	if r.proof.why != "" {
		e.why = "nothing proves that all is well, since " + r.proof.why + ": name a verifier"
		return e
	}
	for _, a := range r.answers[r.proofs:r.verifies] {
		if why := kind.Faulty(a); why != "" {
			e.why, e.parts = "what would prove that all is well is unknown: "+why, nil
			return e
		}
		part := make(map[string]sample, len(a.Samples))
		for _, s := range a.Samples {
			part[identity(s.Labels)] = sample{s.Labels, !math.IsNaN(s.Value)}
		}
		e.parts = append(e.parts, part)
	}
	for _, s := range r.answers[0].Samples {
		e.active[identity(s.Labels)] = true
	}
	for _, a := range r.ledger.alerts {
		if a.State != Inactive && a.KeptSince.IsZero() && a.known {
			e.note(a)
		}
	}
	return e
}

// note remembers which parts of the proof have a sample of an alert.
func (e *evidence) note(a *Alert) {
	if a.behind == nil {
		a.behind = make([]bool, len(e.parts))
	}
	for i, part := range e.parts {
		_, there := part[identity(a.base)]
		a.behind[i] = a.behind[i] || there
	}
}

// identity is the labels of a sample without the metric's name, which
// functions drop.
func identity(labels map[string]string) string {
	if _, named := labels[model.MetricNameLabel]; !named {
		return kind.SeriesID(labels)
	}
	rest := make(map[string]string, len(labels))
	for n, v := range labels {
		if n != model.MetricNameLabel {
			rest[n] = v
		}
	}
	return kind.SeriesID(rest)
}

// seen is the time of the oldest sample that proves an alert well; zero where
// that is not known.
func (e *evidence) seen(a *Alert) (at time.Time, ok bool) {
	if e.verifier != nil {
		for _, v := range e.byName[e.subject(a)] {
			if at.IsZero() || v.SampleAt.Before(at) {
				at = v.SampleAt
			}
		}
		return at, !at.IsZero()
	}
	return e.sampled(a)
}

// unproved says why an alert that has ended is not proved to be well; "" when
// it is.
func (e *evidence) unproved(a *Alert) string {
	switch {
	case e.verifier != nil && !e.unasked:
		return e.unverified(a)
	case e.why != "":
		return e.why
	}
	if at, ok := e.sampled(a); ok && e.at.Sub(at) > e.maxAge {
		return fmt.Sprintf("a sample behind it is %s old, and at most %s is fresh", e.at.Sub(at).Round(time.Second), e.maxAge)
	}
	switch {
	case e.proof.own:
		return ""
	case !a.known:
		return e.unprovedSinceRestart(a)
	case !slices.Contains(a.behind, true):
		return "nothing fresh stood behind it when it fired"
	}
	for i, part := range e.parts {
		if !a.behind[i] {
			continue
		}
		switch s, there := part[identity(a.base)]; {
		case !there:
			return "what it looks at is not measured any more"
		case !s.number:
			return "what it looks at is not a number"
		}
	}
	return ""
}

// unprovedSinceRestart is of an alert of which only the labels are known, some
// of which the rule may have set. All samples that may be its own must be
// well, and at least one there.
func (e *evidence) unprovedSinceRestart(a *Alert) string {
	for _, part := range e.parts {
		seen := false
		for id, s := range part {
			if !e.mayBe(a, s.labels) {
				continue
			}
			if !s.number || e.active[id] {
				return "it can't be told which of several series it was of before the restart"
			}
			seen = true
		}
		if !seen {
			return "what it looks at is not measured any more"
		}
	}
	return ""
}

// mayBe reports whether an alert's labels may come from a sample's.
func (e *evidence) mayBe(a *Alert, labels map[string]string) bool {
	same := func(n string) bool {
		_, set := e.settings.Rule.Labels[n]
		return set || n == model.AlertNameLabel || n == model.MetricNameLabel || a.Labels[n] == labels[n]
	}
	if len(e.common.Labels) > 0 { // the others were not kept
		return !slices.ContainsFunc(e.common.Labels, func(n string) bool { return !same(n) })
	}
	for n := range a.Labels {
		if !same(n) {
			return false
		}
	}
	for n := range labels {
		if !same(n) {
			return false
		}
	}
	return true
}

// verify asks the verifier for its judgement.
func (e *evidence) verify() {
	e.byName = map[string][]signalbox.Reading{}
	next := map[string]signalbox.Reading{}
	for _, v := range e.verifier.Judge(e.answers[e.verifies:e.stamps], e.verified, e.at) {
		e.byName[v.Subject] = append(e.byName[v.Subject], v)
		if v.Series != "" && (v.Condition != signalbox.Unknown || e.verified[v.Series].Condition == signalbox.Unknown) {
			next[v.Series] = v
		} else if old, known := e.verified[v.Series]; known {
			next[v.Series] = old
		}
	}
	e.Detector.verified = next
}

func (e *evidence) unverified(a *Alert) string {
	name, subject := e.settings.Verifier.Common.Name, e.subject(a)
	of := e.byName[subject]
	if len(of) == 0 {
		return fmt.Sprintf("its verifier %s says nothing of %s", name, subject)
	}
	for _, v := range of {
		if v.Condition != signalbox.Clear {
			return fmt.Sprintf("its verifier %s says that %s is %s", name, subject, v.Condition)
		}
	}
	return ""
}
