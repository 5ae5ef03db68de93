package loki

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// follower judges the lines of a stream. It implements signalbox.Follower, and
// is immutable.
type follower struct {
	base
	asks    question
	pattern *pattern // nil: lines are counted
	above   int
	by      []string // the labels of which each set of values is a series, sorted
	within  time.Duration
	late    time.Duration // how late a line may come
	maxIDs  int
}

// Bounds of what labels may bring: they come from outside.
const (
	maxGroups = 1_000
	maxLabel  = 200 // bytes of a value, as it is repeated
)

func (f *follower) Questions() []signalbox.Question { return f.QuestionsSince(time.Time{}) }

// QuestionsSince asks for the lines since good, and so far before it that those
// which came late are seen, and that an incident does not end while what was
// told in it can be read again.
func (f *follower) QuestionsSince(good time.Time) []signalbox.Question {
	var from time.Time
	if !good.IsZero() {
		from = good.Add(-f.asks.back).UTC().Round(0)
	}
	return []signalbox.Question{
		{Source: f.common.Source, Query: f.asks.text(), From: from},
		{Source: f.common.Source, Query: f.presence},
	}
}

func (f *follower) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	known := maps.Clone(was)
	delete(known, gapSeries)
	r := &round{base: &f.base, was: known, at: at}
	if len(answers) != 2 {
		return r.nothing(fmt.Sprintf("%d answers came to 2 questions", len(answers)))
	}
	read := answers[0]
	if read.Err != nil {
		return r.nothing(read.Err.Error())
	}
	r.prove(answers[1])
	groups := f.group(read.Samples)
	if len(groups) > maxGroups {
		return r.nothing(fmt.Sprintf("the lines have more than %d sets of values of the labels %v: name others in subject and labels", maxGroups, f.by))
	}
	why := ""
	if len(read.Warnings) > 0 {
		why = kind.Faulty(read)
	}
	var readings []signalbox.Reading
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		readings = append(readings, f.series(r, id, groups[id], why))
	}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		switch {
		case groups[id] != nil:
		case why != "":
			readings = append(readings, r.lost(known[id], why))
		default:
			readings = append(readings, r.gone(known[id], f.sampleAt(r, id)))
		}
	}
	if why == "" && len(groups) == 0 && len(r.proof) == 0 {
		why = "no line is there, and " + r.noProof
	}
	if why != "" {
		readings = append(readings, r.whole(why))
	}
	if gap, there := f.gap(r, read.Question.From, was[gapSeries]); there {
		readings = append(readings, gap)
	}
	return readings
}

// group is one series: the lines with the same values of the labels.
type group struct {
	labels map[string]string
	found  []finding // in the order of their time
	marred []time.Time
}

// finding is one id, or one line where lines are counted.
type finding struct {
	at time.Time
	id string // "": a line
}

// group sorts lines by their labels. Without labels there is one series, also
// when no line is there.
func (f *follower) group(lines []signalbox.Sample) map[string]*group {
	groups := map[string]*group{}
	if len(f.by) == 0 {
		groups[kind.SeriesID(nil)] = &group{}
	}
	for _, line := range lines {
		labels := only(line.Labels, f.by)
		id := kind.SeriesID(labels)
		g := groups[id]
		if g == nil {
			for n, v := range labels {
				labels[n] = httpclient.Plain(v, maxLabel)
			}
			g = &group{labels: labels}
			groups[id] = g
		}
		f.take(g, line)
	}
	return groups
}

func (f *follower) take(g *group, line signalbox.Sample) {
	if f.pattern == nil {
		g.found = append(g.found, finding{at: line.At})
		return
	}
	ids, whole := f.pattern.find(line.Text)
	for _, id := range ids {
		g.found = append(g.found, finding{line.At, id})
	}
	if !whole {
		g.marred = append(g.marred, line.At)
	}
}

// series judges one series. Lines that are missing can only make the count
// greater: they never take a breach back, and never prove health.
func (f *follower) series(r *round, id string, g *group, partial string) signalbox.Reading {
	subject, missing := f.common.Subject.Expand(g.labels)
	out := r.reading(id, subject, g.labels)
	if missing != "" {
		return kind.Unknown(out, kind.MissingLabel(missing))
	}
	count, newest := f.count(g.found)
	out.Value, out.HasValue, out.SampleAt = signalbox.Float(count), true, f.sampleAt(r, id)
	told := r.was[id].Items
	out.Items = told
	if count > f.above {
		out.Items = f.items(told, g.found)
		out.Unlisted = unlisted(out.Items, g.found)
	}
	says := f.says(g, out.Unlisted, count)
	recent := 0 // lines without an id that would tell us more in the rounds before
	for _, at := range g.marred {
		if !at.Before(r.at.Add(-f.asks.back)) {
			recent++
		}
	}
	switch proved, noProof := r.proved(g.labels); {
	case count > f.above:
		out.Condition, out.SampleAt = signalbox.Breached, r.at.Add(-f.late)
		if newest.Before(r.at.Add(-f.asks.back)) {
			out.SampleAt = newest // it was so while nobody looked, and is told late
		}
	case again(told, g.found):
		out.Condition = signalbox.Breached // what was told is told once: in this incident
		says += "; it is not over while what was told can be read again"
	case partial != "":
		return r.lost(out, partial)
	case count+recent > f.above:
		return r.lost(out, fmt.Sprintf("%d lines hold no whole id as the pattern has it: the count may be greater than %d", recent, count))
	case !proved:
		return r.lost(out, "no more lines are there, and "+noProof)
	default:
		out.Condition = signalbox.Clear
	}
	out.Summary = subject + ": " + says
	return out
}

// sampleAt is up to when the lines are known: later ones may still come. Behind
// what was told of the past it goes on from there, until the incident is over:
// it is to stay open for its time by the clock, and not by what lies between.
func (f *follower) sampleAt(r *round, id string) time.Time {
	at := r.at.Add(-f.late)
	if w := r.was[id]; len(w.Items) > 0 && !w.SampleAt.IsZero() {
		if on := w.SampleAt.Add(r.at.Sub(w.At)); on.Before(at) {
			return on
		}
	}
	return at
}

// count is the greatest number of different ids, or of lines, within the
// window, and the time of the newest line of the last such window with more
// than are borne.
func (f *follower) count(found []finding) (most int, newest time.Time) {
	inside := map[string]int{}
	distinct, first := 0, 0
	for _, it := range found {
		if inside[it.id]++; inside[it.id] == 1 || it.id == "" {
			distinct++
		}
		for ; it.at.Sub(found[first].at) >= f.within; first++ {
			old := found[first].id
			if inside[old]--; inside[old] == 0 || old == "" {
				distinct--
			}
		}
		most = max(most, distinct)
		if distinct > f.above {
			newest = it.at
		}
	}
	return most, newest
}

// again reports whether something is found that was told.
func again(told []string, found []finding) bool {
	return len(told) > 0 && slices.ContainsFunc(found, func(it finding) bool { return slices.Contains(told, it.id) })
}

// items are the ids of a breach: those that were told, and behind them what is
// new.
func (f *follower) items(told []string, found []finding) []string {
	if f.pattern == nil {
		return nil
	}
	items := slices.Clone(told)
	seen := make(map[string]bool, len(told)+len(found))
	for _, id := range told {
		seen[id] = true
	}
	for _, it := range found {
		if !seen[it.id] && len(items) < f.maxIDs {
			items = append(items, it.id)
		}
		seen[it.id] = true
	}
	return items
}

// says is the count in words, with what is not listed.
func (f *follower) says(g *group, beyond, count int) string {
	what := "lines"
	if f.pattern != nil {
		what = "different ids"
	}
	text := fmt.Sprintf("%d %s within %s, ", count, what, model.Duration(f.within))
	if count <= f.above {
		text += "not "
	}
	text += f.threshold
	if beyond > 0 {
		text += fmt.Sprintf("; %d more are not listed, since an incident lists at most %d", beyond, f.maxIDs)
	}
	if len(g.marred) > 0 {
		text += fmt.Sprintf("; %d lines hold no whole id as the pattern has it", len(g.marred))
	}
	return text
}

// unlisted is how many different ids were found and are not among items.
func unlisted(items []string, found []finding) int {
	seen := make(map[string]bool, len(items)+len(found))
	for _, id := range items {
		seen[id] = true
	}
	n := 0
	for _, it := range found {
		if it.id != "" && !seen[it.id] {
			seen[it.id] = true
			n++
		}
	}
	return n
}
