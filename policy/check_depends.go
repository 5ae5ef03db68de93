package policy

import (
	"fmt"
	"slices"
	"strings"
)

// The bounds of the search for circles. What is beyond them is not seen here.
const (
	mostValues    = 200    // that labels are tried with
	mostInstances = 10_000 // subjects to begin at, shared among those that others depend on
	mostFollowed  = 20_000 // subjects in all
	mostLong      = 300    // bytes of a subject
)

// checkCycles looks for subjects that lead back to themselves: what depends on
// what depends on it would wait for ever. Each subject of a circle is one that
// another depends on, so that those are tried, their labels filled with what
// the configuration itself names, in whole or in part.
func (h *Handbook) checkCycles() (errs []error) {
	if len(h.depends) < len(h.config.Depends) {
		return nil // one of them is refused already
	}
	var texts []string
	for _, d := range h.depends {
		texts = append(texts, d.on...)
	}
	values := h.labelValues()
	s := &circles{h: h, seen: map[string]bool{}}
	for _, text := range texts {
		for _, subject := range instances(text, values, max(1, mostInstances/len(texts))) {
			if circle := s.from(subject); circle != nil {
				first := circle[0]
				return append(errs, fmt.Errorf("depends_on[%d]: %q depends on itself: %s", first.by, h.config.Depends[first.by].Subject, tellCircle(circle)))
			}
		}
	}
	return nil
}

// hop is one subject of a circle, and the dependency by which it leads on.
type hop struct {
	subject string
	by      int
}

func tellCircle(circle []hop) string {
	var b strings.Builder
	for _, at := range circle {
		b.WriteString(at.subject + " on ")
	}
	return b.String() + circle[0].subject
}

// circles is one search, depth first, in which each subject is followed once.
type circles struct {
	h    *Handbook
	seen map[string]bool // true: it is on the way
	way  []hop
}

// from follows a subject, and tells the first circle that it leads into, from
// the first of the dependencies on; nil: none.
func (s *circles) from(subject string) []hop {
	if onTheWay, seen := s.seen[subject]; onTheWay {
		return s.circle(subject)
	} else if seen || len(s.seen) >= mostFollowed || len(subject) > mostLong {
		return nil
	}
	s.seen[subject] = true
	for i, d := range s.h.depends {
		for _, on := range d.of(subject) {
			s.way = append(s.way, hop{subject, i})
			if circle := s.from(on); circle != nil {
				return circle
			}
			s.way = s.way[:len(s.way)-1]
		}
	}
	s.seen[subject] = false
	return nil
}

// circle is the way from a subject on, begun with the first of its dependencies.
func (s *circles) circle(subject string) []hop {
	circle := s.way[slices.IndexFunc(s.way, func(at hop) bool { return at.subject == subject }):]
	first := 0
	for i := range circle {
		if circle[i].by < circle[first].by {
			first = i
		}
	}
	return append(slices.Clone(circle[first:]), circle[:first]...)
}

// labelValues are what labels are tried with: any word, each part between
// slashes that is named, and what of one fits a label within another.
func (h *Handbook) labelValues() []string {
	values := []string{"x"}
	add := func(v string) {
		if v != "" && len(values) < mostValues && !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	var forms []*dependency // the parts that hold a label
	for _, d := range h.config.Depends {
		for _, text := range append([]string{d.Subject}, d.On...) {
			for part := range strings.SplitSeq(text, "/") {
				if form, err := newDependency(Dependency{Subject: part}); err == nil && len(form.names) > 0 {
					forms = append(forms, form)
				}
				add(strings.ReplaceAll(placeholder.ReplaceAllString(part, "x"), "*", "x"))
			}
		}
	}
	for i := 0; i < len(values); i++ { // also what is added meanwhile
		for _, form := range forms {
			if m := form.subject.FindStringSubmatch(values[i]); m != nil {
				for _, v := range m[1:] {
					add(v)
				}
			}
		}
	}
	return values
}

// instances fill the labels of a text with values, each with each where those
// are not too many, else one label at a time and all at once; most of them at
// the most.
func instances(text string, values []string, most int) (all []string) {
	var names []string
	for _, m := range placeholder.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	count, each := 1, true
	for range names {
		count *= len(values)
		each = each && count <= most
	}
	filled := map[string]string{}
	out := func() {
		if s, err := expand(text, filled); err == nil && len(all) < most {
			all = append(all, s)
		}
	}
	if each {
		fillEach(names, values, filled, out)
		return all
	}
	for _, v := range values {
		for _, only := range append(names, "") {
			for _, name := range names {
				filled[name] = values[0]
				if only == name || only == "" {
					filled[name] = v
				}
			}
			out()
		}
	}
	return all
}

// fillEach fills names with values, each with each.
func fillEach(names, values []string, filled map[string]string, out func()) {
	if len(names) == 0 {
		out()
		return
	}
	for _, v := range values {
		filled[names[0]] = v
		fillEach(names[1:], values, filled, out)
	}
}
