package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// report gathers problems.
type report struct {
	list Problems
	// kinds are the keys that a struct takes beyond its own, since a kind has
	// them. They are decoded by who knows the kind.
	kinds map[reflect.Type][]string
}

// add takes a problem in. A URL with a name or password in it is not shown,
// whoever reports it.
func (r *report) add(p Problem) {
	if hasUserInfo(p.Value) {
		p.Value = ""
	}
	if hasUserInfo(p.Rule) {
		p.Rule = "is wrong"
	}
	r.list = append(r.list, p)
}

func (r *report) twice(path string, at, first Place) {
	r.add(Problem{Place: at, Path: path, Rule: fmt.Sprintf("is given twice, first at %s", first)})
}

// spot is where we are in the tree on the way down.
type spot struct {
	report *report
	node   *node // nil: the key is not there
	place  Place // of the key, or of the item
	block  string
	path   string
}

// has reports whether something was written here.
func (s spot) has() bool { return s.node != nil }

// fail reports a violated rule here; value nil: nothing to show.
func (s spot) fail(rule string, value any) {
	if s.node != nil && s.node.from != "" {
		rule += " (from the catalogue's " + s.node.from + ")"
	}
	s.report.add(Problem{Place: s.place, Block: s.block, Path: s.path, Rule: rule, Value: show(value)})
}

// text is what a scalar says, and "" of anything else.
func (s spot) text() string {
	if s.node == nil || s.node.shape != scalar {
		return ""
	}
	return s.node.text
}

// key goes down to a key. Where it is not there, the place stays.
func (s spot) key(name string) spot {
	below := spot{report: s.report, place: s.place, block: s.block, path: join(s.path, name)}
	if e := s.node.get(name); e != nil {
		below.node, below.place = e.value, e.place
	}
	return below
}

// item goes down to an item of a list.
func (s spot) item(n *node) spot {
	return spot{report: s.report, node: n, place: n.place, block: s.block, path: fmt.Sprintf("%s[%d]", s.path, n.index)}
}

// asBlock makes what was the path so far the block of what is below.
func (s spot) asBlock(name string) spot {
	s.block, s.path = s.path, ""
	if name != "" {
		s.block += " " + strconv.Quote(cut(name))
	}
	return s
}

// find goes down a dotted path, "links[0].href", as far as something is there.
// The result has the whole path.
func (s spot) find(path string) spot {
	at := s
	for _, part := range strings.FieldsFunc(path, func(c rune) bool { return c == '.' || c == '[' }) {
		var next spot
		if number, isItem := strings.CutSuffix(part, "]"); isItem {
			i, err := strconv.Atoi(number)
			if err != nil || at.node == nil || i < 0 || i >= len(at.node.items) {
				break
			}
			next = at.item(at.node.items[i])
		} else if next = at.key(part); !next.has() {
			break
		}
		at = next
	}
	at.path = join(s.path, path)
	if path == "" {
		at.path = s.path
	}
	return at
}

// entries calls yield for each key of a mapping.
func (s spot) entries(yield func(name string, at spot)) {
	if s.node == nil {
		return
	}
	for _, e := range s.node.keys {
		yield(e.key, spot{report: s.report, node: e.value, place: e.place, block: s.block, path: join(s.path, e.key)})
	}
}

// must reports a node that is not of a shape; absent is of none, and silent.
func (s spot) must(want shape) bool {
	if s.node == nil {
		return false
	}
	if s.node.shape != want {
		s.fail("must be "+want.String()+", got "+s.node.shape.String(), nil)
		return false
	}
	return true
}

// exactlyOne reports that not one of several keys was given, unless a key that
// is not known was reported here.
func (s spot) exactlyOne(of, given []string) {
	for _, p := range s.report.list {
		if p.Block == s.block && p.Path != s.path && parent(p.Path) == s.path && p.noKey() {
			return
		}
	}
	rule, value := "must have exactly one of "+strings.Join(of, ", "), any(nil)
	if len(of) == 1 {
		rule = "must have " + of[0]
	}
	if len(given) > 0 {
		value = strings.Join(given, " and ")
	}
	s.fail(rule, value)
}

// since returns a Fail for rules that are checked after decoding. It leaves
// out what a problem found since `from` already explains.
func (s spot) since(from int) func(path, rule string, value any) {
	known := s.report.list[from:]
	return func(path, rule string, value any) {
		at := s.find(path)
		for _, p := range known {
			if p.Block != at.block {
				continue
			}
			if p.Path != "" && within(at.path, p.Path) || within(p.Path, at.path) || meant(p) == at.path {
				return
			}
		}
		if path == "" && value == "" {
			value = nil
		}
		at.fail(rule, value)
	}
}

// within reports whether path a is b or below it; all is below "".
func within(a, b string) bool {
	if b == "" {
		return true
	}
	rest, ok := strings.CutPrefix(a, b)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
