package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/signalbox/signalbox/detectors"
	"github.com/signalbox/signalbox/detectors/catalog"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/remediators"
)

const schemaFile = "../../docs/config.schema.json"

// realKinds are the tables of the daemon.
func realKinds() config.Kinds {
	return config.Kinds{
		Sources:     detectors.Kinds(),
		Remediators: remediators.Kinds(),
		Catalog:     catalog.Catalog{},
	}
}

// TestSchema keeps docs/config.schema.json true; go generate writes it.
func TestSchema(t *testing.T) {
	got, err := config.Schema(realKinds(), comments(t))
	if err != nil {
		t.Fatal(err)
	}
	if config.Update() {
		if err := os.WriteFile(schemaFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("docs/config.schema.json is not what the Go types say: run go generate ./internal/config")
	}
}

// TestSchemaDescribes: every key of ours has a description.
func TestSchemaDescribes(t *testing.T) {
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct{ Description string }
		Defs       map[string]struct {
			Properties map[string]struct {
				Description string
				Ref         string `json:"$ref"`
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	for key, p := range schema.Properties {
		if p.Description == "" {
			t.Errorf("%s has no description", key)
		}
	}
	for name, def := range schema.Defs {
		for key, p := range def.Properties {
			if p.Description == "" && p.Ref == "" {
				t.Errorf("%s.%s has no description", name, key)
			}
		}
	}
}

func TestSchemaAgreesWithLoad(t *testing.T) {
	schema := compile(t)
	good, _ := filepath.Glob("testdata/good/*.yaml")
	if len(good) == 0 {
		t.Fatal("no good configurations")
	}
	for _, path := range good {
		if err := schema.Validate(document(t, path)); err != nil {
			t.Errorf("%s must be valid: %v", path, err)
		}
		_, err := config.Load(path, realKinds(), config.Options{LookupEnv: func(string) (string, bool) { return "x", true }})
		if err != nil {
			t.Errorf("%s must load with the real kinds:\n%v", path, err)
		}
	}
	for _, name := range []string{
		"unknown-key", "unknown-key-far", "unknown-key-nested", "unknown-key-vendor", "unknown-top-key", "later-keys",
		"secret-password", "secret-credentials", "secret-token", "secret-tls-key", "secret-unknown-key", "secret-ref",
		"secret-proxy", "missing-runbook", "missing-required", "missing-positions", "autonomy", "undo", "otherwise",
		"budget", "bare-duration", "bad-quantity", "bad-bool", "wrong-types", "wrong-section", "two-backends",
		"no-backend", "owner-without-pager", "kind-later", "steps", "not-a-mapping", "zero-ineffective",
	} {
		if schema.Validate(document(t, filepath.Join("testdata/broken", name+".yaml"))) == nil {
			t.Errorf("%s must not be valid", name)
		}
	}
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// document reads YAML as JSON has it.
func document(t *testing.T, path string) any {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// comments reads the doc comments of the packages that keys come from.
func comments(t *testing.T) config.Comments {
	t.Helper()
	byPackage := map[string]map[string]string{}
	return func(typ reflect.Type, field string) string {
		if typ.PkgPath() == "" {
			return ""
		}
		if byPackage[typ.PkgPath()] == nil {
			byPackage[typ.PkgPath()] = parsePackage(t, typ.PkgPath())
		}
		return byPackage[typ.PkgPath()][strings.Trim(typ.Name()+"."+field, ".")]
	}
}

func parsePackage(t *testing.T, path string) map[string]string {
	t.Helper()
	found := map[string]string{}
	pkg, err := build.Import(path, ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(pkg.Dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				fieldComments(spec, found)
			}
			return true
		})
	}
	return found
}

func fieldComments(spec *ast.TypeSpec, found map[string]string) {
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, f := range s.Fields.List {
		text := f.Doc.Text()
		if text == "" {
			text = f.Comment.Text()
		}
		for _, name := range f.Names {
			found[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(text), " ")
		}
	}
}
