package remediators_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/remediators"
)

var classLetter = regexp.MustCompile(`\b[ABCD]\b`)

// The table of the remediators' page has a row for each kind, with its own page, the
// classes that the suite holds it to, and something in each column.
func TestTableOfRemediators(t *testing.T) {
	classes := map[string]map[string]bool{}
	for _, k := range remediators.Kinds() {
		classes[k.Name] = map[string]bool{}
	}
	for _, e := range entries() {
		classes[e.kind][strings.ToUpper(string(e.class))] = true
	}
	text, err := os.ReadFile("../docs/remediators.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		row, ok := strings.CutPrefix(line, "| [")
		if !ok {
			continue
		}
		cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(row), "|"), " | ")
		name, link, _ := strings.Cut(cells[0], "](")
		want, known := classes[name]
		if !known {
			t.Errorf("the page has a kind %s, which is none", name)
			continue
		}
		delete(classes, name)
		if _, err := os.Stat(filepath.Join("..", "docs", strings.TrimSuffix(link, ")"))); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(cells) != 5 || slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) == "" }) {
			t.Errorf("%s: its row must say class, proof, permissions and undo: %q", name, cells)
			continue
		}
		said := map[string]bool{}
		for _, letter := range classLetter.FindAllString(cells[1], -1) {
			said[letter] = true
		}
		if !maps.Equal(said, want) {
			t.Errorf("%s: the page says the classes %v, and the suite holds it to %v", name, slices.Sorted(maps.Keys(said)), slices.Sorted(maps.Keys(want)))
		}
	}
	for name := range classes {
		t.Errorf("the page has no row for %s", name)
	}
}
