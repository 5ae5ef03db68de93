package rules

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	const text = `groups:
  - name: node
    interval: 30s
    limit: 5
    query_offset: 20s
    labels: {team: sre, severity: ticket}
    rules:
      - alert: HostDown
        expr: up == 0
        for: 5m
        keep_firing_for: 10m
        labels: {severity: page}
        annotations: {summary: "{{ $labels.instance }}"}
  - name: empty
  - name: other
    rules: [{alert: Always, expr: vector(1)}]
`
	placed, problems := Read("node.yaml", []byte(text))
	if len(problems) > 0 || len(placed) != 2 {
		t.Fatalf("got %d rules, %v", len(placed), problems)
	}
	got, want := fmt.Sprintf("%+v", placed[0]), fmt.Sprintf("%+v", Placed{Line: 8, Rule: Rule{
		File: "node.yaml", Group: "node", Alert: "HostDown", Expr: "up == 0", For: 5 * time.Minute, KeepFiringFor: 10 * time.Minute,
		Labels: map[string]string{"team": "sre", "severity": "page"}, Annotations: map[string]string{"summary": "{{ $labels.instance }}"},
		Interval: 30 * time.Second, QueryOffset: 20 * time.Second, Limit: 5,
	}})
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if placed[1].Alert != "Always" || placed[1].Interval != 0 || placed[1].Line != 16 {
		t.Errorf("got %+v", placed[1])
	}
}

// brokenFile is a rule file, what is said of it, and how many of its rules are
// right.
type brokenFile struct {
	text string
	want []string
	good int
}

func problemCases() map[string]brokenFile {
	return map[string]brokenFile{
		"of rules": {`groups:
  - name: g
    rules:
      - record: job:up:sum
        expr: sum by (job) (up)
      - alert: Half
        expr: sum(
      - alert: Good
        expr: up == 0
      - alert: Words
        expr: up == 0
        annotations: {summary: '{{ $labels.instance'}
      - alert: Text
        expr: '"a text"'
      - alert: Range
        expr: up[5m]
      - alert: Names
        expr: up == 0
        labels: {"": x}
      - alert: Dynamic
        expr: up == 0
        labels: {x: '{{ with printf "%s" "up" | query }}{{ . }}{{ end }}'}
      - expr: up == 0
      - alert: Both
        record: both
        expr: up == 0
`, []string{
			`4: group "g", rule 1 "job:up:sum": is a recording rule`, `7: group "g", rule 2 "Half": could not parse expression`,
			`10: group "g", rule 4 "Words": annotation "summary": template`, `13: group "g", rule 5 "Text": expr must give an instant vector or a scalar, not a string`,
			`15: group "g", rule 6 "Range": expr must give an instant vector or a scalar, not a range vector`,
			`17: group "g", rule 7 "Names": invalid label name`, `20: group "g", rule 8 "Dynamic": label "x" must not hold a query`,
			`one of 'record' or 'alert' must be set`, `only one of 'record' and 'alert' must be set`,
		}, 1},
		"of groups": {"groups:\n  - name: a\n    rules: []\n  - name: a\n    rules: []\n  - name: ''\n  - name: fast\n    interval: 100ms\n    rules: [{alert: A, expr: up == 0}]\n", []string{
			`4: groupname: "a" is repeated`, "6: Groupname must not be empty", `9: group "fast", rule 1 "A": the group's interval must be at least 1s`,
		}, 0},
		"unknown keys": {"groups:\n  - name: a\n    rules:\n      - alert: A\n        expr: up\n        until: 5m\n      - alert: B\n        expr: up\n        four: 5m\n", []string{
			"6: must be a rule file: there is no key until in it", "9: must be a rule file: there is no key four in it",
		}, 0},
		"no YAML":       {"groups: [\n", []string{"must be a rule file"}, 0},
		"two documents": {"groups: []\n---\ngroups: []\n", []string{"3: the file must hold one YAML document"}, 0},
		"long names": {"groups:\n  - name: a\n    rules:\n      - {alert: " + strings.Repeat("a", maxWord+1) + ", expr: up}\n", []string{
			"must not be longer than 200 bytes",
		}, 0},
		"bad duration": {"groups:\n  - name: a\n    rules:\n      - {alert: A, expr: up, for: 5 minutes}\n", []string{`4: must be a length of time like 5m`}, 0},
	}
}

// Every error at once, each at its line; what is right is returned beside them.
func TestProblems(t *testing.T) {
	for name, c := range problemCases() {
		placed, problems := Read("f.yaml", []byte(c.text))
		var got []string
		for _, p := range problems {
			got = append(got, fmt.Sprintf("%d: %s: %s", p.Line, p.Where, p.Rule))
		}
		if len(placed) != c.good || len(got) != len(c.want) {
			t.Errorf("%s: %d rules and %d problems, want %d and %d:\n%s", name, len(placed), len(got), c.good, len(c.want), strings.Join(got, "\n"))
		}
		for _, want := range c.want {
			if !slices.ContainsFunc(got, func(g string) bool { return strings.Contains(strings.Replace(g, ": : ", ": ", 1), want) }) {
				t.Errorf("%s: no problem says %q:\n%s", name, want, strings.Join(got, "\n"))
			}
		}
	}
}

// Whatever a rule file is, each of its rules can be built and asked, or it is
// refused.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		rule("up == 0", "for: 5m", "annotations: {a: '{{ $value }}'}"), rule("absent(x)"), rule("sum(rate(x[5m])) by (a) > 1 or y"),
		"groups:\n- name: &a x\n  rules: &r\n  - {alert: *a, expr: 1}\n- name: y\n  rules: *r\n", "groups: [", "a: &a [*a]", "", "---\n---\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		placed, problems := Read("f.yaml", []byte(text))
		for _, p := range problems {
			if p.Line < 1 || strings.ContainsAny(p.Rule+p.Where, "\n\x00") {
				t.Errorf("got %+v", p)
			}
		}
		for _, p := range placed {
			s := &Settings{Rule: p.Rule}
			if _, _, err := s.Build(commonOf(t, p.Interval), nil); err != nil {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
}
