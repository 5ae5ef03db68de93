package loki

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/telling"
)

// LookSettings are the keys of an entry of `evidence` on a source of this kind:
// lines of a log, reduced to listed fields.
type LookSettings struct {
	// LogQL that selects lines, and parses them where a field is not a label yet: {namespace="prod"} | json | level="error"
	Query string `yaml:"query" json:"query" jsonschema:"required"`
	// The fields of a line that are told, in this order; nothing else of it is: labels, structured metadata, or what the query parses.
	Fields []string `yaml:"fields" json:"fields" jsonschema:"required,minItems=1"`
	// A link of each line, http or https, whose path and query may name its listed fields: {{labels.trace_id}}
	Line *LineLink `yaml:"line,omitempty" json:"line,omitempty"`
}

// LineLink is a link of a line.
type LineLink struct {
	// What the link is called.
	Text string `yaml:"text" json:"text" jsonschema:"required"`
	// Its address. A line that lacks a field which it names has no link.
	Href string `yaml:"href" json:"href" jsonschema:"required"`
}

// The bounds of a look. So many of the newest lines are read; those that say the
// same are told as one.
const (
	mostFields = 20
	linesRead  = 500
	mostHref   = 1000
	mostValue  = 120 // characters of a field
)

// Validate reports every rule that the settings break.
func (s *LookSettings) Validate(fail kind.Fail) {
	switch err := parseLines(s.Query); {
	case errors.Is(err, errRange):
		fail("query", "must not have a range: it selects lines, and since says how far back", s.Query)
	case err != nil:
		fail("query", err.Error(), s.Query)
	}
	if len(s.Fields) > mostFields {
		fail("fields", fmt.Sprintf("must be at most %d", mostFields), len(s.Fields))
	}
	for i, name := range s.Fields {
		if !model.LegacyValidation.IsValidLabelName(name) || slices.Contains(s.Fields[:i], name) {
			fail(fmt.Sprintf("fields[%d]", i), "must be the name of a field, each once", name)
		}
	}
	if s.Line == nil {
		return
	}
	if telling.Clean(s.Line.Text, mostValue) != s.Line.Text {
		fail("line.text", fmt.Sprintf("must be one line of at most %d characters", mostValue), s.Line.Text)
	}
	if _, err := telling.ParseLink(s.Line.Href, s.Fields, mostHref); err != nil {
		fail("line.href", strings.Replace(err.Error(), "`labels`", "`fields`", 1), "(not shown: it may hold a credential)")
	}
}

// Field says what is wrong with a field that `same` names.
func (s *LookSettings) Field(name string) string {
	if !model.LegacyValidation.IsValidLabelName(name) {
		return "must be the name of a field of the lines"
	}
	return ""
}

// Build makes the look. opened is what this kind's Open returned.
func (s *LookSettings) Build(name string, opened any) (kind.Look, error) {
	source, ok := opened.(*Source)
	if !ok {
		return nil, fmt.Errorf("evidence %s: the source is not of kind loki", name)
	}
	l := &glance{source: source, query: s.Query, fields: s.Fields}
	if s.Line != nil {
		t, err := telling.ParseLink(s.Line.Href, s.Fields, mostHref)
		if err != nil {
			return nil, fmt.Errorf("evidence %s: line.href %w", name, err)
		}
		l.text, l.link = s.Line.Text, &t
	}
	return l, nil
}

// glance reads the newest lines around an incident.
type glance struct {
	source *Source
	query  string
	fields []string
	text   string
	link   *telling.Template // nil: none
}

// Look reads the newest lines, and tells of each its listed fields. A line that
// has none of them is counted, and not told.
func (l *glance) Look(ctx context.Context, a kind.Around) ([]signalbox.Finding, error) {
	d, warnings, err := l.source.get(ctx, rangePath, url.Values{
		"query": {narrowed(l.query, a.Same)}, "start": {nanoseconds(a.From)}, "end": {nanoseconds(a.To)},
		"limit": {strconv.Itoa(min(linesRead, l.source.page))}, "direction": {"backward"},
	})
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, errors.New("the answer may be partial: " + warnings[0])
	}
	lines, err := d.entries()
	if err != nil {
		return nil, err
	}
	found, bare := make([]signalbox.Finding, 0, len(lines)), 0
	for i := range lines {
		if f := l.tell(&lines[i]); f.Text != "" {
			found = append(found, f)
		} else {
			bare++
		}
	}
	if len(found) == 0 && bare > 0 {
		return []signalbox.Finding{{Text: fmt.Sprintf("%d lines, none of which has one of the fields %s", bare, strings.Join(l.fields, ", "))}}, nil
	}
	return evidence.Together(found, a.Most), nil
}

// tell reduces a line to its listed fields.
func (l *glance) tell(e *entry) signalbox.Finding {
	listed := make(map[string]string, len(l.fields))
	for _, name := range l.fields {
		if v := telling.Clean(l.source.client.Redact(e.labels[name]), mostValue); v != "" {
			listed[name] = v
		}
	}
	f := signalbox.Finding{At: time.Unix(0, e.at).UTC(), Text: evidence.Fields(l.fields, listed)}
	if l.link != nil {
		if href, err := l.link.Expand(&signalbox.About{Labels: listed}, url.QueryEscape); err == nil {
			f.Link = &signalbox.Link{Text: l.text, Href: href}
		}
	}
	return f
}

// narrowed is the query for lines whose fields have the given values, which are
// foreign text: each stands in it as a quoted string, at its end.
// See https://grafana.com/docs/loki/latest/query/log_queries/#label-filter-expression.
func narrowed(query string, same map[string]string) string {
	var b strings.Builder
	b.WriteString(query)
	for _, field := range slices.Sorted(maps.Keys(same)) {
		// On a line of its own: the query may end in a comment.
		b.WriteString("\n| " + field + "=" + strconv.Quote(same[field]))
	}
	return b.String()
}
