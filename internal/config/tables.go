package config

import (
	"fmt"
	"maps"
	"slices"

	"github.com/signalbox/signalbox/internal/kind"
)

// tables are the kinds, by the words with which the configuration asks for
// them.
type tables struct {
	sources  map[string]kind.Source
	backends map[string]kind.Remediator // by key of a switch
	tools    map[string]kind.Remediator // by key of a tool
	reaches  map[string]kind.Remediator // by key of an owner
	channels map[string]kind.Remediator // by key of an owner's second channel
	keywords map[string]kind.Remediator // by key of a step
	rules    *Rules
	catalog  kind.Catalog
}

// newTables refuses two kinds that take the same word: a fault of the program.
func newTables(k Kinds) (tables, error) {
	t := tables{
		sources: map[string]kind.Source{}, backends: map[string]kind.Remediator{},
		tools: map[string]kind.Remediator{}, reaches: map[string]kind.Remediator{}, channels: map[string]kind.Remediator{}, keywords: map[string]kind.Remediator{}, rules: k.Rules, catalog: k.Catalog,
	}
	var err error
	for _, s := range k.Sources {
		err = put(err, t.sources, s.Name, s)
	}
	for _, r := range k.Remediators {
		if r.Keyword != "" {
			err = put(err, t.keywords, r.Keyword, r)
		}
		for _, key := range slices.Sorted(maps.Keys(r.Backends)) {
			err = put(err, t.backends, key, r)
		}
		for _, key := range slices.Sorted(maps.Keys(r.Tools)) {
			err = put(err, t.tools, key, r)
		}
		for _, key := range slices.Sorted(maps.Keys(r.Owner)) {
			err = put(err, t.reaches, key, r)
		}
		for _, key := range slices.Sorted(maps.Keys(r.Channel)) {
			err = put(err, t.channels, key, r)
		}
	}
	return t, err
}

func put[K any](err error, m map[string]K, word string, k K) error {
	if _, twice := m[word]; twice && err == nil {
		err = fmt.Errorf("config: two kinds take the word %q", word)
	}
	m[word] = k
	return err
}

// remediatorOf is the kind of steps of a name.
func (t tables) remediatorOf(name string) (kind.Remediator, bool) {
	for _, table := range []map[string]kind.Remediator{t.keywords, t.backends, t.tools, t.reaches} {
		for _, r := range table {
			if r.Name == name {
				return r, true
			}
		}
	}
	return kind.Remediator{}, false
}

// words are the keys of a table in order.
func words[K any](m map[string]K) []string { return slices.Sorted(maps.Keys(m)) }
