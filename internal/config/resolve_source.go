package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/policy"
)

// laterKinds are kinds of sources that the design knows and this version does
// not have.
var laterKinds = []string{"argocd"}

func (l *loader) source(name string, s spot) {
	l.sourceOf[name] = nil
	at := s.key("kind")
	k, ok := l.sources[at.text()]
	if !ok {
		l.unknownKind(s, at)
		return
	}
	keys, settings := &sourceKeys{}, k.Settings()
	l.settle(s, nil, keys, settings)
	atLeast(s, "unknown_after", keys.UnknownAfter, time.Second)
	src := &Source{Name: name, Kind: k, Settings: settings, UnknownAfter: keys.UnknownAfter.Std(), Place: s.place}
	l.sourceOf[name] = src
	l.cfg.Sources = append(l.cfg.Sources, src)
	if k.Receives == nil {
		return
	}
	if path := k.Receives(settings); path != "" {
		for _, other := range l.cfg.Sources[:len(l.cfg.Sources)-1] {
			if other.Kind.Receives != nil && other.Kind.Receives(other.Settings) == path {
				s.find("receive").fail("must be a path of its own, sources."+other.Name+" receives there too", path)
			}
		}
	}
}

// unknownKind reports a source whose other keys can't be judged.
func (l *loader) unknownKind(s, at spot) {
	l.hygiene.walk(s)
	switch {
	case !at.has():
		at.fail("is required", nil)
	case !at.must(scalar):
	case slices.Contains(laterKinds, at.text()):
		at.fail(ruleLater, at.text())
	default:
		oneOf(at, at.text(), words(l.sources)...)
	}
}

// chosen finds the one key of a table that a block has, and decodes its
// settings.
func (l *loader) chosen(s spot, table map[string]kind.Remediator, of func(kind.Remediator) map[string]func() kind.Settings) (key string, r kind.Remediator, settings kind.Settings) {
	var given []string
	s.entries(func(name string, _ spot) {
		if _, ok := table[name]; ok {
			given = append(given, name)
		}
	})
	if len(given) != 1 {
		s.exactlyOne(words(table), given)
		return "", r, nil
	}
	key = given[0]
	r = table[key]
	settings = of(r)[key]()
	decodeAll(s.key(key), 0, nil, settings)
	return key, r, settings
}

func (l *loader) sourceByName(name string) (string, kind.Settings, bool) {
	src := l.sourceOf[name]
	if src == nil {
		return "", nil, false
	}
	return src.Kind.Name, src.Settings, true
}

// declareDetectors makes the names known before anything refers to them.
func (l *loader) declareDetectors(s spot) {
	if s.has() && s.node.shape != sequence {
		l.detectorOf = nil
	}
	if s.node == nil {
		return
	}
	for _, item := range s.node.items {
		if name := s.item(item).key("name").text(); name != "" {
			l.detectorOf[name] = nil
		}
	}
}

func (l *loader) detector(s spot) {
	var keys detectorKeys
	from := len(s.report.list)
	src, known := reference(s.key("source"), "a source", l.sourceOf)
	s, whole := l.included(s, src)
	if !whole { // its keys can't be judged
		l.hygiene.walk(s)
		return
	}
	var settings kind.DetectorSettings
	switch {
	case src == nil: // its other keys can't be judged
		l.settle(s, otherKeys[detectorKeys](s), &keys)
	case src.Kind.Detector == nil:
		s.key("source").fail("must name a source that detectors can ask, "+src.Kind.Name+" is for switches only", src.Name)
		l.settle(s, otherKeys[detectorKeys](s), &keys)
	default:
		settings = src.Kind.Detector()
		l.settle(s, nil, &keys, settings)
	}
	l.detectorRules(s, from, keys, src, posts(src, settings))
	namesRule(s.key("subject"), keys.Subject, settings)
	if !known || settings == nil {
		return
	}
	d := &Detector{Kind: src.Kind, Settings: settings, Place: s.place, Common: keys.common(src, posts(src, settings))}
	l.detectorOf[keys.Name] = d
	l.cfg.Detectors = append(l.cfg.Detectors, d)
	l.cfg.Policy.Detectors = append(l.cfg.Policy.Detectors, policy.Detector{
		Name: d.Name, Unit: settings.Unit(), Owner: d.Owner, Fresh: fresh(settings, d.Interval), Interval: d.Interval,
	})
}

// otherKeys are the keys of a block that K does not have.
func otherKeys[K any](s spot) []string {
	var other []string
	list, _ := fields(reflect.ValueOf(new(K)).Elem())
	s.entries(func(name string, _ spot) {
		if !slices.ContainsFunc(list, func(f field) bool { return f.name == name }) {
			other = append(other, name)
		}
	})
	return other
}

const (
	// scrapeInterval is Prometheus' default time between two samples.
	scrapeInterval = time.Minute
	// postInterval is how often the present state of a source that posts is
	// read back, where its settings don't tell.
	postInterval = time.Minute
)

// ages is implemented by settings of a detector that say themselves how old a
// sample may be.
type ages interface {
	Fresh(interval time.Duration) time.Duration
}

// fresh is the age beyond which a reading is not acted on: two rounds, of which
// one may be missed, and the age that a sample has when it is read. It is never
// less than what the detector itself takes for fresh.
func fresh(settings kind.DetectorSettings, interval time.Duration) time.Duration {
	age := 2*interval + scrapeInterval
	if a, ok := settings.(ages); ok {
		age = max(age, a.Fresh(interval))
	}
	return age
}

// labelled is implemented by settings of a detector whose readings have these
// labels and no others.
type labelled interface{ Names() []string }

// namesRule refuses a subject of which no reading could ever be made.
func namesRule(s spot, subject kind.Subject, settings kind.DetectorSettings) {
	n, ok := settings.(labelled)
	if !ok {
		return
	}
	for _, label := range subject.Labels() {
		if !slices.Contains(n.Names(), label) {
			s.fail("must use only labels that its readings have ("+strings.Join(n.Names(), ", ")+")", subject)
		}
	}
}

// rounds is implemented by the settings of a source that posts and whose
// present state is read back: the time between two rounds.
type rounds interface{ Every() time.Duration }

// posted is the interval of a detector on a source that posts.
func posted(src *Source) time.Duration {
	if r, ok := src.Settings.(rounds); ok && r.Every() > 0 {
		return r.Every()
	}
	return postInterval
}

// posts reports whether a detector's readings are posted by its source. Of a
// source that is asked too, the detector's settings say so.
func posts(src *Source, settings kind.DetectorSettings) bool {
	if src == nil || src.Kind.Receives == nil {
		return false
	}
	own, asked := settings.(interface{ Posted() bool })
	return !asked || own.Posted()
}

func (k detectorKeys) common(src *Source, posts bool) kind.Common {
	c := kind.Common{
		Name: k.Name, Source: k.Source, Subject: k.Subject, Labels: k.Labels, Owner: k.Owner, Origin: k.Origin,
		Interval: k.Interval.Std(), UnknownAfter: k.UnknownAfter.Std(),
	}
	if posts {
		c.Interval = posted(src)
	}
	if c.UnknownAfter == 0 {
		c.UnknownAfter = src.UnknownAfter
	}
	for _, link := range k.Links {
		c.Links = append(c.Links, signalbox.Link{Text: link.Text, Href: link.Href})
	}
	return c
}

func (l *loader) detectorRules(s spot, from int, keys detectorKeys, src *Source, posts bool) {
	if at := s.key("name"); keys.Name != "" && nameRule(at, keys.Name) {
		once(at, keys.Name, l.detectorPlaces)
	}
	if at := s.key("owner"); at.has() {
		reference(at, "an owner", l.ownerOf)
	} else {
		l.unowned = append(l.unowned, s)
	}
	atLeast(s, "interval", keys.Interval, time.Second)
	if at := s.key("unknown_after"); at.has() && keys.UnknownAfter < keys.Interval && keys.UnknownAfter > 0 {
		at.fail("must not be shorter than interval ("+keys.Interval.String()+")", keys.UnknownAfter)
	}
	if at := s.key("interval"); at.has() && posts {
		at.fail("must not be given: source "+src.Name+" posts its readings", nil)
	}
	for i, link := range keys.Links {
		address(s, from, fmt.Sprintf("links[%d].href", i), link.Href)
	}
	labelRules(s, keys)
}

func labelRules(s spot, keys detectorKeys) {
	seen := map[string]bool{}
	for i, name := range keys.Labels {
		at := s.find(fmt.Sprintf("labels[%d]", i))
		switch {
		case !model.LegacyValidation.IsValidLabelName(name):
			at.fail("must be the name of a label", name)
		case seen[name]:
			at.fail("must not be listed twice", name)
		}
		seen[name] = true
	}
	for _, name := range keys.Subject.Labels() {
		if len(seen) > 0 && !seen[name] {
			s.key("subject").fail("must use only labels that are listed in labels ("+strings.Join(slices.Sorted(maps.Keys(seen)), ", ")+")", keys.Subject)
		}
	}
}
