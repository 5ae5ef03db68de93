package faults

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/step"
)

// edit replaces one place of one file.
type edit struct{ file, from, to string }

// mutants are what the campaign must catch: a daemon that is wrong in one way,
// and the row that sees it. They are overlays, so that the product's code holds
// nothing of them; see docs/decisions. One that does not apply any more fails.
var mutants = []struct {
	name  string
	edits []edit
	row   string
	v     variant
	n     int
	sees  string // what one of the findings says
}{
	{
		name:  "no fence",
		edits: []edit{{"internal/setting/http.go", "h.send(ctx, http.MethodPut, s.version, body)", `h.send(ctx, http.MethodPut, "*", body)`}},
		row:   "random", v: variant{class: classA, latency: 5}, n: 6, sees: "effects at",
	},
	{
		name: "no seal",
		edits: []edit{
			{"internal/engine/follow.go", "if err := sealer.Seal(ctx, act, seal); err != nil {", "if err := error(nil); err != nil || sealer == nil {"},
			{"internal/fence/protocol.go", "case a.Sealed > 0:\n\t\tp.Reason =", "case a.Sealed > 0:\n\t\tp.Phase, p.Reason = signalbox.NotStarted,"},
		},
		row: "random", v: variant{class: classA, latency: 5}, n: 6, sees: "is on record as one without",
	},
	{
		name: "probe without waiting",
		edits: []edit{
			{"internal/engine/follow.go", "Sub(e.o.Now()); left > 0 {", "Sub(e.o.Now()); left > time.Hour {"},
			{"internal/setting/probe.go", "case r.now().Before(earliest):", "case r.now().Before(earliest.Add(-time.Hour)):"},
		},
		row: "random", v: variant{class: classC, latency: 5}, n: 6, sees: "is on record as one without",
	},
	{
		name: "acknowledge before commit",
		edits: []edit{{
			"internal/engine/intake.go", "_, err := e.o.Journal.PutInbox(ctx, b)",
			"var err error\n\tgo func() { _, _ = e.o.Journal.PutInbox(context.WithoutCancel(ctx), b) }()",
		}},
		row: "steps", v: variant{step: step.Answered, class: classP}, n: 3, sees: "is not in the journal",
	},
	{
		name: "leased intent",
		edits: []edit{{
			"internal/engine/term.go", "if act.InFlight() {\n\t\t\tl.follow(act, true)",
			"if act.InFlight() {\n\t\t\tl.finish(act, signalbox.Broken, signalbox.Progress{Phase: signalbox.NotStarted, Reason: \"its lease is gone\"})",
		}},
		row: "steps", v: variant{step: step.SendAfter, class: classB}, n: 3, sees: "throws",
	},
	{
		name: "leased intent of another replica",
		edits: []edit{{
			"internal/engine/term.go", "if act.InFlight() {\n\t\t\tl.follow(act, true)",
			"if act.InFlight() {\n\t\t\tl.finish(act, signalbox.Broken, signalbox.Progress{Phase: signalbox.NotStarted, Reason: \"its lease is gone\"})",
		}},
		row: "replicas", v: variant{victim: theLeader, latency: 1.5}, n: 6, sees: "throws",
	},
	{
		name: "acknowledge without a quorum",
		edits: []edit{{
			"internal/engine/intake.go", "_, err := e.o.Journal.PutInbox(ctx, b)",
			"var err error\n\tgo func() { _, _ = e.o.Journal.PutInbox(context.WithoutCancel(ctx), b) }()",
		}},
		row: "quorum", v: quorumVariants()[0], n: 1, sees: "without a quorum",
	},
	{
		name: "leased intent of one that is cut off",
		edits: []edit{{
			"internal/engine/term.go", "if act.InFlight() {\n\t\t\tl.follow(act, true)",
			"if act.InFlight() {\n\t\t\tl.finish(act, signalbox.Broken, signalbox.Progress{Phase: signalbox.NotStarted, Reason: \"its lease is gone\"})",
		}},
		row: "partition", v: variant{victim: isolated, latency: 1.5}, n: 3, sees: "is on record as one without",
	},
	{
		name:  "no fence between replicas",
		edits: []edit{{"internal/setting/http.go", "h.send(ctx, http.MethodPut, s.version, body)", `h.send(ctx, http.MethodPut, "*", body)`}},
		row:   "pair", v: variant{step: inItsWrite, class: classA, length: 4}, n: 1, sees: "went back",
	},
	{
		name:  "restore without marks",
		edits: []edit{{"internal/engine/marks.go", "f != nil || e.o.Marks == nil {", "f != nil || e.o.Marks != nil {"}},
		row:   "restore", v: variant{victim: olderCopy}, n: 1, sees: "before a person confirmed",
	},
	{
		name: "cooldown in memory",
		edits: []edit{{
			"internal/engine/term.go", "l.auth, l.state = a, state\n",
			"l.auth, l.state = a, state\n\tfor _, ts := range state.Targets {\n\t\tts.Acted = nil\n\t}\n",
		}},
		row: "random", v: variant{class: classK}, n: 8, sees: "within its cooldown",
	},
}

// Each mutant is caught by its row, and by what it does wrong. `make
// faults-mutants` runs it.
func TestMutants(t *testing.T) {
	if os.Getenv("SIGNALBOX_MUTANTS") == "" {
		t.Skip("SKIPPED: the mutants take long: make faults-mutants runs them")
	}
	health := healthy(t)
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			binary := build(t, strings.ReplaceAll(m.name, " ", "-"), "-tags", "faults", "-overlay", overlay(t, m.edits))
			o := rowOf(t, m.row).play(newRun(t, 6, binary, health), m.v, m.n)
			if !strings.Contains(strings.Join(o.Wrong, "\n"), m.sees) || len(o.Wrong) == 0 {
				t.Errorf("row %s (%s) did not catch it in %d faults; it found %q", m.row, m.v, o.faults, o.Wrong)
				return
			}
			t.Logf("caught by row %s (%s) in %d faults: %d findings, such as: %s", m.row, m.v, o.faults, len(o.Wrong), o.Wrong[0])
		})
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
