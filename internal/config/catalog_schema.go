package config

import (
	"github.com/invopop/jsonschema"

	"github.com/signalbox/signalbox/internal/kind"
)

// catalogued is the schema of a detector that is an entry of the catalogue: all
// keys of its kind, none of which is required, since the entry may have it; nil:
// the catalogue has none of the kind.
func (s *schemer) catalogued(t tables, k kind.Source) *jsonschema.Schema {
	if t.catalog == nil {
		return nil
	}
	var names []any
	for _, name := range t.catalog.Names() {
		if e, ok := t.catalog.Entry(name); ok && e.Kind == k.Name {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	detector := s.of(&detectorKeys{})
	add(detector, s.of(k.Detector()))
	optional(detector)
	detector.Required = []string{"name", "source", "catalog"}
	value(detector, "catalog").Enum = names
	return detector
}

// optional makes every key optional, those of blocks below included.
func optional(s *jsonschema.Schema) {
	s.Required = nil
	for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
		if pair.Value.Properties != nil {
			optional(pair.Value)
		}
	}
}
