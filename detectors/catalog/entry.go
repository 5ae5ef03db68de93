package catalog

import (
	"bytes"
	"embed"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/signalbox/signalbox/internal/kind"
)

//go:embed entries/*.yaml
var files embed.FS

// Entry is one entry, as its file has it.
type Entry struct {
	Name string `yaml:"-"` // its file's
	// Summary is one line for people: what is wrong when it is breached.
	Summary string `yaml:"summary"`
	// Kind of the source that it asks.
	Kind string `yaml:"kind"`
	// Needs are the exporters with their versions, and the metrics; or what
	// else must be there.
	Needs []string `yaml:"needs"`
	// Parameters in the order in which the page tells of them.
	Parameters []Parameter `yaml:"parameters"`
	// Detector are the keys of the detector, with ${name} for a parameter.
	Detector yaml.Node `yaml:"detector"`
}

// Catalog is the catalogue of this version.
type Catalog struct{}

// Names are those of the entries, in order.
func (Catalog) Names() []string {
	list, err := files.ReadDir("entries")
	if err != nil { // what is embedded is there
		return nil
	}
	names := make([]string, len(list))
	for i, f := range list {
		names[i] = strings.TrimSuffix(f.Name(), ".yaml")
	}
	return names
}

// Entry returns what the configuration must know of an entry.
func (Catalog) Entry(name string) (kind.Entry, bool) {
	e, err := Read(name)
	if err != nil {
		return kind.Entry{}, false
	}
	return kind.Entry{Name: e.Name, Kind: e.Kind, Keys: e.Keys}, true
}

// Read returns an entry. The error says that there is none of that name, or
// what is wrong with its file.
func Read(name string) (*Entry, error) {
	if strings.ContainsAny(name, `/\`) {
		return nil, fmt.Errorf("catalogue: no entry %q", name)
	}
	text, err := files.ReadFile("entries/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("catalogue: no entry %q", name)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	e := &Entry{Name: name}
	if err := d.Decode(e); err != nil {
		return nil, fmt.Errorf("catalogue: %s: %w", name, err)
	}
	for i := range e.Parameters {
		if err := e.Parameters[i].check(); err != nil {
			return nil, fmt.Errorf("catalogue: %s: parameter %q %w", name, e.Parameters[i].Name, err)
		}
	}
	return e, nil
}

// Keys returns the keys of the detector for the values that are given to its
// parameters, as kind.Entry has it.
func (e *Entry) Keys(with map[string]any, fail kind.Fail) []byte {
	ok := true
	report := func(path, rule string, value any) { ok = false; fail(path, rule, value) }
	for _, name := range slices.Sorted(maps.Keys(with)) {
		if !slices.ContainsFunc(e.Parameters, func(p Parameter) bool { return p.Name == name }) {
			report(name, "is not a parameter of the catalogue's "+e.Name+", whose parameters are "+e.names(), nil)
		}
	}
	values := map[string]value{}
	for _, p := range e.Parameters {
		given, there := with[p.Name]
		v, err := p.read(given, there)
		if err != nil {
			if !there {
				given = nil
			}
			report(p.Name, err.Error(), given)
			continue
		}
		values[p.Name] = v
	}
	if !ok {
		return nil
	}
	filled, err := fill(&e.Detector, values)
	if err != nil {
		report("", err.Error(), nil)
		return nil
	}
	text, err := yaml.Marshal(filled)
	if err != nil {
		report("", err.Error(), nil)
		return nil
	}
	return text
}

func (e *Entry) names() string {
	if len(e.Parameters) == 0 {
		return "none"
	}
	names := make([]string, len(e.Parameters))
	for i, p := range e.Parameters {
		names[i] = p.Name
	}
	return strings.Join(names, ", ")
}

// place is where a parameter stands: ${name}, or ${name.form} for another form
// of its value.
var place = regexp.MustCompile(`\$\{([a-z_]+)(?:\.([a-z]+))?\}`)

// fill copies a tree with the values in their places.
func fill(n *yaml.Node, values map[string]value) (*yaml.Node, error) {
	out := *n
	out.Content = make([]*yaml.Node, len(n.Content))
	for i, c := range n.Content {
		filled, err := fill(c, values)
		if err != nil {
			return nil, err
		}
		out.Content[i] = filled
	}
	if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "${") {
		return &out, nil
	}
	if m := place.FindStringSubmatch(n.Value); m != nil && m[0] == n.Value && m[2] == "" && values[m[1]].list != nil {
		return sequence(values[m[1]].list), nil
	}
	var wrong error
	out.Value = place.ReplaceAllStringFunc(n.Value, func(text string) string {
		m := place.FindStringSubmatch(text)
		v, ok := values[m[1]]
		form, known := v.forms[m[2]]
		if !ok || !known {
			wrong = fmt.Errorf("has no parameter for %s", text)
		}
		return form
	})
	out.Tag, out.Style = "", 0
	if out.Value != n.Value && strings.TrimSpace(n.Value) != place.FindString(n.Value) {
		out.Tag, out.Style = "!!str", yaml.DoubleQuotedStyle
	}
	return &out, wrong
}

func sequence(words []string) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	for _, w := range words {
		out.Content = append(out.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: w})
	}
	return out
}
