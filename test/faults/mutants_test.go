package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Each mutant is caught by its row, and by what it does wrong. `make
// faults-mutants` runs it, and records what was caught.
func TestMutants(t *testing.T) {
	if os.Getenv("SIGNALBOX_MUTANTS") == "" {
		t.Skip("SKIPPED: the mutants take long: make faults-mutants runs them")
	}
	health := healthy(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			binary := build(t, strings.ReplaceAll(m.name, " ", "-"), "-tags", "faults", "-overlay", overlay(t, m.edits))
			const seed = 6
			o := rowOf(t, m.row).play(newRun(t, seed, binary, health), m.v, m.n)
			seen := slices.IndexFunc(o.Wrong, func(w string) bool { return strings.Contains(w, m.sees) })
			if seen < 0 {
				t.Errorf("row %s (%s) did not catch it in %d faults; it found %q", m.row, m.v, o.faults, o.Wrong)
				return
			}
			t.Logf("caught by row %s (%s) in %d faults: %d findings, such as: %s", m.row, m.v, o.faults, len(o.Wrong), o.Wrong[seen])
			keep(t, Caught{Mutant: m.name, Row: m.row, Of: m.v.String(), Seed: seed, Commit: commit(), Date: time.Now().UTC(), Faults: o.faults, Finding: o.Wrong[seen]})
		})
	}
}

// keep adds a mutant that was caught to the results, and writes the table.
func keep(t *testing.T, c Caught) {
	t.Helper()
	results, err := Load(resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	results.Caught = append(results.Caught, c)
	if err := results.Save(resultsFile); err != nil {
		t.Fatal(err)
	}
	if err := replace(tableFile, Render(results)); err != nil {
		t.Fatal(err)
	}
}

// The mutants apply to the code as it is: one that does not is no mutant.
func TestMutantsApply(t *testing.T) {
	t.Parallel()
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) { overlay(t, m.edits) })
	}
}

// overlay writes a mutant's files, and the overlay that puts them in.
func overlay(t testing.TB, edits []edit) string {
	t.Helper()
	dir := t.TempDir()
	replaced := map[string]string{}
	for _, e := range edits {
		original, err := filepath.Abs(filepath.Join("../..", e.file))
		if err != nil {
			t.Fatal(err)
		}
		from := original
		if replaced[original] != "" {
			from = replaced[original]
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.from); n != 1 {
			t.Fatalf("%s: the place to change must be there once, got %d: %q", e.file, n, e.from)
		}
		to := filepath.Join(dir, strings.ReplaceAll(e.file, "/", "_"))
		if err := os.WriteFile(to, []byte(strings.Replace(string(text), e.from, e.to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[original] = to
	}
	text, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
