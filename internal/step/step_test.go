package step

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// Each constant is in the list, once: what is left out is never stopped at.
func TestNamesAreWhole(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "step.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(f, func(n ast.Node) bool {
		if g, ok := n.(*ast.GenDecl); ok && g.Tok == token.CONST {
			declared += len(g.Specs)
		}
		return true
	})
	names := Names()
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != declared {
		t.Errorf("listed: got %d, want all %d", n, declared)
	}
}
