package config_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/signalbox/signalbox/internal/config"
)

// An editor takes a detector of the catalogue without the keys that the entry
// has, and knows the entries by name.
func TestSchemaOfCatalog(t *testing.T) {
	raw, err := config.Schema(realKinds(), comments(t))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		detector string
		valid    bool
	}{
		{`{name: a, source: m, catalog: postgresql-replication-lag}`, true},
		{`{name: a, source: m, catalog: postgresql-replication-lag, with: {select: 'job="pg"'}, breach: {for: 5s}, labels: [x]}`, true},
		{`{name: a, source: m, catalog: slo-burn, with: {bad: x, total: y}, slo: {objective: 99.5%}}`, true},
		{`{name: a, source: m, catalog: pod-failures, pods: {namespaces: [core]}}`, true},
		{`{name: a, source: m, catalog: nothing-like-it}`, false},
		{`{name: a, catalog: slo-burn}`, false},
		{`{name: a, source: m, catalog: slo-burn, pods: {}}`, false},
		{`{name: a, source: m, catalog: slo-burn, nonsense: 1}`, false},
		{`{name: a, source: m, with: {x: 1}, query: up, subject: x, breach: {above: 1}}`, false},
		{`{name: a, source: m, query: up}`, false},
	} {
		var v any
		if err := yaml.Unmarshal([]byte("detectors: ["+x.detector+"]"), &v); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		instance, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(instance); (err == nil) != x.valid {
			t.Errorf("%s: valid must be %v: %v", x.detector, x.valid, err)
		}
	}
}
