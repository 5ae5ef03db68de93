package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// shape is what a node of YAML is.
type shape uint8

const (
	empty shape = iota // nothing was given
	scalar
	sequence
	mapping
)

var shapeNames = [...]string{empty: "nothing", scalar: "a single value", sequence: "a list", mapping: "a mapping"}

func (s shape) String() string { return shapeNames[s] }

// node is a node of YAML with its place; aliases are expanded.
type node struct {
	shape shape
	place Place
	tag   string // of a scalar: !!str, !!int, …
	text  string // of a scalar
	keys  []entry
	items []*node
	index int    // in the sequence that it was written in
	from  string // the catalogue's entry that it is of; "": the file has it
}

// entry is one key of a mapping. Its place is the key's.
type entry struct {
	key   string
	place Place
	value *node
}

// get looks a key up, from the first to the last: the keys of a struct are few.
func (n *node) get(key string) *entry {
	if n == nil {
		return nil
	}
	for i := range n.keys {
		if n.keys[i].key == key {
			return &n.keys[i]
		}
	}
	return nil
}

// any is the node as JSON would have it.
func (n *node) any() any {
	switch n.shape {
	case mapping:
		m := make(map[string]any, len(n.keys))
		for _, k := range n.keys {
			m[k.key] = k.value.any()
		}
		return m
	case sequence:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.any()
		}
		return list
	case scalar:
		return n.scalar()
	}
	return nil
}

func (n *node) scalar() any {
	switch n.tag {
	case "!!bool":
		return n.text == "true"
	case "!!int", "!!float":
		if f, err := strconv.ParseFloat(n.text, 64); err == nil {
			return f
		}
	}
	return n.text
}

// Bounds of what a file may expand to, against aliases of aliases and nesting
// that no person writes.
const (
	maxNodes = 100_000
	maxDepth = 32
)

// builder makes the tree of one file.
type builder struct {
	report *report
	file   string
	nodes  int
	full   bool // maxNodes was reached, and reported
}

func (b *builder) build(y *yaml.Node, path string, depth int) *node {
	n := &node{place: Place{b.file, max(1, y.Line)}}
	if b.nodes++; b.nodes > maxNodes || depth > maxDepth {
		b.overflow(n.place, depth)
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		if y.Alias == nil {
			return n
		}
		aliased := b.build(y.Alias, path, depth+1)
		aliased.place = n.place // the line that asks for it is the one to correct
		return aliased
	case yaml.MappingNode:
		b.mapping(n, y, path, depth)
	case yaml.SequenceNode:
		n.shape = sequence
		for i, item := range y.Content {
			child := b.build(item, path+"["+strconv.Itoa(i)+"]", depth+1)
			child.index = i
			n.items = append(n.items, child)
		}
	case yaml.ScalarNode:
		n.shape, n.tag, n.text = scalar, b.tag(y, path), y.Value
		if n.tag == "!!null" {
			n.shape = empty
		}
	}
	return n
}

func (b *builder) overflow(at Place, depth int) {
	switch {
	case b.full:
	case depth > maxDepth:
		b.report.add(Problem{Place: at, Rule: fmt.Sprintf("the file must not be nested deeper than %d levels", maxDepth)})
	default:
		b.report.add(Problem{Place: at, Rule: fmt.Sprintf("the file must not expand to more than %d values", maxNodes)})
	}
	b.full = true
}

// tag returns the tag of a scalar; a tag that no YAML schema has is refused.
func (b *builder) tag(y *yaml.Node, path string) string {
	switch tag := y.ShortTag(); tag {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp":
		return tag
	default:
		b.report.add(Problem{Place: Place{b.file, y.Line}, Path: path, Rule: "must be a plain value without a tag of its own"})
		return "!!str"
	}
}

func (b *builder) mapping(n *node, y *yaml.Node, path string, depth int) {
	n.shape = mapping
	seen := map[string]Place{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		at := Place{b.file, max(1, k.Line)}
		if k.Kind == yaml.AliasNode && k.Alias != nil {
			k = k.Alias
		}
		switch {
		case k.Kind != yaml.ScalarNode || k.ShortTag() == "!!null":
			b.report.add(Problem{Place: at, Path: path, Rule: "must have plain words as keys"})
			continue
		case k.ShortTag() == "!!merge":
			b.report.add(Problem{Place: at, Path: path, Rule: "must not use the merge key <<: write the keys out, or use an alias for a whole value"})
			continue
		}
		below := join(path, k.Value)
		if first, twice := seen[k.Value]; twice {
			b.report.twice(below, at, first)
			continue
		}
		seen[k.Value] = at
		n.keys = append(n.keys, entry{k.Value, at, b.build(v, below, depth+1)})
	}
}

// join appends a key to a path.
func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// digest is the hash of the content: the order of keys, comments, files and
// the way of writing do not count; the order of lists does.
func (n *node) digest() string {
	h := sha256.New()
	n.write(h)
	return hex.EncodeToString(h.Sum(nil))
}

func (n *node) write(h hash.Hash) {
	fmt.Fprintf(h, "%d(%d:%s%d:%s", n.shape, len(n.tag), n.tag, len(n.text), n.text)
	keys := slices.SortedFunc(slices.Values(n.keys), func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for _, k := range keys {
		fmt.Fprintf(h, "%d:%s", len(k.key), k.key)
		k.value.write(h)
	}
	for _, item := range n.items {
		item.write(h)
	}
	fmt.Fprint(h, ")")
}
