package github

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// detector implements signalbox.Detector. It is immutable.
type detector struct {
	common   kind.Common
	watched  watched
	breach   []string
	underWay bool // a run that is under way is the breach
	maxAge   time.Duration
	origin   string
}

// Bounds of when a list was read: the longest refresh and a half, and what the
// clocks may differ.
const (
	maxListAge  = mostRefresh + mostRefresh/2
	futureSlack = 5 * time.Second
)

// maxItems bounds how many failed runs a reading names.
const maxItems = 50

func (d *detector) Questions() []signalbox.Question {
	return []signalbox.Question{{Source: d.common.Source, Query: d.watched.query()}}
}

// series is the one series of a detector: what it watches.
func (d *detector) series() string { return "runs?" + d.watched.query() }

// Judge returns the one reading of the workflow.
func (d *detector) Judge(answers []signalbox.Answer, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	if len(answers) != 1 {
		return d.nothing(fmt.Sprintf("%d answers came to 1 question", len(answers)), was, at)
	}
	a := answers[0]
	switch {
	case a.Err != nil:
		return d.nothing(a.Err.Error(), was, at)
	case len(a.Warnings) > 0:
		return d.nothing("the answer may be partial: "+a.Warnings[0], was, at)
	case len(a.Samples) == 0:
		return d.nothing("no run is listed", was, at)
	}
	if why := stale(a.Samples[0].At, at); why != "" {
		return d.nothing(why, was, at)
	}
	last := was[d.series()]
	runs, ok := history(a.Samples, d.breach, newest(last))
	if !ok {
		return d.nothing("the answer is not a list of runs", was, at)
	}
	for _, r := range runs {
		if d.watched.branch != "" && r.labels["branch"] != d.watched.branch || d.watched.event != "" && r.labels["event"] != d.watched.event {
			return d.nothing("the answer lists runs of another branch or event than was asked for", was, at)
		}
	}
	told, why := d.telling(runs, last)
	if why == "" && missing(runs, runs[told].id, last) {
		why = "the list is not whole: run " + newest(last) + ", which was seen before, is missing"
	}
	if why != "" {
		return d.nothing(why, was, at)
	}
	return append([]signalbox.Reading{d.tell(runs, told, last, a.Samples[0].At, at)}, d.others(was, at)...)
}

func stale(read, at time.Time) string {
	switch age := at.Sub(read); {
	case age > maxListAge:
		return fmt.Sprintf("the list is %s old, and at most %s is fresh", age.Round(time.Second), maxListAge)
	case age < -futureSlack:
		return fmt.Sprintf("the list is %s in the future", (-age).Round(time.Second))
	}
	return ""
}

// runLabel names the run that a reading was made from. It is kept whatever
// labels the configuration lists: the next reading needs it.
const runLabel = "run_id"

// newest is the id of the run that a reading was made from; "": none.
func newest(r signalbox.Reading) string { return r.Labels[runLabel] }

// missing reports whether the run that was told of last is not in the list, and
// an older one would be told instead: GitHub now and then gives lists of long
// ago, and people delete runs.
func missing(runs []past, told int64, last signalbox.Reading) bool {
	id, err := strconv.ParseInt(newest(last), 10, 64)
	return err == nil && told < id && !slices.ContainsFunc(runs, func(p past) bool { return p.id == id })
}

// telling returns the index of the run that tells how it is, or why none does.
// Where the run that told last is run again, what it told stays until the new
// attempt tells. Of what is under way the newest tells, or where nothing is, the
// newest of all.
func (d *detector) telling(runs []past, last signalbox.Reading) (int, string) {
	if d.underWay {
		return max(0, slices.IndexFunc(runs, past.going)), ""
	}
	for i, r := range runs {
		switch {
		case r.tells == health, r.tells == illness:
			return i, ""
		case r.tells == unheard:
			return 0, fmt.Sprintf("run %d ended with %q, which is not known", r.id, r.labels["conclusion"])
		case r.hides() && newest(last) == strconv.FormatInt(r.id, 10) && last.Condition != signalbox.Unknown:
			return i, ""
		case r.hides():
			return 0, fmt.Sprintf("run %d was run again without a verdict, and how it went before can't be seen", r.id)
		}
	}
	return 0, fmt.Sprintf("none of the newest %d runs has ended with success or failure", len(runs))
}

// tell makes the reading of the run that tells.
func (d *detector) tell(runs []past, i int, last signalbox.Reading, read, at time.Time) signalbox.Reading {
	r := runs[i]
	labels := d.labels(r.labels)
	subject, absent := d.common.Subject.Expand(labels)
	out := d.reading(subject, labels, at)
	out.SampleAt = read
	if href := r.labels["link"]; href != "" {
		out.Links = append(slices.Clone(out.Links), signalbox.Link{Text: "run " + r.labels["run_number"], Href: href})
	}
	switch {
	case absent != "":
		return kind.Unknown(out, kind.MissingLabel(absent))
	case d.underWay:
		return goes(out, runs, r)
	}
	ended := r.labels["conclusion"] + " of run " + r.labels["run_number"] + " at " + r.labels["updated"]
	switch {
	case r.hides():
		out.Condition, out.Value, out.Items = last.Condition, last.Value, last.Items
		ended = "as it was, run " + r.labels["run_number"] + " was run again without a verdict yet"
	case r.tells == illness:
		row := inARow(runs[i:])
		out.Condition, out.Value, out.Items = signalbox.Breached, signalbox.Float(len(row)), addTo(last.Items, row)
	case d.maxAge > 0 && at.Sub(r.started) > d.maxAge:
		return kind.Unknown(out, fmt.Sprintf("its last success began %s ago, and at most %s is fresh", at.Sub(r.started).Round(time.Second), d.maxAge))
	default:
		out.Condition = signalbox.Clear
	}
	out.HasValue = true
	out.Summary = subject + ": " + ended
	if n := underWay(runs[:i]); n > 0 {
		out.Summary += fmt.Sprintf("; %d newer under way", n)
	}
	return out
}

// goes makes the reading of whether runs are under way, of which r is the newest.
func goes(out signalbox.Reading, runs []past, r past) signalbox.Reading {
	n := underWay(runs)
	out.Condition, out.Value, out.HasValue = signalbox.Clear, signalbox.Float(n), true
	out.Summary = out.Subject + ": no run is under way"
	if n > 0 {
		out.Condition = signalbox.Breached
		out.Summary = fmt.Sprintf("%s: run %s is %s, begun at %s; %d under way", out.Subject, r.labels["run_number"], r.labels["status"], r.labels["started"], n)
	}
	return out
}

// inARow are the ids of the listed runs that failed since the last success, the
// oldest first.
func inARow(runs []past) []string {
	var ids []string
	for _, r := range runs {
		if r.tells == health {
			break
		}
		if r.tells == illness {
			ids = append(ids, r.labels[runLabel])
		}
	}
	slices.Reverse(ids)
	return ids
}

// addTo adds the failed runs to those that were told since the incident began,
// and keeps the latest.
func addTo(told, row []string) []string {
	ids := slices.Clone(told)
	for _, id := range row {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids[max(0, len(ids)-maxItems):]
}

func underWay(runs []past) int {
	n := 0
	for _, r := range runs {
		if r.going() {
			n++
		}
	}
	return n
}

// labels are those of the reading: all, or those that the configuration keeps
// and runLabel.
func (d *detector) labels(run map[string]string) map[string]string {
	all := map[string]string{"repository": d.watched.owner + "/" + d.watched.repository, "workflow": d.watched.workflow}
	for _, n := range []string{"branch", "event", runLabel, "run_number", "attempt", "head_sha", "conclusion"} {
		all[n] = run[n]
	}
	maps.DeleteFunc(all, func(n, v string) bool {
		return v == "" || n != runLabel && len(d.common.Labels) > 0 && !slices.Contains(d.common.Labels, n)
	})
	return all
}

// nothing is what is said when nothing can be said.
func (d *detector) nothing(why string, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	why = httpclient.Plain(why, 2*maxText)
	whole := d.reading(d.common.Name, nil, at)
	whole.Series = ""
	readings := []signalbox.Reading{kind.Unknown(whole, why)}
	if w, ok := was[d.series()]; ok {
		r := d.reading(w.Subject, w.Labels, at)
		r.SampleAt, r.Items = w.SampleAt, w.Items
		readings = append(readings, kind.Unknown(r, why))
	}
	return append(readings, d.others(was, at)...)
}

// others are series of an earlier definition of the detector.
func (d *detector) others(was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	var out []signalbox.Reading
	for _, id := range slices.Sorted(maps.Keys(was)) {
		if id == d.series() || id == "" {
			continue
		}
		r := d.reading(was[id].Subject, was[id].Labels, at)
		r.Series, r.SampleAt = id, was[id].SampleAt
		out = append(out, kind.Unknown(r, "the detector no longer watches it"))
	}
	return out
}

func (d *detector) threshold() string {
	if d.underWay {
		return "under way"
	}
	return "conclusion " + strings.Join(d.breach, " or ")
}

func (d *detector) reading(subject string, labels map[string]string, at time.Time) signalbox.Reading {
	return signalbox.Reading{
		Detector: d.common.Name, Series: d.series(), Subject: subject, Labels: labels,
		Threshold: d.threshold(), At: at,
		Origin: d.origin, Confirmed: true, Owner: d.common.Owner, Links: d.common.Links,
	}
}
