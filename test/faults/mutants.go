package faults

import (
	"fmt"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/step"
)

// Caught is a mutant that the campaign caught: by which row, and by what.
type Caught struct {
	Mutant  string    `json:"mutant"`
	Row     string    `json:"row"` // its key
	Of      string    `json:"of,omitempty"`
	Seed    uint64    `json:"seed"`
	Commit  string    `json:"commit"`
	Date    time.Time `json:"date"`
	Faults  int       `json:"faults"`  // that struck
	Finding string    `json:"finding"` // the first that says what it does wrong
}

// mergeCaught takes in what another file says was caught, each once.
func (r *Results) mergeCaught(other Results) {
	type identity struct {
		mutant string
		seed   uint64
		date   int64
	}
	of := func(c Caught) identity { return identity{c.Mutant, c.Seed, c.Date.UnixNano()} }
	known := map[identity]bool{}
	for _, c := range r.Caught {
		known[of(c)] = true
	}
	for _, c := range other.Caught {
		if !known[of(c)] {
			known[of(c)] = true
			r.Caught = append(r.Caught, c)
		}
	}
}

// mutantsCaught tells when each mutant was caught last, and by what.
func (r *Results) mutantsCaught() string {
	if len(r.Caught) == 0 {
		return headOfMutants + "Not run at a recorded commit yet.\n"
	}
	var b strings.Builder
	b.WriteString(headOfMutants + "| a daemon that is wrong in | row | faults | seed | commit | date | found, for instance |\n|---|---|---|---|---|---|---|\n")
	for _, m := range mutants {
		var last *Caught
		for i := range r.Caught {
			if c := &r.Caught[i]; c.Mutant == m.name && (last == nil || !c.Date.Before(last.Date)) {
				last = c
			}
		}
		if last == nil {
			fmt.Fprintf(&b, "| %s | %s (%s) | not run at a recorded commit yet | | | | |\n", m.name, m.row, m.v)
			continue
		}
		fmt.Fprintf(&b, "| %s | %s (%s) | %d | %d | %s | %s | %s |\n", m.name, last.Row, last.Of, last.Faults, last.Seed, last.Commit, last.Date.Format(time.DateOnly), last.Finding)
	}
	return b.String()
}

const headOfMutants = `
## The mutants

Daemons that are wrong in one way each, which the campaign must catch (` + "`make faults-mutants`" + `): when each was caught last, and after how many faults.

`

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
