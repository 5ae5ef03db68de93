package signalbox_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/signalbox/signalbox"

// rule bans imports from one part of the house.
type rule struct {
	room   string // folder; "." is the root package alone
	except string // folder within it that is free of the rule
	may    []string
	never  []string // prefixes of import paths; "std" is all but the standard library
	why    string
}

var rules = []rule{
	{room: ".", never: []string{"std"}, why: "the dictionary is everybody's: what it imports, everybody has"},
	{room: "policy", never: []string{module + "/internal", module + "/detectors", module + "/remediators", "net/http", "context", "os", "io"}, why: "a decision is a pure function of the world"},
	{room: "internal/journal", never: []string{module + "/internal/store/", module + "/policy", module + "/internal/engine", module + "/detectors", module + "/remediators"}, why: "the journal knows what happened, not why, and any store will do"},
	{room: "internal/track", never: []string{module + "/internal", module + "/policy", "net", "os", "context"}, why: "edges are a pure function of readings"},
	{room: "internal/kind", may: []string{module + "/internal/track"}, never: []string{module + "/internal", module + "/policy", module + "/detectors", module + "/remediators"}, why: "what a kind is made of knows no kind"},
	{room: "internal/alerts", never: []string{module + "/policy", module + "/internal/engine", module + "/internal/store", module + "/internal/journal", module + "/internal/app", module + "/detectors", module + "/remediators"}, why: "an alert is the same whoever posts it, and whatever is done about it"},
	{room: "internal/engine", never: []string{module + "/internal/store/", module + "/internal/app", module + "/internal/config", module + "/detectors", module + "/remediators", module + "/internal/poll"}, why: "the engine is the same whatever is watched, thrown and stored"},
	{room: "internal/poll", never: []string{module + "/internal/engine", module + "/internal/journal", module + "/internal/store", module + "/policy", module + "/detectors", module + "/remediators"}, why: "asking knows nothing of what is done with the answers"},
	{room: "internal/outward", never: []string{module + "/internal/engine", module + "/internal/store/", module + "/internal/config", module + "/internal/app", module + "/policy", module + "/detectors", module + "/remediators"}, why: "who tells what was done reads what is durable, so that nobody waits for it"},
	{room: "internal/config", never: []string{module + "/internal/engine", module + "/internal/store", module + "/internal/app", module + "/detectors", module + "/remediators"}, why: "the kinds are passed in, so that a kind is one folder and one line"},
	{room: "detectors", never: []string{module + "/policy", module + "/internal/engine", module + "/internal/store", module + "/internal/journal", module + "/internal/app", module + "/remediators"}, why: "a detector says what is wrong, and no more"},
	{room: "remediators", never: []string{module + "/policy", module + "/internal/engine", module + "/internal/store", module + "/internal/journal", module + "/internal/app", module + "/detectors"}, why: "a remediator does what it is told, and never grades itself"},
	{room: "internal", except: "internal/app", never: []string{module + "/internal/store/etcd", "go.etcd.io/etcd"}, why: "only app chooses a store"},
	{room: "internal/runner", never: []string{module}, why: "what runs a program apart from the daemon shares nothing with it but files"},
	{room: "internal/sandbox", never: []string{module + "/internal/engine", module + "/internal/journal", module + "/internal/store", module + "/policy"}, why: "the company is watched from outside, as a real one is"},
	{room: ".", never: []string{module + "/test"}, why: "what ships needs no test code"},
}

// storeEtcd is the one room, beside app, that is etcd's.
const storeEtcd = "internal/store/etcd"

func TestImportsPointInward(t *testing.T) {
	eachFile(t, func(path string, f *ast.File) {
		dir := filepath.ToSlash(filepath.Dir(path))
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rules {
				if r.bans(dir, imported) {
					t.Errorf("%s imports %s: %s", path, imported, r.why)
				}
			}
			if sibling(dir, imported) {
				t.Errorf("%s imports %s: a kind never knows a sibling", path, imported)
			}
		}
	})
}

func (r rule) bans(dir, imported string) bool {
	if dir == storeEtcd || strings.HasPrefix(dir, storeEtcd+"/") {
		return false
	}
	if r.room == "." && dir != "." && (len(r.never) != 1 || r.never[0] != module+"/test" || strings.HasPrefix(dir, "test") || strings.HasPrefix(dir, "bench")) {
		return false
	}
	if r.room != "." && dir != r.room && !strings.HasPrefix(dir, r.room+"/") {
		return false
	}
	if r.except != "" && (dir == r.except || strings.HasPrefix(dir, r.except+"/")) {
		return false
	}
	for _, m := range r.may {
		if imported == m {
			return false
		}
	}
	for _, n := range r.never {
		if n == "std" && strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
			return true
		}
		if imported == strings.TrimSuffix(n, "/") && !strings.HasSuffix(n, "/") || strings.HasPrefix(imported, strings.TrimSuffix(n, "/")+"/") {
			return true
		}
	}
	return false
}

// sibling reports whether one kind's folder imports another's.
func sibling(dir, imported string) bool {
	for _, table := range []string{"detectors/", "remediators/"} {
		if !strings.HasPrefix(dir, table) {
			continue
		}
		other, ok := strings.CutPrefix(imported, module+"/"+table)
		own := strings.TrimPrefix(dir, table)
		if ok && strings.Split(other, "/")[0] != strings.Split(own, "/")[0] && !shared(other) {
			return true
		}
	}
	return false
}

// shared are the rooms of pure judges, which the kinds have in common.
func shared(name string) bool { return name == "threshold" || name == "burnrate" || name == "rules" }

// clockless are the rooms that take the time as a value.
var clockless = []string{".", "policy", "internal/journal", "internal/track", "detectors", "remediators"}

func TestNoClockWhereTimeIsAValue(t *testing.T) {
	eachFile(t, func(path string, f *ast.File) {
		dir := filepath.ToSlash(filepath.Dir(path))
		for _, room := range clockless {
			if dir != room && (room == "." || !strings.HasPrefix(dir, room+"/")) {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && (sel.Sel.Name == "Now" || sel.Sel.Name == "Since" || sel.Sel.Name == "Until") {
						t.Errorf("%s calls time.%s: its time comes as a value", path, sel.Sel.Name)
					}
				}
				return true
			})
		}
	})
}

// eachFile parses every Go file of the project that is not a test.
func eachFile(t *testing.T, f func(path string, file *ast.File)) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || nested == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "storetest") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		f(path, parsed)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Fatalf("only %d files were found: the test looks in the wrong place", files)
	}
}
