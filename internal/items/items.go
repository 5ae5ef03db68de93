// Package items holds the ids of a step against what its tool allows, before they
// become arguments of a program.
package items

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/reach"
)

const (
	// Place is where an id stands in the arguments of a tool.
	Place = "{{item}}"
	// MostArgs bounds all arguments of a run, in bytes.
	MostArgs = 64 << 10

	mostItem = 253 // bytes of an id
)

// Check says why a step's ids must not be given to a tool whose ids match pattern,
// or with an empty pattern to one that takes none; empty: nothing forbids it. args
// is the tool's key that names their place.
func Check(pattern, args string, s signalbox.Step) string {
	switch {
	case pattern == "" && (s.Most > 0 || len(s.Items) > 0):
		return "the step gives ids, and no argument of the tool takes them: give " + args + " with " + Place
	case pattern == "":
		return ""
	case s.Most == 0:
		return "the tool takes ids, and the step gives none: give it items with most and pace"
	case len(s.Items) == 0:
		return "there are no ids to run it with"
	case len(s.Items) > s.Most:
		return fmt.Sprintf("%d ids, where %d are allowed at once: raise items.most, or find fewer", len(s.Items), s.Most)
	}
	whole, err := Whole(pattern)
	if err != nil {
		return "item_pattern is no regular expression"
	}
	seen := make(map[string]bool, len(s.Items))
	for _, id := range s.Items {
		switch {
		case id == "" || len(id) > mostItem || strings.ContainsAny(id, "\x00\r\n"):
			return fmt.Sprintf("id %q must be one line of 1 to %d bytes", reach.Shown(id), mostItem)
		case !whole.MatchString(id):
			return fmt.Sprintf("id %q does not match item_pattern %s as a whole", reach.Shown(id), pattern)
		case seen[id]:
			return fmt.Sprintf("id %q is given twice", id)
		}
		seen[id] = true
	}
	return ""
}

// Whole compiles a pattern so that it matches whole ids only.
func Whole(pattern string) (*regexp.Regexp, error) { return regexp.Compile(`\A(?:` + pattern + `)\z`) }

// MayBegin reports whether something that begins with r may match the pattern. It
// errs on the side of true: what a pattern says of edges of words is not looked at.
func MayBegin(pattern string, r rune) (bool, error) {
	tree, err := syntax.Parse(`\A(?:`+pattern+`)\z`, syntax.Perl)
	if err != nil {
		return false, err
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return false, err
	}
	seen := make([]bool, len(prog.Inst))
	for todo := []uint32{uint32(prog.Start)}; len(todo) > 0; {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[at] {
			continue
		}
		seen[at] = true
		switch i := &prog.Inst[at]; i.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, i.Out, i.Arg)
		case syntax.InstCapture, syntax.InstEmptyWidth, syntax.InstNop:
			todo = append(todo, i.Out)
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if i.MatchRune(r) {
				return true, nil
			}
		case syntax.InstMatch, syntax.InstFail:
		}
	}
	return false, nil
}
