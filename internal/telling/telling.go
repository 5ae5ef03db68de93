// Package telling writes what a step tells of its incident: a template of the
// configuration, filled in from signalbox.About.
//
//	{{subject}} {{detector}} {{owner}} {{policy}} {{incident}} {{opened_at}}
//	{{labels.NAME}}   only of the labels that the tool's settings list
//
// The text of a template is its author's, and stays as it is. What is filled in
// is as untrusted as the incident's source: it is put on one line, cut, and
// escaped for where it goes; and it is filled in once, so that a label's value
// is never a template.
package telling

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/pagetext"
)

// MostValue bounds one value that is filled in, in characters.
const MostValue = 255

// fields are the names beside labels.
var fields = map[string]func(a *signalbox.About) string{
	"subject":  func(a *signalbox.About) string { return a.Subject },
	"detector": func(a *signalbox.About) string { return a.Detector },
	"owner":    func(a *signalbox.About) string { return a.Owner },
	"policy":   func(a *signalbox.About) string { return a.Policy },
	"incident": func(a *signalbox.About) string { return string(a.Incident) },
	"opened_at": func(a *signalbox.About) string {
		if a.OpenedAt.IsZero() {
			return ""
		}
		return a.OpenedAt.UTC().Format(time.RFC3339)
	},
}

const labelPrefix = "labels."

// Template is a text with names in double braces. The zero value is an empty
// text.
type Template struct {
	parts []string // text, name, text, name, … text
}

// Parse reads a template, in which only the labels listed may be named. Its
// error follows the name of the setting: "has }} without {{".
func Parse(text string, labels []string) (Template, error) {
	var t Template
	for rest := text; ; {
		plain, after, found := strings.Cut(rest, "{{")
		if strings.Contains(plain, "}}") {
			return Template{}, errors.New("has }} without {{")
		}
		t.parts = append(t.parts, plain)
		if !found {
			return t, nil
		}
		name, tail, closed := strings.Cut(after, "}}")
		if !closed {
			return Template{}, errors.New("has {{ without }}")
		}
		name = strings.TrimSpace(name)
		if err := known(name, labels); err != nil {
			return Template{}, err
		}
		t.parts, rest = append(t.parts, name), tail
	}
}

func known(name string, labels []string) error {
	label, isLabel := strings.CutPrefix(name, labelPrefix)
	switch {
	case isLabel && slices.Contains(labels, label), !isLabel && fields[name] != nil:
		return nil
	case isLabel:
		return fmt.Errorf("names the label %q, which `labels` does not list", label)
	}
	return fmt.Errorf("names %q: known are subject, detector, owner, policy, incident, opened_at and labels.NAME", name)
}

// CheckLabels says what is wrong with a list of labels; empty: nothing.
func CheckLabels(labels []string) string {
	for i, name := range labels {
		if !model.LegacyValidation.IsValidLabelName(name) || slices.Contains(labels[:i], name) {
			return "must list names of labels, each once"
		}
	}
	return ""
}

// Expand fills the template in. escape makes each value fit for where the text
// goes; nil: as it is. A value that is missing or empty is an error.
func (t Template) Expand(about *signalbox.About, escape func(string) string) (string, error) {
	if about == nil {
		about = &signalbox.About{}
	}
	var b strings.Builder
	for i, p := range t.parts {
		if i%2 == 0 {
			b.WriteString(p)
			continue
		}
		v := Clean(value(about, p), MostValue)
		if v == "" {
			return "", fmt.Errorf("the incident has no %s", strings.Replace(p, labelPrefix, "label ", 1))
		}
		if escape != nil {
			v = escape(v)
		}
		b.WriteString(v)
	}
	return b.String(), nil
}

func value(about *signalbox.About, name string) string {
	if label, ok := strings.CutPrefix(name, labelPrefix); ok {
		return about.Labels[label]
	}
	if f := fields[name]; f != nil {
		return f(about)
	}
	return ""
}

// Clean makes one line of foreign text, of at most most characters, without
// control and format characters.
func Clean(s string, most int) string {
	return strings.Join(strings.Fields(pagetext.Plain(s, most)), " ")
}

// Cut bounds a whole text, in characters; its lines stay.
func Cut(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// Slack escapes a value for a text of Slack: where Slack is asked to parse
// nothing besides (verbatim), it mentions nobody and makes no link.
func Slack(s string) string { return slackEscape(s) }

var slackEscape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
