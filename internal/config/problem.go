package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Place is a line of a file of the configuration, counted from 1.
type Place struct {
	File string
	Line int
}

func (p Place) String() string { return p.File + ":" + strconv.Itoa(p.Line) }

func (p Place) compare(q Place) int {
	return cmp.Or(cmp.Compare(p.File, q.File), cmp.Compare(p.Line, q.Line))
}

// Problem is one violated rule, at one place. It never holds a secret.
type Problem struct {
	Place Place
	// Block is the block that the problem is in: `detectors[2] "replica-lag"`,
	// "sources.metrics", "guards"; empty at the top of a file.
	Block string
	// Path is the key below Block; empty: the block itself.
	Path string
	Rule string
	// Value is what was found, as people write it; empty: nothing to show.
	Value string
}

// Error is "file:line: block: path rule, got value".
func (p Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Place.String() + ": ")
	switch {
	case p.Block != "" && p.Path != "":
		b.WriteString(p.Block + ": " + p.Path + " ")
	case p.Block != "" || p.Path != "":
		b.WriteString(p.Block + p.Path + ": ")
	}
	b.WriteString(p.Rule)
	if p.Value != "" {
		b.WriteString(", got " + p.Value)
	}
	return b.String()
}

// Problems is every problem of a configuration, by file and line. It is an
// error of one line for each.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each problem, for errors.As.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// sorted returns the problems in order, each once.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Place.compare(b.Place) })
	seen := make(map[Problem]bool, len(ps))
	return slices.DeleteFunc(ps, func(p Problem) bool {
		twice := seen[p]
		seen[p] = true
		return twice
	})
}

// maxShown bounds a value in an error, in bytes.
const maxShown = 80

// show writes a value for an error: strings in quotes, other things as they
// print.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return strconv.Quote(cut(v))
	case fmt.Stringer:
		return cut(v.String())
	default:
		return cut(fmt.Sprint(v))
	}
}

func cut(s string) string {
	if len(s) <= maxShown {
		return s
	}
	n := maxShown
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}
