package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/internal/kind"
)

// included returns a detector's block with the keys of the catalogue's entry
// that it names: they are defaults, and what the block has stands above them.
// whole is false where that can't be said, which was reported.
func (l *loader) included(s spot, src *Source) (merged spot, whole bool) {
	at := s.key("catalog")
	switch {
	case !at.has():
		if with := s.key("with"); with.has() {
			with.fail("must not be given without catalog: it sets the parameters of a catalogue's detector", nil)
		}
		return s, true
	case l.catalog == nil:
		at.fail(ruleLater, nil)
		return s, false
	case !at.must(scalar):
		return s, false
	}
	entry, ok := l.catalog.Entry(at.text())
	if !ok {
		at.fail("must name a detector of the catalogue"+meantEntry(at.text(), l.catalog.Names()), at.text())
		return s, false
	}
	if src != nil && src.Kind.Name != entry.Kind {
		s.key("source").fail("must name a source of kind "+entry.Kind+", which the catalogue's "+entry.Name+" asks", src.Name)
		return s, false
	}
	keys := l.entryKeys(s, entry)
	if keys == nil {
		return s, false
	}
	keys.become(at.place, entry.Name)
	thresholds(s.node, keys)
	s.node = s.node.over(keys)
	l.mixIn(entry.Name, s.node)
	return s, true
}

// entryKeys are the keys of an entry, for the parameters that a block gives;
// nil: something was wrong with them.
func (l *loader) entryKeys(s spot, entry kind.Entry) *node {
	with, values := s.key("with"), map[string]any{}
	if with.has() && !with.must(mapping) {
		return nil
	}
	before := len(s.report.list)
	if with.has() {
		if l.hygiene.walk(with); len(s.report.list) > before {
			return nil
		}
	}
	with.entries(func(name string, at spot) { values[name] = at.node.any() })
	text := entry.Keys(values, func(path, rule string, value any) { with.find(path).fail(rule, value) })
	if len(s.report.list) > before {
		return nil
	}
	keys := parse(s.place.File, text, s.report)
	if keys == nil || len(s.report.list) > before { // an entry that is not as it must be
		return nil
	}
	return keys
}

// mixIn makes a merged block part of the configuration's hash: another version
// of the catalogue is another configuration.
func (l *loader) mixIn(name string, n *node) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d:%s %s", l.cfg.Hash, len(name), name, n.digest()))
	l.cfg.Hash = hex.EncodeToString(sum[:])
}

// become puts a tree where the block asks for it, and says whose it is.
func (n *node) become(at Place, from string) {
	n.place, n.from = at, from
	for i := range n.keys {
		n.keys[i].place = at
		n.keys[i].value.become(at, from)
	}
	for _, item := range n.items {
		item.become(at, from)
	}
}

// over is n with what only base has: mappings join key by key, and anything
// else of n stands for the whole of base's.
func (n *node) over(base *node) *node {
	both := n.copy()
	for _, k := range base.keys {
		i := slices.IndexFunc(both.keys, func(e entry) bool { return e.key == k.key })
		switch {
		case i < 0:
			both.keys = append(both.keys, k)
		case both.keys[i].value.shape == mapping && k.value.shape == mapping:
			both.keys[i].value = both.keys[i].value.over(k.value)
		}
	}
	return both
}

// thresholds takes out of an entry the limits for which a block has its own: a
// limit has two names, and that of clear belongs to that of breach.
func thresholds(given, base *node) {
	own := func(key string) bool {
		side := given.get(key)
		return side != nil && (side.value.get("above") != nil || side.value.get("below") != nil)
	}
	for _, key := range []string{"breach", "clear"} {
		side := base.get(key)
		if side == nil || !own(key) && !(key == "clear" && own("breach")) {
			continue
		}
		side.value.keys = slices.DeleteFunc(side.value.keys, func(e entry) bool { return e.key == "above" || e.key == "below" })
	}
}

// meantEntry tells which of the known names a mistyped one may have meant: the
// nearest, else those that share a word with it, else all.
func meantEntry(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	words := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(c rune) bool { return strings.ContainsRune("-_ .", c) })
	}
	var found []string
	for _, k := range known {
		if slices.ContainsFunc(words(name), func(w string) bool { return slices.Contains(words(k), w) }) {
			found = append(found, k)
		}
	}
	if len(found) == 0 {
		found = known
	}
	return ": " + strings.Join(found, ", ")
}
