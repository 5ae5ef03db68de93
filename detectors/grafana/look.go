package grafana

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/telling"
)

// LookSettings are the keys of an entry of `evidence` on a source of this kind:
// annotations, such as those that a pipeline leaves at each deploy.
type LookSettings struct {
	// The tags that an annotation must have, all of them.
	Tags []string `yaml:"annotations" json:"annotations" jsonschema:"required,minItems=1"`
	// Whether the begin of its text is told beside its other tags: anybody who may annotate writes it.
	Text bool `yaml:"text,omitempty" json:"text,omitempty"`
}

// The bounds of a look.
const (
	mostTags  = 10
	notesRead = 100
	mostTold  = 120 // characters of an annotation's text
)

// Validate reports every rule that the settings break.
func (s *LookSettings) Validate(fail kind.Fail) {
	if len(s.Tags) > mostTags {
		fail("annotations", fmt.Sprintf("must be at most %d tags", mostTags), len(s.Tags))
	}
	for i, tag := range s.Tags {
		if tag == "" || httpclient.Plain(tag, maxTag) != tag || slices.Contains(s.Tags[:i], tag) {
			fail(fmt.Sprintf("annotations[%d]", i), fmt.Sprintf("must be a tag of at most %d characters, each once", maxTag), tag)
		}
	}
}

// Field says what is wrong with a field that `same` names.
func (s *LookSettings) Field(name string) string {
	if httpclient.Plain(name, maxTag/2) != name || strings.Contains(name, ":") {
		return "must be the begin of a tag NAME:VALUE"
	}
	return ""
}

// Build makes the look. opened is what this kind's Open returned.
func (s *LookSettings) Build(name string, opened any) (kind.Look, error) {
	source, ok := opened.(*Source)
	if !ok {
		return nil, fmt.Errorf("evidence %s: the source is not of kind grafana", name)
	}
	return &glance{source: source, settings: *s}, nil
}

// glance reads annotations.
type glance struct {
	source   *Source
	settings LookSettings
}

// Look reads the annotations that have the tags, and of `same` those of NAME:VALUE.
func (l *glance) Look(ctx context.Context, a kind.Around) ([]signalbox.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, l.source.timeout)
	defer cancel()
	tags := slices.Clone(l.settings.Tags)
	for name, value := range a.Same {
		tags = append(tags, name+":"+value)
	}
	slices.Sort(tags)
	var notes []note
	err := l.source.client.JSON(ctx, http.MethodGet, "/api/annotations", url.Values{
		"from": {formatInt(a.From.UnixMilli())}, "to": {formatInt(a.To.UnixMilli())}, "tags": tags,
		"type": {"annotation"}, "limit": {formatInt(notesRead)},
	}, nil, &notes, message)
	switch {
	case err != nil:
		return nil, err
	case notes == nil:
		return nil, errors.New("the answer is no list of annotations")
	}
	var found []signalbox.Finding
	for _, n := range notes {
		if !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(n.Tags, tag) }) {
			found = append(found, l.tell(n))
		}
	}
	return evidence.Together(found, a.Most), nil
}

// tell tells one annotation: its tags beside those that were asked for.
func (l *glance) tell(n note) signalbox.Finding {
	var others []string
	for _, tag := range n.Tags {
		if !slices.Contains(l.settings.Tags, tag) {
			others = append(others, telling.Clean(tag, maxTag))
		}
	}
	text := strings.Join(append([]string{strings.Join(l.settings.Tags, " ")}, others...), " ")
	if l.settings.Text {
		text += ": " + telling.Clean(l.source.client.Redact(n.Text), mostTold)
	}
	f := signalbox.Finding{At: time.UnixMilli(n.Time).UTC(), Text: text}
	if n.DashboardUID != "" {
		u := l.source.client.Base().JoinPath("d", url.PathEscape(n.DashboardUID))
		u.User = nil
		f.Link = &signalbox.Link{Text: "dashboard", Href: u.String()}
	}
	return f
}
