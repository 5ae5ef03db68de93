package policy

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	signalbox "github.com/signalbox/signalbox"
)

// guardDependency holds the actions on what depends on something that is ill
// itself: the root cause acts first, and its page speaks for all. What has
// dependencies waits a moment whether they are ill too.
func guardDependency(l *look, _ *move) answer {
	depends := l.dependsOn()
	if len(depends) == 0 {
		return answer{effect: passes, detail: "it depends on nothing that is configured"}
	}
	if root := l.root(depends); root != nil {
		return answer{
			waits, fmt.Sprintf("it depends on %s, which is ill: incident %s of %s since %s", root.Reading.Subject, root.ID, root.Reading.Detector, clock(root.OnsetAt)),
			"incident " + string(root.ID) + " ends",
		}
	}
	detail := fmt.Sprintf("none of what it depends on is ill (%s)", strings.Join(depends, ", "))
	wait := cmp.Or(l.h.config.DependWait, defaultDependWait)
	if end := l.inc.OpenedAt.Add(wait); l.now.Before(end) {
		l.at(end)
		return answer{waits, detail + " for " + span(wait), "passes at " + clock(end)}
	}
	return answer{effect: passes, detail: detail}
}

// dependsOn are the subjects on which the incident's depends, the nearest first.
func (l *look) dependsOn() []string {
	if l.depends == nil {
		l.depends = append([]string{}, l.h.dependsOn(l.inc.Reading.Subject)...)
	}
	return l.depends
}

// root is the open incident, of something that the incident depends on, that
// depends on no other one that is ill; nil: there is none. What is silenced is
// neither acted on nor paged, so that nothing waits for it.
func (l *look) root(depends []string) *signalbox.Incident {
	var root *signalbox.Incident
	for _, subject := range depends { // the farthest comes last, and counts
		l.read(signalbox.SubjectKey(subject))
		var ill *signalbox.Incident
		for _, inc := range l.w.State.OpenOn(subject) {
			if inc.ID == l.inc.ID || !l.isIll(inc) {
				continue
			}
			if ill == nil || cmp.Or(inc.OpenedAt.Compare(ill.OpenedAt), strings.Compare(string(inc.ID), string(ill.ID))) < 0 {
				ill = inc
			}
		}
		if ill != nil {
			root = ill
		}
	}
	return root
}

// isIll reports whether an incident tells of an illness that somebody hears of: it
// is not over, not silenced, and no deploy or migration that is under way.
func (l *look) isIll(inc *signalbox.Incident) bool {
	r := &inc.Reading
	return r.Condition != signalbox.Clear && r.Suppressed == "" && l.h.changeOf(r.Detector) == "" && l.silenced(r) == ""
}

// dependency is a Dependency, compiled.
type dependency struct {
	prefix  string // with which a subject must begin: most are told by that alone
	subject *regexp.Regexp
	names   []string // of the groups
	on      []string
}

var placeholder = regexp.MustCompile(`\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}`)

// newDependency compiles a pattern: {{label}} stands for any text without a
// slash, and * for any text.
func newDependency(d Dependency) (*dependency, error) {
	out := &dependency{on: d.On}
	var b strings.Builder
	b.WriteString("^")
	rest := d.Subject
	for {
		at := placeholder.FindStringSubmatchIndex(rest)
		text := rest
		if at != nil {
			text = rest[:at[0]]
		}
		b.WriteString(strings.ReplaceAll(regexp.QuoteMeta(text), `\*`, `.*`))
		if at == nil {
			break
		}
		out.names = append(out.names, rest[at[2]:at[3]])
		b.WriteString(`([^/]+)`)
		rest = rest[at[1]:]
	}
	b.WriteString("$")
	var err error
	if out.subject, err = regexp.Compile(b.String()); err == nil {
		out.prefix, _ = out.subject.LiteralPrefix()
	}
	for _, on := range d.On {
		if strings.Contains(on, "*") {
			return nil, fmt.Errorf("on %q: must be one subject, without *: which of many are meant is said by a label, as in {{name}}", on)
		}
		for _, name := range placeholder.FindAllStringSubmatch(on, -1) {
			if !slices.Contains(out.names, name[1]) {
				return nil, fmt.Errorf("on %q: label %q is not in subject %q", on, name[1], d.Subject)
			}
		}
	}
	return out, err
}

// of fills the subjects on which one depends; nil: the pattern is not its.
func (d *dependency) of(subject string) []string {
	if !strings.HasPrefix(subject, d.prefix) {
		return nil
	}
	m := d.subject.FindStringSubmatch(subject)
	if m == nil {
		return nil
	}
	labels := map[string]string{}
	for i, name := range d.names {
		if was, twice := labels[name]; twice && was != m[i+1] {
			return nil
		}
		labels[name] = m[i+1]
	}
	var on []string
	for _, text := range d.on {
		if s, err := expand(text, labels); err == nil {
			on = append(on, s)
		}
	}
	return on
}

// dependsOn follows the dependencies of a subject, the nearest first, each once.
// What depends on the subject itself is left out: the subjects of a circle, which
// are refused where the configuration shows it, do not wait for each other.
func (h *Handbook) dependsOn(subject string) []string {
	if len(h.depends) == 0 {
		return nil
	}
	all, circle := h.follow(subject)
	if circle {
		all = slices.DeleteFunc(all, func(on string) bool {
			further, _ := h.follow(on)
			return slices.Contains(further, subject)
		})
	}
	return all
}

// The bounds of what a decision follows: labels may make ever new subjects.
const (
	mostDepth = 16 // steps
	mostRoots = 64 // subjects, after which no further step is taken
)

// follow is dependsOn with all that the dependencies lead to, and reports whether
// they lead back.
func (h *Handbook) follow(subject string) (all []string, circle bool) {
	level := []string{subject}
	for n := 0; n < mostDepth && len(level) > 0 && len(all) < mostRoots; n++ {
		var next []string
		for _, s := range level {
			for _, d := range h.depends {
				for _, on := range d.of(s) {
					if on == subject {
						circle = true
					} else if !slices.Contains(all, on) {
						all, next = append(all, on), append(next, on)
					}
				}
			}
		}
		level = next
	}
	return all, circle
}
