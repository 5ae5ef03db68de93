package alertmanager

import (
	"fmt"
	"maps"
	"time"

	"github.com/prometheus/common/model"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings is what the configuration says to a detector on a source of
// this kind.
type DetectorSettings struct {
	// Labels that an alert must have with exactly these values; none: it takes every alert.
	Match map[string]string `yaml:"match" json:"match,omitempty"`
}

// Validate checks the settings.
func (d *DetectorSettings) Validate(fail kind.Fail) {
	for name, value := range d.Match {
		if name == "" || value == "" {
			fail("match."+name, "must name a label and its value; neither may be empty", value)
		}
	}
}

// Unit is none: an alert fires or not.
func (d *DetectorSettings) Unit() signalbox.Unit { return signalbox.Number }

// Fresh is how old a reading may be that is acted on: Alertmanager updates an
// alert when Prometheus sends it again, within minutes.
func (d *DetectorSettings) Fresh(time.Duration) time.Duration { return 5 * time.Minute }

// Build makes a *Detector. An edge needs no time of its own: the rule behind
// the alert has its `for` and keep_firing_for already.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	if _, ok := opened.(*Source); !ok {
		return nil, track.Timing{}, fmt.Errorf("detector %q: source %q must be of kind alertmanager", c.Name, c.Source)
	}
	return &Detector{common: c, match: maps.Clone(d.Match)}, track.Timing{}, nil
}

// Selector takes the alerts of a source that are its own.
type Selector interface {
	// Select returns r named, described and owned by the detector, or false
	// when the alert is not its own. It is pure and safe for concurrent use.
	Select(r signalbox.Reading) (signalbox.Reading, bool)
}

// Detector selects alerts by their labels. It asks nothing: its readings are
// posted, or read by its source's Present.
type Detector struct {
	common kind.Common
	match  map[string]string
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
	for name, value := range d.match {
		if r.Labels[name] != value {
			return r, false
		}
	}
	r.Detector, r.Owner = d.common.Name, d.common.Owner
	r.Subject = d.subject(r)
	r.Links = append(append([]signalbox.Link(nil), r.Links...), d.common.Links...)
	if len(d.common.Labels) > 0 {
		kept := make(map[string]string, len(d.common.Labels))
		for _, name := range d.common.Labels {
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
	text, missing := d.common.Subject.Expand(r.Labels)
	subject := plain(text, mostSubject)
	if missing == "" && subject != "" && len(text) <= mostSubject {
		return subject
	}
	return plain(r.Labels[model.AlertNameLabel], mostSubject) + "/" + r.Series
}

// Fallback returns the detector of the alerts that no configured detector of
// the source selects. It is named after the source.
func (s *Source) Fallback(owner string) *Detector {
	var subject kind.Subject
	if err := subject.UnmarshalText([]byte("{{alertname}}")); err != nil {
		panic(err) // a constant
	}
	return &Detector{common: kind.Common{Name: s.name, Source: s.name, Subject: subject, Owner: owner}}
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
