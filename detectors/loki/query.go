package loki

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"
)

// shape is what can be told for certain of a LogQL expression without Loki's
// parser, which can't be had without Loki: its brackets, and the words and
// operators outside of strings and comments.
type shape struct {
	ranges     int           // how many [5m] it has
	window     time.Duration // the longest of them, with the longest offset
	comparison bool          // it ends in a comparison that filters, beyond doubt
	vector     bool          // it has vector(…), a value that no line stands behind
	selector   bool          // it begins with {
}

var (
	errNoRange    = errors.New("must count over a range, like [5m]: that of lines alone has no value; lines are for logs.query")
	errRange      = errors.New("must not have a range: it selects lines, and their window stands in logs.window")
	errSelector   = errors.New(`must begin with a selector of streams, like {app="psp"}`)
	errComparison = errors.New("must not end in a comparison, since its empty answer would not prove health: let the query give the value, and put the threshold into breach")
	errNegative   = errors.New("must not use a negative offset: it asks about the future")
	errFar        = errors.New("must not reach further back than 1 year")
)

// Bounds of a query: its length in bytes, the depth of its brackets, and how
// far back it may reach.
const (
	maxQuery = 16 << 10
	deepest  = 100
	farthest = 365 * 24 * time.Hour
)

// parseValue reads LogQL that gives a value.
func parseValue(text string) (shape, error) {
	s, err := scan(text)
	switch {
	case err != nil:
		return s, err
	case s.ranges == 0:
		return s, errNoRange
	}
	return s, nil
}

// parseLines reads LogQL that selects lines.
func parseLines(text string) error {
	s, err := scan(text)
	switch {
	case err != nil:
		return err
	case !s.selector:
		return errSelector
	case s.ranges > 0:
		return errRange
	}
	return nil
}

// scanner walks over an expression.
type scanner struct {
	shape
	text   string
	at     int
	open   []byte // the brackets that are open
	offset time.Duration
	tops   []token // what stands outside of all brackets
}

// token is a word, an operator, or a whole group in brackets ("(").
type token struct {
	text       string
	begin, end int
}

func scan(text string) (shape, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return shape{}, errors.New("must be LogQL")
	case len(text) > maxQuery:
		return shape{}, fmt.Errorf("must have at most %d bytes", maxQuery)
	case strings.ContainsFunc(text, func(r rune) bool { return r == unicode.ReplacementChar || unicode.IsControl(r) && !unicode.IsSpace(r) }):
		return shape{}, errors.New("must be text, without control characters")
	}
	s := scanner{text: text}
	for s.at < len(s.text) {
		if err := s.step(); err != nil {
			return shape{}, err
		}
	}
	if len(s.open) > 0 {
		return shape{}, fmt.Errorf("must close each %c", s.open[len(s.open)-1])
	}
	if s.window += s.offset; s.window > farthest {
		return shape{}, errFar
	}
	s.selector = len(s.tops) > 0 && s.tops[0].text == "{"
	s.comparison = s.endsInComparison()
	return s.shape, nil
}

// step takes one token.
func (s *scanner) step() error {
	switch c := s.text[s.at]; {
	case c == '"' || c == '`':
		return s.quoted(c)
	case c == '#':
		end := strings.IndexByte(s.text[s.at:], '\n')
		if end < 0 {
			end = len(s.text) - s.at
		}
		s.at += end
	case c == '(' || c == '{':
		if len(s.open) >= deepest {
			return fmt.Errorf("must not nest deeper than %d brackets", deepest)
		}
		s.top(string(c), 1)
		s.open = append(s.open, c)
		s.at++
	case c == ')' || c == '}':
		return s.close(c)
	case c == '[':
		return s.interval()
	case c == ']':
		return errors.New("must not have ] without [")
	case isWord(c) || c >= 0x80:
		return s.word()
	default:
		s.operator()
	}
	return nil
}

// top notes a token that stands outside of all brackets.
func (s *scanner) top(text string, length int) {
	if len(s.open) == 0 {
		s.tops = append(s.tops, token{text, s.at, s.at + length})
	}
}

func (s *scanner) quoted(mark byte) error {
	for i := s.at + 1; i < len(s.text); i++ {
		switch c := s.text[i]; {
		case c == mark:
			s.at = i + 1
			return nil
		case c == '\\' && mark == '"':
			i++
		}
	}
	return fmt.Errorf("must close each %c", mark)
}

func (s *scanner) close(c byte) error {
	pair := map[byte]byte{')': '(', '}': '{'}[c]
	if len(s.open) == 0 || s.open[len(s.open)-1] != pair {
		return fmt.Errorf("must not have %c without %c", c, pair)
	}
	s.open = s.open[:len(s.open)-1]
	s.at++
	if len(s.open) == 0 {
		s.tops[len(s.tops)-1].end = s.at
	}
	return nil
}

// interval takes a range: there is nothing else that LogQL has in brackets.
func (s *scanner) interval() error {
	length := strings.IndexByte(s.text[s.at:], ']')
	if length < 0 {
		return errors.New("must close each [")
	}
	d, err := model.ParseDuration(s.text[s.at+1 : s.at+length])
	if err != nil || d <= 0 {
		return errors.New("must have a duration greater than 0 between [ and ], like [5m]")
	}
	s.ranges++
	s.window = max(s.window, time.Duration(d))
	s.at += length + 1
	if s.window > farthest {
		return errFar
	}
	return nil
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '.'
}

func (s *scanner) word() error {
	end := s.at
	for end < len(s.text) && (isWord(s.text[end]) || s.text[end] >= 0x80) {
		end++
	}
	text := strings.ToLower(s.text[s.at:end])
	s.top(text, end-s.at)
	s.at = end
	switch rest := strings.TrimLeftFunc(s.text[end:], unicode.IsSpace); {
	case text == "vector" && strings.HasPrefix(rest, "("):
		s.vector = true
	case text == "offset" && strings.HasPrefix(rest, "-"):
		return errNegative
	case text == "offset" && rest != "" && rest[0] >= '0' && rest[0] <= '9':
		return s.offsetBy(rest)
	}
	return nil
}

// offsetBy takes the duration of an offset into account. One that Loki takes
// and this does not is refused: the window would be told wrong.
func (s *scanner) offsetBy(rest string) error {
	end := strings.IndexFunc(rest, func(r rune) bool { return r > 'z' && r != 'µ' || r < 0x80 && !isWord(byte(r)) })
	if end < 0 {
		end = len(rest)
	}
	d, err := model.ParseDuration(rest[:end])
	if err != nil {
		return errors.New("must have a duration after offset, like 1m")
	}
	if s.offset = max(s.offset, time.Duration(d)); s.offset > farthest {
		return errFar
	}
	return nil
}

// operators of more than one character; the longer come first.
var operators = []string{"|=", "|~", "|>", "!=", "!~", "!>", "=~", "==", ">=", "<="}

func (s *scanner) operator() {
	length := 1
	for _, op := range operators {
		if strings.HasPrefix(s.text[s.at:], op) {
			length = len(op)
		}
	}
	if op := s.text[s.at : s.at+length]; strings.TrimSpace(op) != "" {
		s.top(op, length)
	}
	s.at += length
}

var (
	comparisons = []string{"==", "!=", ">", ">=", "<", "<="}
	weaker      = []string{"or", "and", "unless"} // bind less than a comparison
)

// endsInComparison reports whether the expression filters by a comparison, so
// that what is well is left out of its answer. It says so only where it is
// sure: the comparison stands outside of all brackets (but those around the
// whole), with nothing there that binds less.
func (s *scanner) endsInComparison() bool {
	if len(s.tops) == 1 && s.tops[0].text == "(" {
		inner, err := scan(s.text[s.tops[0].begin+1 : s.tops[0].end-1])
		return err == nil && inner.comparison
	}
	found := false
	for i, t := range s.tops {
		switch {
		case slices.Contains(weaker, t.text):
			return false
		case slices.Contains(comparisons, t.text):
			found = i+1 >= len(s.tops) || s.tops[i+1].text != "bool"
		}
	}
	return found
}
