package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of what is read.
const (
	maxFileBytes = 1 << 20
	maxFiles     = 256
)

// read returns the merged tree of a file, or of the *.yaml and *.yml files of
// a directory in the order of their names, and the directory.
func read(path string, r *report) (root *node, dir string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, "", fmt.Errorf("configuration: %w", err)
	}
	files, dir := []string{path}, filepath.Dir(path)
	if info.IsDir() {
		dir = path
		if files, err = yamlFiles(path); err != nil {
			return nil, "", err
		}
	}
	root = &node{shape: mapping, place: Place{files[0], 1}}
	for _, f := range files {
		text, err := readFile(f)
		if err != nil {
			return nil, "", err
		}
		if n := parse(f, text, r); n != nil {
			merge(root, n, r)
		}
	}
	return root, dir, nil
}

func yamlFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var files []string
	for _, e := range entries { // in the order of names
		ext := filepath.Ext(e.Name())
		if (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	switch {
	case len(files) == 0:
		return nil, fmt.Errorf("configuration: %s must hold *.yaml or *.yml files, and holds none", dir)
	case len(files) > maxFiles:
		return nil, fmt.Errorf("configuration: %s must hold at most %d files, and holds %d", dir, maxFiles, len(files))
	}
	return files, nil
}

// readFile reads a regular file. Anything else might never end.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("configuration: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("configuration: %s must be a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return text, nil
}

// parse returns the tree of one file; nil where there is none, which is
// reported.
func parse(file string, text []byte, r *report) *node {
	fail := func(line int, rule string) { r.add(Problem{Place: Place{file, max(1, line)}, Rule: rule}) }
	if len(text) > maxFileBytes {
		fail(1, fmt.Sprintf("the file must not be larger than %d KiB", maxFileBytes>>10))
		return nil
	}
	if !utf8.Valid(text) {
		fail(lineOfBadByte(text), "the file must be UTF-8")
		return nil
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		fail(1, "the file is empty: write into it or remove it")
		return nil
	case err != nil:
		fail(syntaxError(err))
		return nil
	}
	var second yaml.Node
	switch err := d.Decode(&second); {
	case err == nil:
		fail(second.Line, "the file must hold one YAML document, and a second one begins here")
	case !errors.Is(err, io.EOF):
		fail(syntaxError(err))
	}
	if len(doc.Content) != 1 {
		fail(1, "the file is empty: write into it or remove it")
		return nil
	}
	b := &builder{report: r, file: file}
	n := b.build(doc.Content[0], "", 0)
	switch {
	case b.full: // what is left of it would only mislead
		return nil
	case n.shape == empty:
		fail(1, "the file is empty: write into it or remove it")
		return nil
	case n.shape != mapping:
		fail(n.place.Line, "the file must be a mapping of keys, got "+n.shape.String())
		return nil
	}
	return n
}

func lineOfBadByte(text []byte) int {
	line := 1
	for len(text) > 0 {
		c, size := utf8.DecodeRune(text)
		if c == utf8.RuneError && size == 1 {
			return line
		}
		if c == '\n' {
			line++
		}
		text = text[size:]
	}
	return line
}

var (
	yamlLine  = regexp.MustCompile(`line (\d+): `)
	yamlQuote = regexp.MustCompile("(?s) '.*' (?:referenced)| `.*`")
)

// syntaxError makes a rule of the parser's error. What the parser quotes of
// the file, which is the name of an anchor or a value with a tag, is left out:
// it may be half of a secret.
func syntaxError(err error) (line int, rule string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits only; too many of them mean no line
		text = strings.Replace(text, m[0], "", 1)
	}
	return line, "the file must be YAML: " + yamlQuote.ReplaceAllString(text, " that is not there")
}

// merge joins the top of one more file into root: mappings join by key, lists
// follow each other, and a key that is in both is a problem.
func merge(root, n *node, r *report) {
	for _, k := range n.keys {
		old := root.get(k.key)
		switch {
		case old == nil:
			root.keys = append(root.keys, entry{k.key, k.place, k.value.copy()})
		case old.value.shape == mapping && k.value.shape == mapping:
			mergeKeys(k.key, old.value, k.value, r)
		case old.value.shape == sequence && k.value.shape == sequence:
			old.value.items = append(old.value.items, k.value.items...)
		default:
			r.twice(k.key, k.place, old.place)
		}
	}
}

func mergeKeys(path string, into, from *node, r *report) {
	seen := make(map[string]Place, len(into.keys))
	for _, k := range into.keys {
		seen[k.key] = k.place
	}
	for _, k := range from.keys {
		if first, twice := seen[k.key]; twice {
			r.twice(join(path, k.key), k.place, first)
			continue
		}
		into.keys = append(into.keys, k)
	}
}

// copy is shallow, so that merging does not change what an alias shares.
func (n *node) copy() *node {
	c := *n
	c.keys, c.items = slices.Clone(n.keys), slices.Clone(n.items)
	return &c
}
