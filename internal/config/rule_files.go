package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/policy"
)

// Rules is how rule files are read. It is passed in, as the kinds are.
type Rules struct {
	// Sources are the kinds of sources that a rule can ask.
	Sources []string
	// Read reads one file. It returns every problem, and the rules that have
	// none.
	Read func(file string, text []byte) ([]Rule, []RuleProblem)
}

// Rule is one alerting rule of a file.
type Rule struct {
	Group, Alert string
	Line         int
	Interval     time.Duration     // of its group; 0: its inclusion says
	Labels       map[string]string // as written: templates
	// Detector returns the settings of the rule's detector.
	Detector func(RuleUse) kind.DetectorSettings
}

// RuleProblem is one violated rule of a file.
type RuleProblem struct {
	Line        int
	Where, Rule string
}

// RuleUse is how a rule is included.
type RuleUse struct {
	ExternalLabels map[string]string
	ExternalURL    string
	Verifier       *Detector // nil: none was named
}

// RuleFiles is one inclusion of rules: of files, or of a cluster's resources.
type RuleFiles struct {
	Common     kind.Common // of each of its detectors, but for the name
	Kind       kind.Source `json:"-"` // of the source that is asked
	Use        RuleUse
	Match      map[string]string // only rules with these labels
	Cluster    string            // source whose PrometheusRule resources are meant; "": files
	Namespaces []string          // of the resources; none: all
	Selector   map[string]string // labels of the resources
	Place      Place
}

// Takes reports whether the inclusion means a rule.
func (f *RuleFiles) Takes(r Rule) bool {
	for name, want := range f.Match {
		if name == model.AlertNameLabel && r.Alert != want || name != model.AlertNameLabel && r.Labels[name] != want {
			return false
		}
	}
	return true
}

// Detector makes the detector of a rule. taken reports which names are in use;
// rules that share group and alert are told apart by a number.
func (f *RuleFiles) Detector(prefix string, r Rule, taken func(name string) bool, at Place) *Detector {
	d := &Detector{Common: f.Common, Kind: f.Kind, Settings: r.Detector(f.Use), Place: at, rule: true}
	name := prefix + r.Group + "/" + r.Alert
	d.Name = name
	for n := 2; taken(d.Name); n++ {
		d.Name = fmt.Sprintf("%s#%d", name, n)
	}
	if r.Interval > 0 {
		d.Interval = r.Interval
	}
	return d
}

// Judged is what the policy must know of a detector.
func Judged(d *Detector) policy.Detector {
	return policy.Detector{Name: d.Name, Unit: d.Settings.Unit(), Owner: d.Owner, Fresh: fresh(d.Settings, d.Interval), Interval: d.Interval}
}

// MaxRules bounds the rules and the detectors of a configuration together.
const MaxRules = 10_000

func (l *loader) allRuleFiles(s spot) {
	if s.has() && l.rules == nil {
		s.fail(ruleLater, nil)
		return
	}
	blocks(s, l.ruleFiles)
}

// ruleFiles reads one block of rule_files.
func (l *loader) ruleFiles(s spot) {
	var keys ruleFileKeys
	from := len(s.report.list)
	l.settle(s, nil, &keys)
	src, _ := reference(s.key("source"), "a source", l.sourceOf)
	if src != nil && !slices.Contains(l.rules.Sources, src.Kind.Name) {
		s.key("source").fail("must name a source of kind "+strings.Join(l.rules.Sources, " or ")+", which rules can ask", src.Name)
		return
	}
	l.ruleFileRules(s, from, keys)
	verifier := l.verifier(s.key("verifier"), src)
	if src == nil {
		return
	}
	f := &RuleFiles{
		Common: keys.common(src), Kind: src.Kind, Match: keys.Match, Cluster: keys.Cluster, Namespaces: keys.Namespaces, Selector: keys.Selector,
		Use: RuleUse{ExternalLabels: keys.ExternalLabels, ExternalURL: keys.ExternalURL, Verifier: verifier}, Place: s.place,
	}
	if f.Cluster != "" {
		l.cfg.ClusterRules = append(l.cfg.ClusterRules, f)
		return
	}
	l.include(s, f, keys.Files)
}

func (k ruleFileKeys) common(src *Source) kind.Common {
	c := kind.Common{
		Source: k.Source, Subject: k.Subject, Labels: k.Labels, Owner: k.Owner, Origin: k.Origin,
		Interval: k.Interval.Std(), UnknownAfter: k.UnknownAfter.Std(),
	}
	if c.UnknownAfter == 0 {
		c.UnknownAfter = src.UnknownAfter
	}
	for _, link := range k.Links {
		c.Links = append(c.Links, signalbox.Link{Text: link.Text, Href: link.Href})
	}
	return c
}

func (l *loader) ruleFileRules(s spot, from int, keys ruleFileKeys) {
	switch files, cluster := s.key("files"), s.key("cluster"); {
	case files.has() == cluster.has():
		s.fail("must have exactly one of files and cluster", nil)
	case cluster.has():
		src, ok := reference(cluster, "a source", l.sourceOf)
		if ok && src != nil && src.Kind.Name != "kubernetes" {
			cluster.fail("must name a source of kind kubernetes", src.Name)
		}
	default:
		for _, key := range []string{"namespaces", "selector"} {
			if at := s.key(key); at.has() {
				at.fail("must not be given with files: it selects resources of a cluster", nil)
			}
		}
	}
	if at := s.key("owner"); at.has() {
		reference(at, "an owner", l.ownerOf)
	} else {
		l.unowned = append(l.unowned, s)
	}
	atLeast(s, "interval", keys.Interval, time.Second)
	address(s, from, "external_url", keys.ExternalURL)
	for i, link := range keys.Links {
		address(s, from, fmt.Sprintf("links[%d].href", i), link.Href)
	}
	labelRules(s, detectorKeys{Labels: keys.Labels, Subject: keys.Subject})
}

// verifier finds the detector that proves health. It is asked together with
// each rule, and so is on the same source.
func (l *loader) verifier(s spot, src *Source) *Detector {
	if !s.has() || !s.must(scalar) {
		return nil
	}
	d, _ := reference(s, "a detector", l.detectorOf)
	switch {
	case d == nil || src == nil:
		return nil
	case d.rule:
		s.fail("must name a detector of detectors: an alerting rule says nothing while all is well", d.Name)
		return nil
	case d.Source != src.Name:
		s.fail("must name a detector on the same source ("+src.Name+"), which is asked together with the rules", d.Name)
		return nil
	}
	return d
}

// include reads the files of an inclusion, and makes detectors of their rules.
func (l *loader) include(s spot, f *RuleFiles, patterns []string) {
	taken := func(name string) bool { _, is := l.detectorPlaces[name]; return is }
	found := 0
	for i, pattern := range patterns {
		at := s.find(fmt.Sprintf("files[%d]", i))
		if !at.has() || at.node.shape != scalar { // one pattern, not in a list
			at = s.key("files")
		}
		for _, file := range l.matching(at, pattern) {
			rules, whole := l.readRules(at, file)
			for _, r := range rules {
				if !f.Takes(r) {
					continue
				}
				found++
				d := f.Detector("", r, taken, Place{l.shown(file), r.Line})
				l.detectorPlaces[d.Name], l.detectorOf[d.Name] = d.Place, d
				l.cfg.Detectors = append(l.cfg.Detectors, d)
				l.cfg.Policy.Detectors = append(l.cfg.Policy.Detectors, Judged(d))
			}
			if !whole {
				found++ // what is wrong with it was told
			}
		}
	}
	if found == 0 && len(s.report.list) == 0 {
		s.fail("must include an alerting rule, and there is none"+matching(f.Match), nil)
	}
	if len(l.cfg.Detectors) > MaxRules {
		s.fail(fmt.Sprintf("must not bring more than %d rules and detectors together", MaxRules), len(l.cfg.Detectors))
	}
}

func matching(match map[string]string) string {
	if len(match) == 0 {
		return ""
	}
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(match)) {
		parts = append(parts, n+": "+match[n])
	}
	return " with " + strings.Join(parts, ", ")
}

// matching returns the files of a pattern, relative to the configuration where
// the pattern is.
func (l *loader) matching(at spot, pattern string) []string {
	whole := pattern
	if !filepath.IsAbs(pattern) {
		whole = filepath.Join(l.dir, pattern)
	}
	files, err := filepath.Glob(whole)
	switch {
	case err != nil:
		at.fail("must be a path, or a pattern with *, ? and [a-z]", pattern)
		return nil
	case len(files) == 0:
		at.fail("must name a file that is there, relative to "+l.dir, pattern)
	case len(files) > maxFiles:
		at.fail(fmt.Sprintf("must not match more than %d files", maxFiles), len(files))
		return nil
	}
	if !filepath.IsAbs(pattern) {
		for i, f := range files {
			if rel, err := filepath.Rel(l.dir, f); err == nil {
				files[i] = rel
			}
		}
	}
	return files
}

// shown is a rule file as an error names it.
func (l *loader) shown(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(l.dir, file)
}

// readRules reads one file, and makes its content part of the configuration's
// hash. whole is false where something is wrong with it.
func (l *loader) readRules(at spot, file string) (rules []Rule, whole bool) {
	text, err := readFile(l.shown(file))
	switch {
	case err != nil:
		at.fail("must name files that can be read: "+strings.TrimPrefix(err.Error(), "configuration: "), nil)
		return nil, false
	case len(text) > maxFileBytes:
		at.fail(fmt.Sprintf("must name files of at most %d KiB", maxFileBytes>>10), file)
		return nil, false
	case !utf8.Valid(text):
		l.report.add(Problem{Place: Place{l.shown(file), lineOfBadByte(text)}, Rule: "the file must be UTF-8"})
		return nil, false
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s %d:%s ", l.cfg.Hash, len(file), file)
	sum.Write(text)
	l.cfg.Hash = hex.EncodeToString(sum.Sum(nil))
	rules, problems := l.rules.Read(file, text)
	for _, p := range problems {
		l.report.add(Problem{Place: Place{l.shown(file), p.Line}, Block: p.Where, Rule: p.Rule})
	}
	return rules, len(problems) == 0
}
