package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
)

// loader makes a Config of a tree, section by section; each may refer to those
// before it. What is declared can be referred to also where it is wrong, so
// that one mistake is reported once.
type loader struct {
	tables
	report  *report
	hygiene hygiene
	dir     string
	cfg     *Config

	allowCommands bool

	sourceOf   map[string]*Source // nil: declared, but wrong
	ownerOf    map[string]*Owner
	switchOf   map[string]*Switch
	toolOf     map[string]*Tool
	detectorOf map[string]*Detector
	policies   []string // their names; nil: there is no list of them
	changes    []string
	earlier    []string        // ids of the steps of the runbook before the one at hand
	whole      bool            // each step of the runbook at hand could be resolved
	made       map[moveOf]bool // what the steps before the one at hand did
	unowned    []spot          // detectors without an owner

	detectorPlaces, policyPlaces, evidencePlaces map[string]Place
}

func (l *loader) load(root spot) {
	l.topKeys(root)
	l.sourceOf, l.ownerOf = map[string]*Source{}, map[string]*Owner{}
	l.switchOf, l.toolOf, l.detectorOf = map[string]*Switch{}, map[string]*Tool{}, map[string]*Detector{}
	l.detectorPlaces, l.policyPlaces, l.evidencePlaces = map[string]Place{}, map[string]Place{}, map[string]Place{}
	l.report.kinds = map[reflect.Type][]string{
		reflect.TypeFor[ownerKeys]():      append(words(l.reaches), words(l.channels)...),
		reflect.TypeFor[switchKeys]():     words(l.backends),
		reflect.TypeFor[toolKeys]():       words(l.tools),
		reflect.TypeFor[stepKeys]():       words(l.keywords),
		reflect.TypeFor[branchStepKeys](): words(l.keywords),
	}
	if !section(root.key("sources"), l.source) {
		l.sourceOf = nil
	}
	if !section(root.key("owners"), l.owner) {
		l.ownerOf = nil
	}
	l.declareDetectors(root.key("detectors"))
	blocks(root.key("detectors"), l.detector)
	l.allRuleFiles(root.key("rule_files"))
	if !section(root.key("switches"), l.lever) {
		l.switchOf = nil
	}
	if !section(root.key("tools"), l.tool) {
		l.toolOf = nil
	}
	l.ownerNames(root)
	l.defaultOwner(root)
	if root.key("ownership").has() {
		blocks(root.key("ownership"), l.ownership)
	}
	l.policies = policyNames(root.key("policies"))
	l.guards(root.key("guards"))
	if root.key("depends_on").has() {
		blocks(root.key("depends_on"), l.dependency)
	}
	blocks(root.key("policies"), l.policy)
	if root.key("evidence").has() {
		blocks(root.key("evidence"), l.evidence)
	}
	section(root.key("people"), l.person)
	l.approvers(root)
	l.heartbeat(root.key("heartbeat"))
	l.tracing(root.key("tracing"))
	l.audit(root.key("audit"))
	if !root.key("detectors").has() && !root.key("rule_files").has() {
		root.key("detectors").fail("is required: a configuration without detectors watches nothing", nil)
	}
	l.cfg.sort()
	l.cfg.Policy.Hash, l.cfg.Policy.DefaultOwner = l.cfg.Hash, l.cfg.DefaultOwner
}

// topKeys refuses what no section is.
func (l *loader) topKeys(root spot) {
	list, _ := fields(reflect.ValueOf(&fileKeys{}).Elem())
	known := make([]string, len(list))
	for i, f := range list {
		known[i] = f.name
	}
	root.entries(func(name string, at spot) {
		switch {
		case slices.Contains(known, name):
		case slices.Contains(fileKeys{}.later(), name):
			at.fail(ruleLater, nil)
		case isSecret(name):
			at.fail(ruleSecret, nil)
		default:
			unknownKey(at, name, known)
		}
	})
}

// section calls each for every named block of a mapping. It reports false
// where it is none, so that nobody can say which names it has.
func section(s spot, each func(name string, at spot)) bool {
	if !s.must(mapping) {
		return !s.has()
	}
	s.entries(func(name string, at spot) {
		at = at.asBlock("")
		nameRule(at, name)
		if at.must(mapping) {
			each(name, at)
		}
	})
	return true
}

// blocks calls each for every block of a list.
func blocks(s spot, each func(at spot)) {
	if !s.must(sequence) {
		return
	}
	if len(s.node.items) == 0 {
		s.fail("must hold something: leave the key out where there is nothing", nil)
	}
	for _, item := range s.node.items {
		at := s.item(item)
		at = at.asBlock(at.key("name").text())
		if at.must(mapping) {
			each(at)
		}
	}
}

// settle decodes a block into targets, and looks for secrets in it first, so
// that nothing else shows one.
func (l *loader) settle(s spot, also []string, targets ...any) {
	from := len(s.report.list)
	l.hygiene.walk(s)
	decodeAll(s, from, also, targets...)
}

// decodeAll decodes into targets, with their defaults, and lets those that are
// a kind's settings check themselves.
func decodeAll(s spot, from int, also []string, targets ...any) {
	for _, t := range targets {
		if v := reflect.ValueOf(t).Elem(); v.Type().PkgPath() == reflect.TypeFor[fileKeys]().PkgPath() {
			fill(v)
		}
	}
	decode(s, also, targets...)
	fail := s.since(from)
	for _, t := range targets {
		if settings, ok := t.(kind.Settings); ok {
			settings.Validate(fail)
		}
	}
}

// reference reports a name that is not declared.
func reference[V any](s spot, what string, declared map[string]V) (v V, ok bool) {
	name := s.text()
	if name == "" || declared == nil {
		return v, false // its absence, its type, or the section's, was reported
	}
	v, ok = declared[name]
	if ok {
		return v, true
	}
	rule := "must name " + what + " that is configured"
	if near := nearest(name, words(declared)); near != "" {
		rule += fmt.Sprintf(" (did you mean %q?)", near)
	}
	s.fail(rule, name)
	return v, false
}

func (l *loader) defaultOwner(root spot) {
	s := root.key("default_owner")
	if s.has() && s.must(scalar) {
		reference(s, "an owner", l.ownerOf)
		l.cfg.DefaultOwner = s.text()
		for i, d := range l.cfg.Detectors {
			if d.Owner == "" { // its own readings name none: the rules of ownership come before the default
				l.cfg.Policy.Detectors[i].Owner = l.cfg.DefaultOwner
			}
		}
		return
	}
	if s.has() {
		return
	}
	for _, d := range l.unowned {
		d.key("owner").fail("is required where default_owner is not given", nil)
	}
	if len(l.unowned) == 0 && root.key("sources").has() {
		s.fail("is required: who is told of what no detector's owner is, of a source that is lost, of an alert that no detector takes, of a policy that was demoted", nil)
	}
}

// once reports a name that an earlier block has.
func once(s spot, name string, seen map[string]Place) {
	if first, twice := seen[name]; twice && name != "" {
		s.fail(fmt.Sprintf("must have a name of its own, the first %q is at %s", name, first), nil)
		return
	}
	seen[name] = s.place
}

func (l *loader) heartbeat(s spot) {
	if !s.has() {
		return
	}
	s = s.asBlock("")
	var keys heartbeatKeys
	from := len(s.report.list)
	l.settle(s, nil, &keys)
	address(s, from, "url", keys.URL)
	atLeast(s, "interval", keys.Interval, time.Second)
	l.cfg.Heartbeat = &Heartbeat{URL: keys.URL, Interval: keys.Interval.Std()}
}

func (l *loader) tracing(s spot) {
	if !s.has() {
		return
	}
	s = s.asBlock("")
	var keys tracingKeys
	from := len(s.report.list)
	l.settle(s, nil, &keys)
	address(s, from, "endpoint", keys.Endpoint)
	l.cfg.Tracing = &Tracing{Endpoint: keys.Endpoint, Env: keys.Env}
}

// address checks a URL, unless something since from is wrong with it.
func address(s spot, from int, path, text string) {
	u, err := url.Parse(text)
	if text != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		s.since(from)(path, "must be an http or https URL", text)
	}
}

// atLeast checks a duration that was decoded.
func atLeast(s spot, path string, d kind.Duration, least time.Duration) {
	if at := s.find(path); at.has() && d.Std() < least {
		at.fail("must be at least "+kind.Duration(least).String(), d)
	}
}

func (c *Config) sort() {
	slices.SortFunc(c.Sources, func(a, b *Source) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Owners, func(a, b *Owner) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Tools, func(a, b *Tool) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(c.Switches, func(a, b *Switch) int { return strings.Compare(a.Name, b.Name) })
}
