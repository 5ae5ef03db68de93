package alerts

import (
	"time"

	"github.com/prometheus/common/model"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// Fresh is how old a reading may be that is acted on: the server updates an
// alert when the rule's evaluator sends it again, within minutes.
const Fresh = 5 * time.Minute

// ValidateMatch reports labels that can't be matched. path is the key's.
func ValidateMatch(fail kind.Fail, path string, match map[string]string) {
	for name, value := range match {
		if name == "" || value == "" {
			fail(path+"."+name, "must name a label and its value; neither may be empty", value)
		}
	}
}

func matches(match, labels map[string]string) bool {
	for name, value := range match {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// Selector takes the alerts of a source that are its own.
type Selector interface {
	// Select returns r named, described and owned by the detector, or false
	// when the alert is not its own. It is pure and safe for concurrent use.
	Select(r signalbox.Reading) (signalbox.Reading, bool)
}

// Detector selects alerts by their labels. It asks nothing: its readings are
// posted, or read by its source's Present. An edge needs no time of its own:
// the rule behind the alert has its `for` and keep_firing_for already.
type Detector struct {
	Common kind.Common
	Match  map[string]string // labels that an alert must have with exactly these values
}

var (
	_ signalbox.Detector = (*Detector)(nil)
	_ Selector           = (*Detector)(nil)
)

// Questions is empty.
func (d *Detector) Questions() []signalbox.Question { return nil }

// Judge is empty: there are no answers.
func (d *Detector) Judge([]signalbox.Answer, map[string]signalbox.Reading, time.Time) []signalbox.Reading {
	return nil
}

// Select implements Selector. A subject template that names a label that the
// alert lacks never drops the alert: its subject is then its name and
// fingerprint.
func (d *Detector) Select(r signalbox.Reading) (signalbox.Reading, bool) {
	if !matches(d.Match, r.Labels) {
		return r, false
	}
	r.Detector, r.Owner, r.Origin = d.Common.Name, d.Common.Owner, d.Common.Origin
	r.Subject = d.subject(r)
	r.Links = append(append([]signalbox.Link(nil), r.Links...), d.Common.Links...)
	if len(d.Common.Labels) > 0 {
		kept := make(map[string]string, len(d.Common.Labels))
		for _, name := range d.Common.Labels {
			if v, ok := r.Labels[name]; ok {
				kept[name] = v
			}
		}
		r.Labels = kept
	}
	return r, true
}

// mostSubject keeps subjects readable, and usable as a part of a key.
const mostSubject = 256

func (d *Detector) subject(r signalbox.Reading) string {
	text, missing := d.Common.Subject.Expand(r.Labels)
	subject := plain(text, mostSubject)
	if missing == "" && subject != "" && len(text) <= mostSubject {
		return subject
	}
	return plain(r.Labels[model.AlertNameLabel], mostSubject) + "/" + r.Series
}

// Fallback returns the detector of the alerts that no configured detector of
// the source selects. It is named after the source, and has no owner of its own.
func Fallback(source string) *Detector {
	var subject kind.Subject
	if err := subject.UnmarshalText([]byte("{{alertname}}")); err != nil {
		panic(err) // a constant
	}
	return &Detector{Common: kind.Common{Name: source, Source: source, Subject: subject}}
}

// Assign gives each reading of b to the first of detectors that selects it,
// and to fallback if none does. It is pure; b is not changed.
func Assign(b signalbox.Batch, detectors []Selector, fallback Selector) signalbox.Batch {
	taken := make([]signalbox.Reading, 0, len(b.Readings))
	for _, r := range b.Readings {
		taken = append(taken, assign(r, detectors, fallback))
	}
	b.Readings = taken
	return b
}

func assign(r signalbox.Reading, detectors []Selector, fallback Selector) signalbox.Reading {
	for _, d := range detectors {
		if own, ok := d.Select(r); ok {
			return own
		}
	}
	own, _ := fallback.Select(r)
	return own
}
