package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
	"github.com/signalbox/signalbox/internal/kind"
)

// Comments finds the doc comment of a type, or of one of its fields.
type Comments func(t reflect.Type, field string) string

// Schema is the JSON Schema (draft 2020-12) of one file of the configuration,
// with the keys of the kinds. What a file refers to may stand in another one,
// so that no section is required.
func Schema(kinds Kinds, comments Comments) ([]byte, error) {
	t, err := newTables(kinds)
	if err != nil {
		return nil, err
	}
	s := &schemer{defs: jsonschema.Definitions{}}
	s.reflector = jsonschema.Reflector{
		Anonymous: true, DoNotReference: true, RequiredFromJSONSchemaTags: true,
		FieldNameTag: "yaml", Mapper: mapper, LookupComment: comments,
	}
	root := s.of(&fileKeys{})
	root.Version = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "Signalbox configuration"
	s.sections(root, t)
	root.Definitions = s.defs
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("config: schema: %w", err)
	}
	return append(out, '\n'), nil
}

type schemer struct {
	reflector jsonschema.Reflector
	defs      jsonschema.Definitions
}

// of is the schema of a struct of keys, with what is refused taken out.
func (s *schemer) of(keys any) *jsonschema.Schema {
	schema := s.reflector.Reflect(keys)
	schema.Version, schema.ID = "", ""
	defaults(schema, reflect.TypeOf(keys).Elem())
	prune(schema)
	return schema
}

// define puts a schema under $defs and returns the reference to it.
func (s *schemer) define(name string, schema *jsonschema.Schema) *jsonschema.Schema {
	s.defs[name] = schema
	return &jsonschema.Schema{Ref: "#/$defs/" + name}
}

func (s *schemer) sections(root *jsonschema.Schema, t tables) {
	var sources, detectors []*jsonschema.Schema
	looks := []*jsonschema.Schema{s.define("evidence", without(s.of(&evidenceKeys{}), "source"))}
	for _, name := range words(t.sources) {
		k := t.sources[name]
		source := s.of(&sourceKeys{})
		set(source, "kind", &jsonschema.Schema{Const: name, Description: "The kind of the source."})
		add(source, s.of(k.Settings()))
		sources = append(sources, s.define("source-"+name, source))
		if k.Look != nil {
			look := s.of(&evidenceKeys{})
			add(look, s.of(k.Look()))
			look.Required = append(look.Required, "source")
			looks = append(looks, s.define("evidence-"+name, without(look, "readings")))
		}
		if k.Detector != nil {
			detector := s.of(&detectorKeys{})
			add(detector, s.of(k.Detector()))
			detectors = append(detectors, s.define("detector-"+name, without(detector, "catalog", "with")))
			if catalogued := s.catalogued(t, k); catalogued != nil {
				detectors = append(detectors, s.define("detector-"+name+"-of-catalog", catalogued))
			}
		}
	}
	value(root, "sources").AdditionalProperties = &jsonschema.Schema{OneOf: sources}
	value(root, "detectors").Items = &jsonschema.Schema{AnyOf: detectors}
	value(root, "evidence").Items = &jsonschema.Schema{AnyOf: looks}
	value(root, "owners").AdditionalProperties = s.define("owner", s.chosen(&ownerKeys{}, t.reaches, func(r kind.Remediator) map[string]func() kind.Settings { return r.Owner }))
	owner := s.defs["owner"]
	for _, key := range words(t.channels) {
		set(owner, key, s.define(key, s.of(t.channels[key].Channel[key]())))
	}
	value(root, "switches").AdditionalProperties = s.define("switch", s.chosen(&switchKeys{}, t.backends, func(r kind.Remediator) map[string]func() kind.Settings { return r.Backends }))
	value(root, "tools").AdditionalProperties = s.define("tool", s.chosen(&toolKeys{}, t.tools, func(r kind.Remediator) map[string]func() kind.Settings { return settingsOf(r.Tools) }))
	s.steps(value(root, "policies").Items, t)
}

// chosen is the schema of keys that have exactly one key of a table.
func (s *schemer) chosen(keys any, table map[string]kind.Remediator, of func(kind.Remediator) map[string]func() kind.Settings) *jsonschema.Schema {
	schema := s.of(keys)
	for _, key := range words(table) {
		set(schema, key, s.define(key, s.of(of(table[key])[key]())))
		schema.OneOf = append(schema.OneOf, &jsonschema.Schema{Required: []string{key}})
	}
	return schema
}

func (s *schemer) steps(policies *jsonschema.Schema, t tables) {
	branch := s.define("branch-step", s.step(&branchStepKeys{}, t))
	step := s.step(&stepKeys{}, t)
	step.OneOf = append(step.OneOf, &jsonschema.Schema{Required: []string{"parallel"}})
	value(step, "parallel").Items, value(step, "on_failure").Items = branch, branch
	value(policies, "runbook").Items = s.define("step", step)
}

// step is the schema of a step: one key of a remediator, or wait.
func (s *schemer) step(keys any, t tables) *jsonschema.Schema {
	step := s.of(keys)
	for _, word := range words(t.keywords) {
		what := "The switch to throw."
		switch k := t.keywords[word]; {
		case k.Owner != nil:
			what = "The owner to tell."
		case k.Tools != nil:
			what = "The tool to use."
		}
		set(step, word, &jsonschema.Schema{Type: "string", Description: what})
		step.OneOf = append(step.OneOf, &jsonschema.Schema{Required: []string{word}})
	}
	step.OneOf = append(step.OneOf, &jsonschema.Schema{Required: []string{"wait"}})
	return step
}

// without is a schema without some keys.
func without(s *jsonschema.Schema, keys ...string) *jsonschema.Schema {
	for _, key := range keys {
		s.Properties.Delete(key)
	}
	return s
}

func set(s *jsonschema.Schema, key string, property *jsonschema.Schema) {
	s.Properties.Set(key, property)
}

func value(s *jsonschema.Schema, key string) *jsonschema.Schema {
	v, _ := s.Properties.Get(key)
	return v
}

// add puts the properties of b into a.
func add(a, b *jsonschema.Schema) {
	for pair := b.Properties.Oldest(); pair != nil; pair = pair.Next() {
		a.Properties.Set(pair.Key, pair.Value)
	}
	a.Required = append(a.Required, b.Required...)
}

// refused marks a key that the configuration must not have.
const refused = "refused"

// prune takes out what is refused, and secrets by their names.
func prune(s *jsonschema.Schema) {
	if s == nil || s == jsonschema.FalseSchema || s == jsonschema.TrueSchema {
		return
	}
	if s.Properties != nil {
		var gone []string
		for pair := s.Properties.Oldest(); pair != nil; pair = pair.Next() {
			if isRefused(pair.Key, pair.Value) {
				gone = append(gone, pair.Key)
			}
			prune(pair.Value)
		}
		for _, key := range gone {
			s.Properties.Delete(key)
		}
	}
	prune(s.Items)
	prune(s.AdditionalProperties)
}

func isRefused(key string, s *jsonschema.Schema) bool {
	plain := s.Type == "string"
	return s.Comments == refused || plain && (isSecret(key) || strings.HasSuffix(key, "_ref")) ||
		s.Items != nil && s.Items.Comments == refused
}

// defaults writes the default tags into the schema.
func defaults(s *jsonschema.Schema, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, inline := keyName(f)
		if s.Properties == nil {
			return
		}
		if inline && f.Type.Kind() == reflect.Struct && f.Type.PkgPath() == t.PkgPath() {
			defaults(s, f.Type)
			continue
		}
		property, ok := s.Properties.Get(name)
		if !ok {
			continue
		}
		if text, ok := f.Tag.Lookup("default"); ok {
			property.Default = defaultValue(f.Type, text)
		}
		if inner := f.Type; inner.Kind() == reflect.Struct && inner.PkgPath() == t.PkgPath() {
			defaults(property, inner)
		} else if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct && inner.Elem().PkgPath() == t.PkgPath() {
			defaults(property.Items, inner.Elem())
		}
	}
}

func defaultValue(t reflect.Type, text string) any {
	switch t.Kind() {
	case reflect.Slice:
		return []any{text}
	case reflect.Int:
		return json.Number(text)
	}
	return text
}
