package alerts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// mostDepth bounds how deep a message may be nested. Alertmanager's and
// Grafana's own messages reach four levels.
const mostDepth = 32

// errNotJSON stands for the decoder's own words, which quote what was sent.
var errNotJSON = errors.New("the body is not one JSON value in UTF-8")

// reader reads JSON as it stands: names must match exactly and occur once, so
// that two readers of one message can't see two different things. The standard
// library checks the grammar first, so that reader need only tell tokens apart.
type reader struct {
	b     []byte
	at    int
	depth int
}

// token is one token; kind is its first byte: { } [ ] " t f n, 0 for a number.
type token struct {
	kind byte
	text string // of a string or number
}

// newReader checks that body is one JSON value and nothing else.
func newReader(body []byte) (*reader, error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, errNotJSON
	}
	return &reader{b: body}, nil
}

// more reports whether the object or array has another element.
func (r *reader) more() bool {
	r.space()
	return r.at < len(r.b) && r.b[r.at] != '}' && r.b[r.at] != ']'
}

// space goes to the next token. In valid JSON commas and colons tell nothing.
func (r *reader) space() {
	for r.at < len(r.b) {
		switch r.b[r.at] {
		case ' ', '\t', '\r', '\n', ',', ':':
			r.at++
		default:
			return
		}
	}
}

func (r *reader) next() (token, error) {
	r.space()
	if r.at >= len(r.b) {
		return token{}, errNotJSON
	}
	kind, from := r.b[r.at], r.at
	switch kind {
	case '{', '}', '[', ']':
		r.at++
		return token{kind: kind}, nil
	case '"':
		return r.quoted()
	}
	for r.at < len(r.b) && bytes.IndexByte([]byte(" \t\r\n,:}]"), r.b[r.at]) < 0 {
		r.at++
	}
	if kind == 't' || kind == 'f' || kind == 'n' {
		return token{kind: kind}, nil
	}
	return token{text: string(r.b[from:r.at])}, nil
}

func (r *reader) quoted() (token, error) {
	from, escaped := r.at, false
	for r.at++; r.at < len(r.b) && r.b[r.at] != '"'; r.at++ {
		if r.b[r.at] == '\\' {
			escaped = true
			r.at++
		}
	}
	r.at++
	if r.at > len(r.b) {
		return token{}, errNotJSON
	}
	if !escaped {
		return token{kind: '"', text: string(r.b[from+1 : r.at-1])}, nil
	}
	t := token{kind: '"'}
	if err := json.Unmarshal(r.b[from:r.at], &t.text); err != nil {
		return token{}, errNotJSON
	}
	return t, nil
}

// object calls field with each name; field reads or skips the value.
func (r *reader) object(field func(name string) error) error {
	tok, err := r.next()
	if err != nil {
		return err
	}
	return r.objectFrom(tok, field)
}

func (r *reader) objectFrom(tok token, field func(name string) error) error {
	if err := r.enter(tok, '{', "an object"); err != nil {
		return err
	}
	var seen names
	for r.more() {
		tok, err := r.next()
		if err != nil {
			return err
		}
		name := tok.text
		if !seen.add(name) {
			return fmt.Errorf("key %s occurs twice", quote(name))
		}
		if err := field(name); err != nil {
			return fmt.Errorf("%s: %w", plain(name, 64), err)
		}
	}
	return r.leave()
}

// array calls element for each element, which it reads or skips.
func (r *reader) array(element func(i int) error) error {
	tok, err := r.next()
	if err != nil {
		return err
	}
	return r.arrayFrom(tok, element)
}

func (r *reader) arrayFrom(tok token, element func(i int) error) error {
	if err := r.enter(tok, '[', "an array"); err != nil {
		return err
	}
	for i := 0; r.more(); i++ {
		if err := element(i); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return r.leave()
}

func (r *reader) enter(tok token, want byte, what string) error {
	if tok.kind != want {
		return fmt.Errorf("must be %s, got %s", what, describe(tok))
	}
	if r.depth++; r.depth > mostDepth {
		return fmt.Errorf("must not be nested deeper than %d levels", mostDepth)
	}
	return nil
}

func (r *reader) leave() error {
	r.depth--
	_, err := r.next()
	return err
}

// text reads a string.
func (r *reader) text(into *string) error {
	tok, err := r.next()
	if err != nil {
		return err
	}
	if tok.kind != '"' {
		return fmt.Errorf("must be a string, got %s", describe(tok))
	}
	*into = tok.text
	return nil
}

// count reads a whole number that is not negative.
func (r *reader) count(into *int64) error {
	tok, err := r.next()
	if err != nil {
		return err
	}
	if tok.kind != 0 {
		return fmt.Errorf("must be a number, got %s", describe(tok))
	}
	v, err := strconv.ParseInt(tok.text, 10, 64)
	if err != nil || v < 0 {
		return fmt.Errorf("must be a whole number of 0 or more, got %s", quote(tok.text))
	}
	*into = v
	return nil
}

// texts reads an object of strings; null is an empty one.
func (r *reader) texts(into *map[string]string) error {
	tok, err := r.next()
	if err != nil || tok.kind == 'n' {
		return err
	}
	m := make(map[string]string, 8)
	*into = m
	return r.objectFrom(tok, func(name string) error {
		var v string
		err := r.text(&v)
		m[name] = v
		return err
	})
}

// list reads an array of strings; null is an empty one.
func (r *reader) list(into *[]string) error {
	tok, err := r.next()
	if err != nil || tok.kind == 'n' {
		return err
	}
	return r.arrayFrom(tok, func(int) error {
		var v string
		err := r.text(&v)
		*into = append(*into, v)
		return err
	})
}

// skip takes the next value away, whatever it is.
func (r *reader) skip() error {
	tok, err := r.next()
	if err != nil {
		return err
	}
	switch tok.kind {
	case '{':
		return r.objectFrom(tok, func(string) error { return r.skip() })
	case '[':
		return r.arrayFrom(tok, func(int) error { return r.skip() })
	}
	return nil
}

func describe(tok token) string {
	switch tok.kind {
	case 'n':
		return "null"
	case 't', 'f':
		return "a boolean"
	case 0:
		return "a number"
	case '"':
		return "a string"
	case '[':
		return "an array"
	}
	return "an object"
}

// names are the keys of one object; most have few.
type names struct {
	few  [16]string
	n    int
	rest map[string]struct{}
}

// add reports whether name is new.
func (s *names) add(name string) bool {
	if slices.Contains(s.few[:s.n], name) {
		return false
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	if _, twice := s.rest[name]; twice {
		return false
	}
	if s.rest == nil {
		s.rest = map[string]struct{}{}
	}
	s.rest[name] = struct{}{}
	return true
}
