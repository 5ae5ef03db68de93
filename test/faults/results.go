package faults

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Results is the file of all that was measured. Parts are only ever appended:
// two files are merged by putting their parts together, each once.
type Results struct {
	V      int      `json:"v"`
	Parts  []Part   `json:"parts"`
	Caught []Caught `json:"caught,omitempty"` // mutants
}

// Part is one cell's run: some faults of one row, drained and judged.
type Part struct {
	Row    string    `json:"row"`
	Of     string    `json:"of,omitempty"` // which of the row's variants: step, class, latency
	Seed   uint64    `json:"seed"`
	Commit string    `json:"commit"`
	Date   time.Time `json:"date"`
	Faults int       `json:"faults"`           // that struck
	Missed int       `json:"missed,omitempty"` // that were planned, and the step was not passed
	Lease  string    `json:"lease,omitempty"`  // of several replicas, where the part was played for it
	Store  string    `json:"store,omitempty"`  // of several replicas; empty: one external etcd
	verdict

	// Overruled are findings that were the oracle's own fault, with why. They are
	// not counted, and are told.
	Overruled []string `json:"overruled,omitempty"`
}

// Add appends a part.
func (r *Results) Add(p Part) { r.Parts = append(r.Parts, p) }

// Merge takes in the mutants and the parts of another file that are not in this one. A part is
// known by its row, variant, seed and date.
func (r *Results) Merge(other Results) {
	r.mergeCaught(other)
	type identity struct {
		row, of string
		seed    uint64
		date    int64
	}
	of := func(p Part) identity { return identity{p.Row, p.Of, p.Seed, p.Date.UnixNano()} }
	known := map[identity]bool{}
	for _, p := range r.Parts {
		known[of(p)] = true
	}
	for _, p := range other.Parts {
		if !known[of(p)] {
			known[of(p)] = true
			r.Add(p)
		}
	}
}

// Load reads a file of results; one that is not there is empty.
func Load(path string) (Results, error) {
	r := Results{V: 1}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	if r.V != 1 {
		return r, fmt.Errorf("%s: v must be 1, got %d", path, r.V)
	}
	return r, nil
}

// Save writes the file whole or not at all, a part or a mutant a line.
func (r *Results) Save(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "{\"v\": %d, \"parts\": [", r.V)
	for i, p := range r.Parts {
		line, err := json.Marshal(p)
		if err != nil {
			return err
		}
		b.WriteString(map[bool]string{true: "\n", false: ",\n"}[i == 0])
		b.Write(line)
	}
	b.WriteString("\n]")
	for i, c := range r.Caught {
		line, err := json.Marshal(c)
		if err != nil {
			return err
		}
		b.WriteString(map[bool]string{true: ", \"caught\": [\n", false: ",\n"}[i == 0])
		b.Write(line)
	}
	if len(r.Caught) > 0 {
		b.WriteString("\n]")
	}
	b.WriteString("}\n")
	return replace(path, b.String())
}

func replace(path, text string) error {
	next := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".next")
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// sum is what all parts of one row come to.
type sum struct {
	faults, missed, alerts, actions, effects, inDoubt, left, lost, twice, wrong, lapsed int
	gaps                                                                                []int64
	first, last                                                                         string // commits
	dates                                                                               [2]time.Time
}

func (r *Results) of(row string) sum {
	return r.sum(func(p *Part) bool { return rowNamed(p.Row) == row })
}

func (r *Results) sum(of func(*Part) bool) sum {
	var s sum
	for i := range r.Parts {
		p := &r.Parts[i]
		if !of(p) {
			continue
		}
		s.faults += p.Faults
		s.missed += p.Missed
		s.alerts += p.Alerts
		s.actions += p.Actions
		s.effects += p.Effects
		s.inDoubt += p.InDoubt
		s.left += p.LeftDoubt
		s.lost += p.Lost
		s.twice += p.Twice
		s.wrong += len(p.Wrong)
		s.lapsed += p.Lapsed
		s.gaps = append(s.gaps, p.Gaps...)
		if s.dates[0].IsZero() || p.Date.Before(s.dates[0]) {
			s.first, s.dates[0] = p.Commit, p.Date
		}
		if !p.Date.Before(s.dates[1]) {
			s.last, s.dates[1] = p.Commit, p.Date
		}
	}
	slices.Sort(s.gaps)
	return s
}

// commits is the range in which a row was measured.
func (s sum) commits() string {
	if s.first == s.last {
		return s.first
	}
	return s.first + "…" + s.last
}

func (s sum) gap() string {
	if len(s.gaps) == 0 {
		return "–"
	}
	at := func(i int) string { return fmt.Sprintf("%.1f s", float64(s.gaps[i])/1000) }
	last := len(s.gaps) - 1
	return at(len(s.gaps)/2) + " / " + at(min(last, len(s.gaps)*99/100)) + " / " + at(last)
}

// gapOf is gap with the number of those that were measured.
func (s sum) gapOf() string {
	if len(s.gaps) == 0 {
		return s.gap()
	}
	return fmt.Sprintf("%s of %s", s.gap(), thousands(len(s.gaps)))
}

// Render is docs/faults.md.
func Render(r Results) string {
	var b strings.Builder
	b.WriteString(head)
	b.WriteString("| row | of | faults | alerts | effects | in doubt | left to a person | lost | twice | other faults of ours | gap p50 / p99 / max of how many | commits |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	var total sum
	for _, row := range rows {
		if row.notYet != "" {
			fmt.Fprintf(&b, "| %s | %s | not yet: %s | | | | | | | | | |\n", row.name, thousands(row.full), row.notYet)
			continue
		}
		s := r.of(row.name)
		if s.faults == 0 {
			fmt.Fprintf(&b, "| %s | %s | not run yet | | | | | | | | | |\n", row.name, thousands(row.full))
			continue
		}
		if row.elsewhere != nil {
			fmt.Fprintf(&b, "| %s | %s | %s | – | – | – | – | – | – | %d | – | %s |\n", row.name, thousands(row.full), thousands(s.faults), s.wrong, s.commits())
			continue
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d | %d | %d | %d | %d | %d | %d | %s | %s |\n", row.name, thousands(row.full), thousands(s.faults),
			s.alerts, s.effects, s.inDoubt, s.left, s.lost, s.twice, s.wrong-s.lost-s.twice, s.gapOf(), s.commits())
		total.faults, total.alerts, total.effects, total.inDoubt = total.faults+s.faults, total.alerts+s.alerts, total.effects+s.effects, total.inDoubt+s.inDoubt
		total.lost, total.twice = total.lost+s.lost, total.twice+s.twice
	}
	fmt.Fprintf(&b, "\nTogether: %s faults, %s alerts with a 2xx of which %d were lost, %s effects of which %d were one too many, and %s actions in doubt.\n",
		thousands(total.faults), thousands(total.alerts), total.lost, thousands(total.effects), total.twice, thousands(total.inDoubt))
	if total.inDoubt > 0 && total.twice == 0 {
		// The rule of three: with none seen in n, the rate is below 3/n with 95 %.
		fmt.Fprintf(&b, "With none twice among %s in doubt, the rate of a doubled effect for each action in doubt is below %.2f %% (95 %%, rule of three).\n",
			thousands(total.inDoubt), 300/float64(total.inDoubt))
	}
	b.WriteString(r.handingOver())
	b.WriteString(r.mutantsCaught())
	b.WriteString(r.failures())
	return b.String()
}

// handingOver tells what a leader's lease costs and risks.
func (r *Results) handingOver() string {
	var b strings.Builder
	kinds := map[[2]string]bool{}
	for _, p := range r.Parts {
		if p.Lease != "" && len(p.Gaps) > 0 {
			kinds[[2]string{p.Store, p.Lease}] = true
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(kinds), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) }) {
		s := r.sum(func(p *Part) bool { return p.Store == k[0] && p.Lease == k[1] })
		store := k[0]
		if store == "" {
			store = "one external etcd"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %s | %d |\n", store, k[1], len(s.gaps), s.gap(), s.lapsed)
	}
	if b.Len() == 0 {
		return ""
	}
	return handing + b.String()
}

// failures lists what was wrong, as it was found.
func (r *Results) failures() string {
	var b strings.Builder
	for _, p := range r.Parts {
		for _, w := range append(slices.Clone(p.Wrong), p.Overruled...) {
			if b.Len() == 0 {
				b.WriteString(wrong)
			}
			fmt.Fprintf(&b, "- %s (%s), seed %d, commit %s: %s\n", rowNamed(p.Row), p.Of, p.Seed, p.Commit, w)
		}
	}
	return b.String()
}

func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// commit is the revision of the tree that is tested, with a mark where it was
// changed since in more than what the campaign itself writes.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=9", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	changed, err := exec.Command("git", "status", "--porcelain", "--", ":/", ":(exclude,top)test/faults/results.json", ":(exclude,top)docs/faults.md").Output()
	if err != nil || len(changed) > 0 {
		return strings.TrimSpace(string(out)) + "-dirty"
	}
	return strings.TrimSpace(string(out))
}

const wrong = `
## What was wrong

A part names the commit that it was played at. Those up to a3217f782 were joined into one afterwards, 0d5764b, which has all that they changed.

Parts of commits 92b502739 and 76c9b7893 took an alert of which the journal has only the end as not lost. Of row *restore* those of 6ff7faf80
wanted an action at a target that what the restored store forgot had moved, which is rightly held: that is the row's own fault. The two alerts that are
lost there were, as far as the code tells, not sent as they should have been: what ended before the copy was put back was not said again to the
store that had forgotten it, as a look at Alertmanager would have; later parts do. Those of d393a7d7c and 10e74e511 found what is mended since:
what had been done after the copy was made, and taken back again, was put on record as never written. That an action was claimed while another was
in flight holds two journals against each other there, and is the oracle's own fault.

Of row *partitions* the parts of b47cbbe3c were played beside a dozen other clusters and builds, at a load of 60 to 200 on two cores. Those with a finding
had 24 to 126 lapsed leases of 2 s for each fault. Nobody led there for a minute and more after the members were together again. Of the two alerts that count as
lost, both on class C targets, whose way back was under way, one came to its end by the log before its daemon was stopped, after its journal had been exported; of the other the log tells only that nobody led. At a load of 20 to 60 nothing of that came up again in 190 more faults (f3080ace1). Row *storm* has no effects: by the status of a daemon in one, on a
machine as busy, it had not decided half of the 10,000 alerts anew two minutes after the kill, and the row ended before those that act.

`

const handing = `
## How long nobody acts

Three replicas, on one external etcd or with embedded members of one cluster, by the leader's lease (` + "`--store.lease`" + `): from a kill -9 of the leader to the next effect at any target. *Lapsed* are leases that
a leader which lived could not renew in time, with two daemons of three, their store, Prometheus and all targets on the same two cores.

| store | lease | kills of the leader | gap p50 / p99 / max | lapsed |
|---|---|---|---|---|
`

const head = `# The fault campaign

Written by ` + "`make faults`" + ` from [test/faults/results.json](../test/faults/results.json): don't edit it by hand. The table says what was
measured, and what was not. How rows, oracle and sums work is told in [test/faults](../test/faults/doc.go).

The real daemon, built with steps at which it can be stopped, runs against targets of each class that keep a log of what reached
them and of what came of it. That log, the answers that the sender of the alerts got, and the journal are held against each other once all
is drained. *In doubt* counts the actions of which the daemon once did not know what became of them. *Left to a person* are those on class D
targets, which a person's word alone settles, after a restore those of classes A and C that were under way in the copy, and what stays thrown, with its owner paged, since the daemon was killed in each of three attempts to take it back. *Lost* are alerts with a 2xx that are not in the journal, or did not come to one end. *Twice* are effects beyond
the one of an action, or of an incident's throw. *Gap* is the time from a fault to the next effect at any target; work that waits for a
target's greatest latency is in it. A fault after which nothing was done until the next one struck has no gap: of how many it was measured is told
beside it, and the longest are missing where that is far from the faults.

` + "```sh" + `
make faults                      # continues where it stood, for 10 minutes
make faults MINUTES=600          # … for ten hours
make faults ROW=random SEED=7    # one row
make faults ROW=pair OF='4 leases' # of one row the variants with this in their names
make faults-mutants              # shows that the campaign catches what it must
` + "```" + `

`
