package catalog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/detectors/catalog"
)

const docs = "../../docs/catalog"

func read(t *testing.T, name string) *catalog.Entry {
	t.Helper()
	e, err := catalog.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// keys expands an entry with its examples, and with what is given.
func keys(t *testing.T, e *catalog.Entry, with map[string]any) string {
	t.Helper()
	all := map[string]any{}
	for _, p := range e.Parameters {
		if p.Example != nil {
			all[p.Name] = p.Example
		}
	}
	for n, v := range with {
		all[n] = v
	}
	text := e.Keys(all, func(path, rule string, value any) { t.Errorf("%s: %s %s, got %v", e.Name, path, rule, value) })
	return string(text)
}

// Each entry is whole, its parameters are used, and it loads with its examples.
func TestEntries(t *testing.T) {
	if len(names()) < 12 {
		t.Fatalf("only %d entries", len(names()))
	}
	for _, name := range names() {
		e := read(t, name)
		if e.Summary == "" || len(e.Needs) == 0 || e.Kind == "" {
			t.Errorf("%s must have a summary, a kind and what it needs", name)
		}
		file, err := os.ReadFile("entries/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		_, detector, _ := strings.Cut(string(file), "\ndetector:\n")
		with := map[string]any{}
		for _, p := range e.Parameters {
			if !regexp.MustCompile(`\$\{` + p.Name + `[.}]`).MatchString(detector) {
				t.Errorf("%s: parameter %s is not used", name, p.Name)
			}
			if p.Example != nil {
				with[p.Name] = p.Example
			}
		}
		if text := keys(t, e, nil); strings.Contains(text, "${") {
			t.Errorf("%s: a parameter is left in\n%s", name, text)
		}
		configure(t, e, story{With: with})
	}
}

// Each entry has its policy test and its page, and there are no others.
func TestEachEntryHasItsPageAndStory(t *testing.T) {
	for folder, ext := range map[string]string{"testdata": ".yaml", docs: ".md"} {
		files, err := filepath.Glob(filepath.Join(folder, "*"+ext))
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, f := range files {
			if n := strings.TrimSuffix(filepath.Base(f), ext); n != "README" {
				found = append(found, n)
			}
		}
		if !slices.Equal(found, names()) {
			t.Errorf("%s: got %q, want one for each of %q", folder, found, names())
		}
	}
}

// A page tells what the entry needs, its parameters and their defaults, and
// shows it in a configuration; the index links it.
func TestPages(t *testing.T) {
	index, err := os.ReadFile(filepath.Join(docs, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names() {
		e := read(t, name)
		text, err := os.ReadFile(filepath.Join(docs, name+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		page := strings.Join(strings.Fields(string(text)), " ")
		must := append([]string{"# `" + name + "`", e.Summary, "catalog: " + name}, e.Needs...)
		for _, p := range e.Parameters {
			must = append(must, "| `"+p.Name+"` | "+p.Type+" | "+shown(p.Default)+" | "+p.Means+" |")
		}
		for _, m := range must {
			if !strings.Contains(page, strings.Join(strings.Fields(m), " ")) {
				t.Errorf("docs/catalog/%s.md does not say %q", name, m)
			}
		}
		if !strings.Contains(string(index), "["+name+"]("+name+".md) | "+e.Summary) {
			t.Errorf("docs/catalog/README.md does not list %s with its summary", name)
		}
	}
}

// shown is a default as a page has it.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "required"
	case []any:
		words := make([]string, len(v))
		for i, w := range v {
			words[i] = fmt.Sprint(w)
		}
		return "`[" + strings.Join(words, ", ") + "]`"
	case string:
		if v == "" {
			return "all"
		}
	}
	return strings.ReplaceAll(fmt.Sprintf("`%v`", v), "|", `\|`)
}

func TestUnknownEntry(t *testing.T) {
	for _, name := range []string{"", "nothing", "../entries/psp-errors", `..\x`} {
		if _, ok := (catalog.Catalog{}).Entry(name); ok {
			t.Errorf("%q must not be an entry", name)
		}
	}
}
