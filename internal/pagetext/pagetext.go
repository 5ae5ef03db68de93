// Package pagetext writes a page as text that a person reads: in the body of an
// incident, in a chat, in a mail. Only the listed fields of a PageBody are in
// it, each cleaned, and it is never longer than it may be.
package pagetext

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	signalbox "github.com/signalbox/signalbox"
)

// Bounds of single fields, in characters, so that one long line can't push out
// all others.
const (
	mostLine  = 1000
	mostName  = 255
	mostHref  = 2048
	mostLinks = 100
)

// Section is one list of a page, with its heading.
type Section struct {
	Name  string
	Lines []string
}

// Sections are the lists of a page that have lines, what matters most first:
// what is suggested, what is thrown now and how it is taken back, the newest of
// what was done, the evidence, links, labels.
func Sections(body signalbox.PageBody) []Section {
	var thrown []string
	for _, t := range body.Thrown {
		line := t.What
		if t.ByHand != "" {
			line += "; by hand: " + t.ByHand
		}
		thrown = append(thrown, line)
	}
	done := slices.Clone(body.Done)
	slices.Reverse(done)
	var links, labels []string
	for _, l := range Links(body.Links) {
		links = append(links, strings.TrimSpace(l.Text+" "+l.Href))
	}
	for _, name := range slices.Sorted(maps.Keys(body.Labels)) {
		labels = append(labels, Plain(name, mostName)+"="+body.Labels[name])
	}
	all := []Section{
		{"Also", slices.Clone(body.Also)},
		{"Plan", slices.Clone(body.Plan)},
		{"Thrown now", thrown},
		{"Done, newest first", done},
		{"Evidence", slices.Clone(body.Evidence)},
		{"Links", links},
		{"Labels", labels},
	}
	for _, s := range all {
		most := mostLine
		if s.Name == "Links" {
			most += mostHref
		}
		for i := range s.Lines {
			s.Lines[i] = Plain(s.Lines[i], most)
		}
	}
	return slices.DeleteFunc(all, func(s Section) bool { return len(s.Lines) == 0 })
}

// Text is a page without its summary, in at most most characters; what does
// not fit is counted in its last line.
func Text(body signalbox.PageBody, most int) string {
	lines := []string{Head(body)}
	for _, s := range Sections(body) {
		lines = append(lines, "", s.Name+":")
		for _, l := range s.Lines {
			lines = append(lines, "- "+l)
		}
	}
	return Fit(lines, most)
}

// Fit joins as many lines as have at most most characters together. Where
// there are more, the last line says how many. most must leave room for that
// line.
func Fit(lines []string, most int) string {
	if whole := strings.Join(lines, "\n"); utf8.RuneCountInString(whole) <= most {
		return whole
	}
	const note = len("\n… 1000000000 more lines")
	var b strings.Builder
	n := 0
	for i, l := range lines {
		n += utf8.RuneCountInString(l) + 1
		if n > most-note {
			fmt.Fprintf(&b, "… %d more lines", len(lines)-i)
			break
		}
		b.WriteString(l + "\n")
	}
	return b.String()
}

// Head is the line that says what is ill, how badly, and since when.
func Head(body signalbox.PageBody) string {
	head := Plain(body.Severity, mostName)
	if source := Plain(body.Source, mostName); source != "" {
		head = strings.TrimSpace(head + " on " + source)
	}
	if !body.At.IsZero() {
		head += ", at " + body.At.UTC().Format(time.RFC3339)
	}
	return strings.TrimPrefix(head, ", ")
}

// Links are the links that a person can follow from a page: absolute http or
// https URLs without a credential.
func Links(in []signalbox.Link) []signalbox.Link {
	out := make([]signalbox.Link, 0, len(in))
	for _, l := range in[:min(len(in), mostLinks)] {
		u, err := url.Parse(l.Href)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || len(l.Href) > mostHref {
			continue
		}
		out = append(out, signalbox.Link{Href: u.String(), Text: Plain(l.Text, mostName)})
	}
	return out
}

// Plain makes text fit for a page: control and format characters become
// spaces, and what is longer than most characters is cut and ends in "…".
func Plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if len(s) <= most || utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most-1]) + "…"
}
