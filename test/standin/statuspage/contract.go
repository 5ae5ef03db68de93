package statuspage

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/getkin/kin-openapi/openapi3"
)

// contract is the vendor's schemas of what a page consists of.
type contract struct{ schemas openapi3.Schemas }

func readContract(path string) (*contract, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"Page", "Component", "Incident", "IncidentUpdate"} {
		if doc.Components.Schemas[name] == nil {
			return nil, fmt.Errorf("it has no schema %s", name)
		}
	}
	return &contract{schemas: doc.Components.Schemas}, nil
}

// check says what of a summary is not as the schemas have it.
func (c *contract) check(summary any) []string {
	raw, err := json.Marshal(summary)
	if err != nil {
		return []string{err.Error()}
	}
	var s map[string]any
	if err := json.Unmarshal(raw, &s); err != nil {
		return []string{err.Error()}
	}
	var wrong []string
	hold := func(schema string, v any) {
		object, _ := v.(map[string]any)
		known := c.schemas[schema].Value
		for name := range object {
			// The public API has these beside the schemas' fields.
			if known.Properties[name] == nil && name != "started_at" && (schema != "Component" || name != "components") {
				wrong = append(wrong, schema+" has no field "+name)
			}
		}
		if err := known.VisitJSON(withoutNulls(v), openapi3.EnableFormatValidation()); err != nil {
			wrong = append(wrong, schema+": "+err.Error())
		}
	}
	hold("Page", s["page"])
	for _, v := range list(s["components"]) {
		hold("Component", v)
	}
	for _, v := range append(list(s["incidents"]), list(s["scheduled_maintenances"])...) {
		hold("Incident", v)
		if i, ok := v.(map[string]any); ok {
			for _, u := range list(i["incident_updates"]) {
				hold("IncidentUpdate", u)
			}
		}
	}
	return wrong
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// withoutNulls leaves out what is null: the schemas say so by absence.
func withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			if inner != nil {
				out[name] = withoutNulls(inner)
			}
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, inner := range v {
			out = append(out, withoutNulls(inner))
		}
		return out
	}
	return v
}
