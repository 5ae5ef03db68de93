package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/signalbox/signalbox/internal/kind"
)

// auditKeys is where the audit trail is told, beside the archive.
type auditKeys struct {
	// The source of kind loki that the journal's entries are pushed to.
	Source string `yaml:"source" jsonschema:"required"`
	// The labels of the one stream that they make, which should be its own in that Loki.
	Labels map[string]string `yaml:"labels,omitempty"`
	// The most entries that may wait for the source, at most 1,000,000; older ones are dropped and counted.
	Queue int `yaml:"queue,omitempty" jsonschema:"minimum=1" default:"10000"`
}

// Audit is where the audit trail is told.
type Audit struct {
	Source string
	Labels map[string]string // at least one
	Queue  int
	Place  Place
}

// The bounds of audit. Loki takes 15 labels in a stream, with values of at most
// 2,048 bytes; see max_label_names_per_series and max_label_value_length.
const (
	maxAuditQueue  = 1_000_000
	maxAuditLabels = 15
	maxAuditValue  = 2048
)

func (l *loader) audit(s spot) {
	if !s.has() {
		return
	}
	s = s.asBlock("")
	var keys auditKeys
	l.settle(s, nil, &keys)
	if src, _ := reference(s.key("source"), "a source", l.sourceOf); src != nil {
		l.takesLines(s.key("source"), src)
	}
	if at := s.key("queue"); at.has() && keys.Queue > maxAuditQueue {
		at.fail(fmt.Sprintf("must be at most %d", maxAuditQueue), keys.Queue)
	}
	auditLabels(s.key("labels"), keys.Labels)
	a := &Audit{Source: keys.Source, Labels: keys.Labels, Queue: keys.Queue, Place: s.place}
	if len(a.Labels) == 0 {
		a.Labels = map[string]string{"job": "signalbox"}
	}
	l.cfg.Audit = a
}

// takesLines reports a source that lines can't be pushed to.
func (l *loader) takesLines(s spot, src *Source) {
	p, ok := src.Settings.(kind.Pushed)
	if !ok {
		var kinds []string
		for _, name := range words(l.sources) {
			if _, ok := l.sources[name].Settings().(kind.Pushed); ok {
				kinds = append(kinds, name)
			}
		}
		s.fail("must name a source that lines can be pushed to, of kind "+strings.Join(kinds, " or "), src.Name)
		return
	}
	if _, key, err := p.Pushing(); err != nil {
		s.fail(fmt.Sprintf("must name a source that lines can be pushed to: its %s %v", key, err), src.Name)
	}
}

func auditLabels(s spot, labels map[string]string) {
	if len(labels) > maxAuditLabels {
		s.fail(fmt.Sprintf("must be at most %d labels", maxAuditLabels), len(labels))
	}
	if s.has() && s.node.shape == mapping && len(s.node.keys) == 0 {
		s.fail("must hold something: leave the key out where there is nothing", nil)
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		at, value := s.key(name), labels[name]
		switch {
		case !model.LegacyValidation.IsValidLabelName(name), strings.HasPrefix(name, "__"):
			at.fail("must be the name of a label, not beginning with __", nil)
		case value == "", len(value) > maxAuditValue:
			at.fail(fmt.Sprintf("must be a value of 1 to %d bytes", maxAuditValue), value)
		}
	}
}
