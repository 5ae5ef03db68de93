package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/signalbox/signalbox/internal/httpclient"
)

// Problem is one violated rule of a file, at one line.
type Problem struct {
	Line  int    // from 1
	Where string // `group "node", rule 3 "HostDown"`; empty: the file
	Rule  string
	// Recording: it is a recording rule, and nothing is wrong with it.
	Recording bool
}

// Placed is a rule and the line that it begins on.
type Placed struct {
	Rule
	Line int
}

// maxWord bounds the name of a group or an alert, of which names of detectors
// are made.
const maxWord = 200

// Read reads a rule file as Prometheus does: what Prometheus refuses is
// refused. Recording rules are refused too, since nothing here writes series.
// It returns every problem; rules without one are returned beside them.
func Read(file string, text []byte) ([]Placed, []Problem) {
	r := &reader{file: file, wrong: map[[2]int]bool{}}
	r.documents(text)
	groups, errs := rulefmt.Parse(text, false)
	if groups == nil {
		for _, err := range errs {
			r.syntax(err)
		}
		return nil, r.sorted()
	}
	for _, err := range errs {
		r.refused(groups, err)
	}
	var out []Placed
	for g := range groups.Groups {
		for i := range groups.Groups[g].Rules {
			if p, ok := r.rule(&groups.Groups[g], g, i); ok && !r.wrong[[2]int{g, i}] {
				out = append(out, p)
			}
		}
	}
	return out, r.sorted()
}

type reader struct {
	file     string
	lines    [][]int // of each rule of each group
	groups   []int   // lines of the groups
	names    []string
	spans    []*yaml.Node    // the values that are lengths of time
	wrong    map[[2]int]bool // rules that Prometheus refuses, by group and index
	problems []Problem
}

func (r *reader) fail(line int, where, rule string) {
	r.problems = append(r.problems, Problem{Line: max(1, line), Where: where, Rule: httpclient.Plain(rule, maxText)})
}

// documents finds the lines, and refuses what Prometheus would not read: all
// that follows the first document.
func (r *reader) documents(text []byte) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if d.Decode(&doc) != nil || len(doc.Content) != 1 {
		return // told by who reads it whole
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		line := 1
		if len(second.Content) > 0 {
			line = second.Content[0].Line
		}
		r.fail(line, "", "the file must hold one YAML document: Prometheus reads the first one only")
	}
	for _, g := range items(value(doc.Content[0], "groups")) {
		r.groups = append(r.groups, g.Line)
		name := ""
		if n := followed(value(g, "name")); n != nil {
			name = n.Value
		}
		r.names = append(r.names, name)
		r.durations(g, "interval", "query_offset")
		var lines []int
		for _, n := range items(value(g, "rules")) {
			lines = append(lines, n.Line)
			r.durations(n, "for", "keep_firing_for")
		}
		r.lines = append(r.lines, lines)
	}
}

func (r *reader) durations(n *yaml.Node, keys ...string) {
	for _, key := range keys {
		if v := value(n, key); v != nil && v.Kind == yaml.ScalarNode {
			r.spans = append(r.spans, v)
		}
	}
}

// value is the value of a key of a mapping; nil where there is none.
func value(n *yaml.Node, key string) *yaml.Node {
	n = followed(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func items(n *yaml.Node) []*yaml.Node {
	if n = followed(n); n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}

func followed(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func (r *reader) line(group, rule int) int {
	if group < len(r.lines) && rule < len(r.lines[group]) {
		return r.lines[group][rule]
	}
	return 1
}

var (
	yamlLine   = regexp.MustCompile(`line (\d+): `)
	positioned = regexp.MustCompile(`^(\d+):\d+: (?:\d+:\d+: )?`)
	unknownKey = regexp.MustCompile(`field (.*) not found in type .*`)
)

// syntax tells an error of the YAML, which may be several.
func (r *reader) syntax(err error) {
	if r.badDurations() {
		return // it is told without its line, and alone
	}
	for text := range strings.SplitSeq(strings.TrimPrefix(err.Error(), "yaml: "), "\n") {
		if strings.TrimSpace(text) == "unmarshal errors:" {
			continue
		}
		line := 1
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			line, _ = strconv.Atoi(m[1]) // digits only
			text = strings.Replace(text, m[0], "", 1)
		}
		r.fail(line, "", "must be a rule file: "+unknownKey.ReplaceAllString(strings.TrimSpace(text), "there is no key $1 in it"))
	}
}

// badDurations tells the lengths of time that are none; false: there are none
// of them.
func (r *reader) badDurations() (found bool) {
	for _, n := range r.spans {
		if _, err := model.ParseDuration(n.Value); err != nil {
			r.fail(n.Line, "", fmt.Sprintf("must be a length of time like 5m: %s", err))
			found = true
		}
	}
	return found
}

// refused tells what Prometheus refuses of a file that it can read.
func (r *reader) refused(groups *rulefmt.RuleGroups, err error) {
	var of *rulefmt.Error
	if !errors.As(err, &of) {
		r.refusedGroup(err)
		return
	}
	g := slices.IndexFunc(groups.Groups, func(g rulefmt.RuleGroup) bool {
		return g.Name == of.Group && of.Rule <= len(g.Rules) && of.RuleName == named(g.Rules[of.Rule-1])
	})
	text, line := of.Err.Error(), r.line(max(0, g), of.Rule-1)
	if m := positioned.FindStringSubmatch(text); m != nil {
		if at, _ := strconv.Atoi(m[1]); at > 0 {
			line = at
		}
		text = strings.TrimPrefix(text, m[0])
	}
	r.wrong[[2]int{g, of.Rule - 1}] = true
	r.fail(line, where(of.Group, of.Rule-1, of.RuleName), text)
}

// refusedGroup tells what is wrong with a group. Prometheus' own line of it is
// always 0.
func (r *reader) refusedGroup(err error) {
	text, line := err.Error(), 1
	if m := positioned.FindStringSubmatch(text); m != nil {
		text = strings.TrimPrefix(text, m[0])
	}
	seen := map[string]bool{}
	for i, name := range r.names {
		if strings.Contains(text, "must not be empty") && name == "" || strings.Contains(text, fmt.Sprintf("groupname: \"%s\" is repeated", name)) && seen[name] {
			line = r.groups[i]
			break
		}
		seen[name] = true
	}
	r.fail(line, "", text)
}

func named(rule rulefmt.Rule) string {
	if rule.Alert != "" {
		return rule.Alert
	}
	return rule.Record
}

func where(group string, rule int, name string) string {
	return fmt.Sprintf("group %q, rule %d %q", httpclient.Plain(group, 80), rule+1, httpclient.Plain(name, 80))
}

// rule makes a Rule of a file's, and refuses what can't be a detector.
func (r *reader) rule(g *rulefmt.RuleGroup, group, index int) (Placed, bool) {
	given, line := g.Rules[index], r.line(group, index)
	fail := func(rule string) { r.fail(line, where(g.Name, index, named(given)), rule) }
	if given.Record != "" && given.Alert != "" {
		return Placed{}, false // told before
	}
	if given.Record != "" {
		r.problems = append(r.problems, Problem{
			Line: line, Where: where(g.Name, index, given.Record), Recording: true,
			Rule: "is a recording rule, and no series are written here: let Prometheus evaluate it, and keep the alerting rules in a file of their own",
		})
		return Placed{}, false
	}
	before := len(r.problems)
	expr, err := parser.ParseExpr(given.Expr)
	switch {
	case err != nil: // told before
		return Placed{}, false
	case expr.Type() != parser.ValueTypeVector && expr.Type() != parser.ValueTypeScalar:
		fail("expr must give an instant vector or a scalar, not a " + parser.DocumentedType(expr.Type()))
	}
	if len(g.Name) > maxWord || len(given.Alert) > maxWord {
		fail(fmt.Sprintf("the names of the group and the alert must not be longer than %d bytes", maxWord))
	}
	if g.Interval != 0 && time.Duration(g.Interval) < time.Second {
		fail("the group's interval must be at least 1s")
	}
	labels := maps.Clone(g.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, given.Labels) // a rule's own label wins
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if _, dynamic := queries(labels[name]); dynamic {
			fail(fmt.Sprintf("label %q must not hold a query that the template puts together: what is asked must be known before", name))
		}
	}
	p := Placed{Line: line, Rule: Rule{
		File: r.file, Group: g.Name, Alert: given.Alert, Expr: given.Expr, For: time.Duration(given.For),
		KeepFiringFor: time.Duration(given.KeepFiringFor), Labels: labels, Annotations: given.Annotations,
		Interval: time.Duration(g.Interval), Limit: g.Limit,
	}}
	if g.QueryOffset != nil {
		p.QueryOffset = time.Duration(*g.QueryOffset)
	}
	return p, len(r.problems) == before
}

// sorted are the problems in order, each once.
func (r *reader) sorted() []Problem {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Line - b.Line })
	seen := map[Problem]bool{}
	return slices.DeleteFunc(r.problems, func(p Problem) bool {
		twice := seen[p]
		seen[p] = true
		return twice
	})
}
