package config

import "github.com/signalbox/signalbox/internal/kind"

// evidenceKeys is one thing that is looked for around a new incident, for
// people: beside these keys it has those of its source's kind, or `readings`, or
// links alone.
type evidenceKeys struct {
	// What it is called on incidents and pages, of which there is one.
	Name string `yaml:"name" jsonschema:"required"`
	// The source that is asked; absent: none is.
	Source string `yaml:"source,omitempty"`
	// Detectors whose present readings are told, in place of a source: panels, SLOs, probes.
	Readings names `yaml:"readings,omitempty"`
	// Only for incidents of these detectors; absent: of all.
	On names `yaml:"on,omitempty"`
	// Only for incidents of these owners; absent: of all.
	Owners names `yaml:"owners,omitempty"`
	// Only for incidents with these labels.
	Match map[string]string `yaml:"match,omitempty"`
	// What must be equal: a field of the source, by its name, and the incident's label that it must equal.
	Same map[string]string `yaml:"same,omitempty"`
	// How long before the incident began is looked at, at most 24h.
	Since kind.Duration `yaml:"since,omitempty" default:"15m"`
	// At most so many lines are told, at most 20.
	Most int `yaml:"most,omitempty" jsonschema:"minimum=1,maximum=20" default:"5"`
	// Where a person sees the rest. Values are escaped.
	Links []evidenceLinkKeys `yaml:"links,omitempty"`
}

// evidenceLinkKeys is a link whose address names labels of the incident.
type evidenceLinkKeys struct {
	// What the link is called.
	Text string `yaml:"text" jsonschema:"required"`
	// Its address, http or https, whose path and query may name {{labels.NAME}}, {{subject}}, {{detector}}, {{owner}}, {{incident}} and {{opened_at}}.
	Href string `yaml:"href" jsonschema:"required"`
}
