package config

import (
	"fmt"
	"slices"
	"strings"
)

// scopeRule reports a scope that names nothing of the configuration. What an
// action touches is known once it is previewed: of a target only the form is
// checked.
func (l *loader) scopeRule(s spot, scope string) {
	kind, name, _ := strings.Cut(scope, "/")
	switch {
	case scope == "all" || strings.Contains(name, "*"):
	case kind == "owner":
		inScope(s, scope, "the scope of an owner that is configured", words(l.ownerOf), l.ownerOf != nil)
	case kind == "policy":
		inScope(s, scope, "the scope of a policy that is configured", l.policies, l.policies != nil)
	case kind == "kind":
		kinds, known := l.stepKinds()
		inScope(s, scope, "the scope of a kind whose switches or tools are configured and do more than tell", kinds, known)
	case kind == "class":
		inScope(s, scope, "the scope of a class: class/A to class/D", []string{"A", "B", "C", "D"}, true)
	case kind == "target" && name != "":
	default:
		s.fail("must be a scope: owner/NAME, class/A to class/D, kind/NAME, policy/NAME or target/TARGET", scope)
	}
}

// inScope reports a scope whose name is none of those that are known.
func inScope(s spot, scope, what string, names []string, known bool) {
	kind, name, _ := strings.Cut(scope, "/")
	if !known || slices.Contains(names, name) {
		return
	}
	rule := "must be " + what
	if near := nearest(name, names); near != "" {
		rule += fmt.Sprintf(" (did you mean %q?)", kind+"/"+near)
	}
	s.fail(rule, scope)
}

// policyNames are the names of the policies, before they are read; nil where
// there is no list of them.
func policyNames(s spot) []string {
	if !s.has() || s.node.shape != sequence {
		return nil
	}
	names := []string{}
	for _, item := range s.node.items {
		names = append(names, s.item(item).key("name").text())
	}
	return names
}

// stepKinds are the kinds of the steps that can be taken and that a budget
// bounds; known is false where one of them could not be read.
func (l *loader) stepKinds() (kinds []string, known bool) {
	known = l.switchOf != nil && l.toolOf != nil
	for _, w := range l.switchOf {
		if known = known && w != nil; w != nil {
			kinds = append(kinds, w.Kind)
		}
	}
	for _, t := range l.toolOf {
		if known = known && t != nil; t != nil && !t.is.Tells {
			kinds = append(kinds, t.Kind)
		}
	}
	slices.Sort(kinds)
	return slices.Compact(kinds), known
}
