package loki

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// pattern takes ids out of lines. nil: lines themselves are counted.
type pattern struct {
	re     *regexp.Regexp
	groups []int // those that together are the id
	names  []string
}

// Bounds of a pattern and of what it finds. A line is searched for its first
// ids only: it is not ours to say how long a line is.
const (
	maxPattern  = 2_000
	maxID       = 128 // bytes of an id, all its parts together
	maxIDParts  = 4
	idsPerLine  = 100
	idSeparator = "/"
)

var errIDs = errors.New("must name one to four different groups of the pattern, like event_id for (?P<event_id>…)")

// newPattern reads a pattern. Its errors tell the rule that is broken.
func newPattern(text string, ids []string) (*pattern, error) {
	switch {
	case text == "" && len(ids) == 0:
		return nil, nil
	case text == "":
		return nil, errors.New("must be given with ids: a regular expression with a named group for each")
	case len(ids) == 0, len(ids) > maxIDParts:
		return nil, errIDs
	case len(text) > maxPattern:
		return nil, fmt.Errorf("must have at most %d bytes", maxPattern)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("must be a regular expression (RE2): %w", err)
	}
	p := &pattern{re: re, names: ids}
	for i, name := range ids {
		group := re.SubexpIndex(name)
		if group < 0 || name == "" || slices.Contains(ids[:i], name) || slices.Index(re.SubexpNames()[group+1:], name) >= 0 {
			return nil, errIDs
		}
		p.groups = append(p.groups, group)
	}
	if re.MatchString("") {
		return nil, errors.New("must not match the empty line: it would find ids anywhere")
	}
	return p, nil
}

// find returns the ids in a line. whole is false where none is found, or where
// something is found that is no id: too long, of other characters, or only a
// part of a longer word.
func (p *pattern) find(line string) (ids []string, whole bool) {
	matches := p.re.FindAllStringSubmatchIndex(line, idsPerLine)
	whole = len(matches) > 0 && len(matches) < idsPerLine
	for _, m := range matches {
		if id, ok := p.id(line, m); ok {
			ids = append(ids, id)
		} else {
			whole = false
		}
	}
	return ids, whole
}

// id puts the id of one match together.
func (p *pattern) id(line string, m []int) (string, bool) {
	parts := make([]string, len(p.groups))
	length := len(p.groups) - 1
	for i, g := range p.groups {
		begin, end := m[2*g], m[2*g+1]
		switch {
		case begin < 0 || begin == end:
			return "", false
		case goesOn(line[end:]):
			return "", false // it is only the begin of a word
		case begin > 0 && begin == m[0] && inWord(line[begin-1]):
			return "", false // it began before, and the pattern does not say with what
		}
		part := line[begin:end]
		length += len(part)
		if length > maxID || strings.ContainsFunc(part, func(r rune) bool { return r >= 0x80 || !inID(byte(r)) }) || !inWord(part[0]) {
			return "", false
		}
		parts[i] = part
	}
	return strings.Join(parts, idSeparator), true
}

// goesOn reports whether a word that was cut goes on with rest.
func goesOn(rest string) bool {
	return rest != "" && inWord(rest[0]) || len(rest) > 1 && rest[0] == '-' && inWord(rest[1])
}

// inWord reports whether a byte is a part of a word: what ends at it is cut.
func inWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
}

// inID reports whether an id may hold a byte: nothing that a shell, a URL, a
// query or a terminal gives a meaning to.
func inID(c byte) bool { return c < 0x80 && (inWord(c) || c == '-' || c == '.' || c == ':') }
