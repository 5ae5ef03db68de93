package statuspage

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
	component string // "": the whole page
	known     words
	breach    []string
	clear     []string
	maxAge    time.Duration
	origin    string
}

// futureSlack is how far in the future a sample may seem, by the clocks.
const futureSlack = 5 * time.Second

// maxLinks bounds the links to incidents.
const maxLinks = 5

func (d *detector) Questions() []signalbox.Question {
	return []signalbox.Question{{Source: d.common.Source, Query: question}}
}

// series is the one series of a detector: what the configuration names, so that
// a component that is made anew under its name stays the same.
func (d *detector) series() string {
	if d.component == "" {
		return ofPage
	}
	return ofComponent + "/" + d.component
}

// Judge returns the one reading of what the detector names. Where it can't be
// found or believed, that is Unknown, never Clear.
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
	}
	found, why := d.find(a.Samples)
	if why != "" {
		return d.nothing(why, was, at)
	}
	page := pageOf(a.Samples)
	labels := d.labels(found, page)
	subject, missing := d.common.Subject.Expand(labels)
	r := d.reading(subject, labels, at)
	r.SampleAt = found.At
	switch {
	case missing != "":
		r = kind.Unknown(r, kind.MissingLabel(missing))
	case d.stale(found.At, at) != "":
		r = kind.Unknown(r, d.stale(found.At, at))
	default:
		r = d.judge(r, found, was[d.series()].Condition)
	}
	d.evidence(&r, found, page, a.Samples)
	return append([]signalbox.Reading{r}, d.others(was, at)...)
}

// find returns the sample that the detector names, or why there is not just one.
func (d *detector) find(samples []signalbox.Sample) (found signalbox.Sample, why string) {
	var named []signalbox.Sample
	for _, s := range samples {
		switch {
		case d.component == "" && s.Labels["what"] == ofPage:
			return s, ""
		case s.Labels["what"] != ofComponent:
		case s.Labels["id"] == d.component:
			return s, ""
		case s.Labels["name"] == d.component, s.Labels["group"] != "" && s.Labels["group"]+"/"+s.Labels["name"] == d.component:
			named = append(named, s)
		}
	}
	switch {
	case d.component == "":
		return found, "the answer says nothing of the page"
	case len(named) == 0:
		return found, fmt.Sprintf("the page has no component %q", d.component)
	case len(named) > 1:
		return found, fmt.Sprintf("the page has %d components %q: say Group/Name, or the id", len(named), d.component)
	}
	return named[0], ""
}

func pageOf(samples []signalbox.Sample) map[string]string {
	for _, s := range samples {
		if s.Labels["what"] == ofPage {
			return s.Labels
		}
	}
	return nil
}

func (d *detector) stale(sample, at time.Time) string {
	switch age := at.Sub(sample); {
	case age > d.maxAge:
		return fmt.Sprintf("the page's answer is %s old, and at most %s is fresh", age.Round(time.Second), d.maxAge)
	case age < -futureSlack:
		return fmt.Sprintf("the page's answer is %s in the future", (-age).Round(time.Second))
	}
	return ""
}

func (d *detector) judge(r signalbox.Reading, s signalbox.Sample, was signalbox.Condition) signalbox.Reading {
	status := s.Labels["status"]
	if _, ok := d.known[status]; !ok {
		return kind.Unknown(r, fmt.Sprintf("the page says %q of it, which is not known", status))
	}
	r.Value, r.HasValue = signalbox.Float(s.Value), true
	r.Summary = r.Subject + ": " + status
	switch {
	case slices.Contains(d.breach, status):
		r.Condition = signalbox.Breached
	case slices.Contains(d.clear, status):
		r.Condition = signalbox.Clear
	case was == signalbox.Breached:
		r.Condition = signalbox.Breached
		r.Summary += ", not yet " + strings.Join(d.clear, " or ")
	default: // what was never a breach opens nothing
		r.Condition = signalbox.Clear
	}
	return r
}

// evidence adds what the page tells of incidents and maintenances that touch
// what the detector names, or say not what they touch.
func (d *detector) evidence(r *signalbox.Reading, found signalbox.Sample, page map[string]string, samples []signalbox.Sample) {
	r.Links = slices.Clone(r.Links)
	add := func(text, href string) {
		if href != "" && len(r.Links) < len(d.common.Links)+maxLinks {
			r.Links = append(r.Links, signalbox.Link{Text: text, Href: href})
		}
	}
	add("status page", page["link"])
	for _, s := range samples {
		what := s.Labels["what"]
		if what != ofIncident && what != ofMaintenance || d.component != "" && !touches(s.Labels, found.Labels["id"]) {
			continue
		}
		text := what + " " + s.Labels["name"] + " (" + s.Labels["status"] + ")"
		if len(r.Summary) < 3*maxText {
			r.Summary += "; " + text
		}
		add(text, s.Labels["link"])
	}
}

func touches(labels map[string]string, id string) bool {
	named := false
	for n := range labels {
		named = named || strings.HasPrefix(n, "component:")
	}
	return !named || labels["component:"+id] != ""
}

// labels are those of the reading: all, or those that the configuration keeps.
func (d *detector) labels(found signalbox.Sample, page map[string]string) map[string]string {
	all := map[string]string{"page": page["name"], "status": found.Labels["status"]}
	if d.component != "" {
		all["component"], all["component_id"], all["group"] = found.Labels["name"], found.Labels["id"], found.Labels["group"]
	}
	maps.DeleteFunc(all, func(n, v string) bool {
		return v == "" || len(d.common.Labels) > 0 && !slices.Contains(d.common.Labels, n)
	})
	return all
}

// nothing is what is said when nothing can be said.
func (d *detector) nothing(why string, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
	whole := d.reading(d.common.Name, nil, at)
	whole.Series = ""
	readings := []signalbox.Reading{kind.Unknown(whole, why)}
	if w, ok := was[d.series()]; ok {
		r := d.reading(w.Subject, w.Labels, at)
		r.SampleAt = w.SampleAt
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
		out = append(out, kind.Unknown(r, "the detector no longer names it"))
	}
	return out
}

func (d *detector) reading(subject string, labels map[string]string, at time.Time) signalbox.Reading {
	return signalbox.Reading{
		Detector: d.common.Name, Series: d.series(), Subject: subject, Labels: labels,
		Threshold: "status " + strings.Join(d.breach, " or "), At: at,
		Origin: d.origin, Confirmed: true, Owner: d.common.Owner, Links: d.common.Links,
	}
}
