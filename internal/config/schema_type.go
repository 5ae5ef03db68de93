package config

import (
	"reflect"

	"github.com/invopop/jsonschema"
	common "github.com/prometheus/common/config"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/policy"
)

// mapper writes the types that read one value of text, and those whose form in
// YAML is not that of their fields.
func mapper(t reflect.Type) *jsonschema.Schema {
	text := func(pattern string) *jsonschema.Schema {
		return &jsonschema.Schema{Type: "string", Pattern: pattern}
	}
	zero := uint64(1)
	switch t {
	case reflect.TypeFor[kind.Duration]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text(`^(0|([0-9]+(ms|[smhdwy]))+)$`), {Const: 0}}}
	case reflect.TypeFor[kind.Quantity]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{{Type: "number"}, text(`^[-+0-9.eE]+ *(ns|us|µs|ms|s|m|h|d|w|B|kB|MB|GB|TB|KiB|MiB|GiB|TiB|%)?$`)}}
	case reflect.TypeFor[kind.Subject]():
		return text("")
	case reflect.TypeFor[rate]():
		return text(`^[0-9]+/(minute|hour|day|week|([0-9]+(ms|[smhdwy]))+)( burst [0-9]+)?$`)
	case reflect.TypeFor[share]():
		return text(`^[0-9]+(\.[0-9]+)?%$`)
	case namesType:
		one := text("")
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{one, {Type: "array", Items: one, MinItems: &zero}}}
	case reflect.TypeFor[signalbox.UndoMode]():
		return oneWord(undoModes)
	case reflect.TypeFor[policy.Autonomy]():
		return oneWord([]policy.Autonomy{policy.Shadow, policy.Suggest, policy.Approve, policy.Auto})
	case secretType, proxyHeaderType, secretsType:
		return &jsonschema.Schema{Comments: refused}
	case urlType:
		return &jsonschema.Schema{Type: "string", Format: "uri"}
	case reflect.TypeFor[common.TLSVersion]():
		return oneWord(words(common.TLSVersions))
	case reflect.TypeFor[common.Headers]():
		return headers()
	}
	return nil
}

func oneWord[T ~string](list []T) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "string"}
	for _, w := range list {
		s.Enum = append(s.Enum, string(w))
	}
	return s
}

// headers are HTTP headers by name, each with values or files.
func headers() *jsonschema.Schema {
	one := jsonschema.NewProperties()
	for _, key := range []string{"values", "files"} {
		one.Set(key, &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Type: "string"}})
	}
	return &jsonschema.Schema{Type: "object", AdditionalProperties: &jsonschema.Schema{
		Type: "object", Properties: one, AdditionalProperties: jsonschema.FalseSchema,
	}}
}
