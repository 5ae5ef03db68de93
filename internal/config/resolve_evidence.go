package config

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/signalbox/signalbox/internal/evidence"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/telling"
)

// Evidence is one thing that is looked for around a new incident.
type Evidence struct {
	evidence.Entry        // without its Look
	Source         string // empty: no source is asked
	Settings       kind.LookSettings
	Place          Place
}

// The bounds of an entry.
const (
	mostEvidence  = 50
	mostSince     = 24 * time.Hour
	mostFound     = 20
	mostLinkText  = 100
	mostLinkHref  = 1000
	mostSameRules = 10
)

// evidence is one entry of the section.
func (l *loader) evidence(s spot) {
	var keys evidenceKeys
	src, known := (*Source)(nil), true
	if s.key("source").has() {
		src, known = reference(s.key("source"), "a source", l.sourceOf)
	}
	e := &Evidence{Place: s.place}
	switch {
	case src != nil && src.Kind.Look != nil:
		e.Settings, e.Source = src.Kind.Look(), src.Name
		l.settle(s, nil, &keys, e.Settings)
	case src != nil:
		s.key("source").fail("must name a source that can be looked at, of kind "+strings.Join(l.looked(), " or "), src.Name)
		l.settle(s, otherKeys[evidenceKeys](s), &keys)
	case !known: // its other keys can't be judged
		l.settle(s, otherKeys[evidenceKeys](s), &keys)
	default:
		l.settle(s, nil, &keys)
	}
	e.Entry = evidence.Entry{
		Name: keys.Name, Detectors: keys.On, Owners: keys.Owners, Match: keys.Match, Same: keys.Same,
		Since: keys.Since.Std(), Most: keys.Most, Readings: keys.Readings,
	}
	l.evidenceRules(s, keys)
	for _, field := range words(keys.Same) {
		if e.Settings == nil {
			break
		}
		if rule := e.Settings.Field(field); rule != "" {
			s.find("same."+field).fail("names a field that "+rule, field)
		}
	}
	for i, link := range keys.Links {
		if t, ok := evidenceLink(s, fmt.Sprintf("links[%d]", i), link); ok {
			e.Links = append(e.Links, evidence.Link{Text: link.Text, URL: t})
		}
	}
	if l.cfg.Evidence = append(l.cfg.Evidence, e); len(l.cfg.Evidence) == mostEvidence+1 {
		s.fail(fmt.Sprintf("must be one of at most %d", mostEvidence), nil)
	}
}

// looked are the kinds of sources that can be looked at.
func (l *loader) looked() (kinds []string) {
	for _, name := range words(l.sources) {
		if l.sources[name].Look != nil {
			kinds = append(kinds, name)
		}
	}
	return kinds
}

func (l *loader) evidenceRules(s spot, keys evidenceKeys) {
	if at := s.key("name"); keys.Name != "" && nameRule(at, keys.Name) {
		once(at, keys.Name, l.evidencePlaces)
	}
	l.on(s.key("on"), keys.On)
	for _, item := range items(s.key("readings")) {
		reference(item, "a detector", l.detectorOf)
	}
	for _, item := range items(s.key("owners")) {
		reference(item, "an owner", l.ownerOf)
	}
	switch asks, reads := s.key("source").has(), s.key("readings").has(); {
	case asks && reads:
		s.key("readings").fail("must not be given beside source", nil)
	case !asks && !reads && len(keys.Links) == 0:
		s.fail("must have source, readings or links", nil)
	case !asks && !reads && len(keys.Same) > 0:
		s.key("same").fail("must not be given without source or readings", nil)
	}
	if len(keys.Same) > mostSameRules {
		s.key("same").fail(fmt.Sprintf("must have at most %d", mostSameRules), len(keys.Same))
	}
	for _, field := range words(keys.Same) {
		if label := keys.Same[field]; !model.LegacyValidation.IsValidLabelName(label) {
			s.find("same."+field).fail("must be the name of a label of the incident", label)
		}
	}
	if at := s.key("since"); at.has() && (keys.Since < 0 || keys.Since.Std() > mostSince) {
		at.fail("must be from 0s to 24h", keys.Since)
	}
	if at := s.key("most"); at.has() && keys.Most > mostFound {
		at.fail(fmt.Sprintf("must be from 1 to %d", mostFound), keys.Most)
	}
}

// evidenceLink wants the host to be plainly there: no label chooses where a link
// leads.
func evidenceLink(s spot, path string, keys evidenceLinkKeys) (telling.Template, bool) {
	if keys.Text != "" && (utf8.RuneCountInString(keys.Text) > mostLinkText || telling.Clean(keys.Text, mostLinkText) != keys.Text) {
		s.find(path+".text").fail(fmt.Sprintf("must be one line of at most %d characters", mostLinkText), keys.Text)
	}
	at := s.find(path + ".href")
	if keys.Href == "" {
		return telling.Template{}, false // which was reported
	}
	t, err := telling.ParseLink(keys.Href, telling.Labels(keys.Href), mostLinkHref)
	if err != nil {
		at.fail(err.Error(), "(not shown: it may hold a credential)")
		return t, false
	}
	return t, true
}
