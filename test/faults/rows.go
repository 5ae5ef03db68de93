package faults

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/step"
)

// row is one kind of fault.
type row struct {
	key    string // for ROW=
	name   string
	was    string // the name it had, which parts of before still have
	full   int    // faults in a full run
	shows  string
	notYet string // why it can't be run yet

	// variants are what the row is made of: each part plays one.
	variants func() []variant
	// play strikes n times and lets the cell be judged.
	play func(r *run, v variant, n int) outcome
	// elsewhere runs tests that stand elsewhere, and counts them.
	elsewhere func(r *run) outcome
	// batch is how many faults one part strikes, sample how many of which
	// variants a run of the tests does.
	batch   int
	sample  func() []variant
	few     int
	root    bool   // it needs root
	spaces  bool   // … and network namespaces of its own
	program string // … and this program
}

// variant is one of what a row is made of.
type variant struct {
	step    step.Name
	class   string
	latency float64 // times the recovery
	mishap  mishap
	length  float64 // times the lease
	lease   time.Duration
	victim  string
	store   string // embedded, or empty: the row's own
}

func (v variant) String() string {
	s := ""
	for _, part := range []string{string(v.step), v.class, string(v.mishap), v.victim, v.store} {
		if part != "" {
			s += part + ", "
		}
	}
	if v.length > 0 {
		s += fmt.Sprintf("%g leases, ", v.length)
	}
	if v.lease > 0 {
		s += fmt.Sprintf("lease %s, ", v.lease)
	}
	return s + fmt.Sprintf("latency ×%g", v.latency)
}

// outcome is a part but for its place.
type outcome struct {
	faults, missed int
	verdict
}

// run is what a part is played with.
type run struct {
	t      testing.TB
	rng    *rand.Rand
	binary string
	tool   func() (string, error) // signalboxctl, built
	health string                 // URL of the Prometheus
}

func (r *run) cell(v variant) *cell {
	return newCell(r.t, r.binary, r.health, plan{latency: v.latency})
}

// latencies are those of a target, in recoveries of ours: a fast stand-in hides
// bugs.
var latencies = []float64{0, 1.5, 5}

// rows is the campaign's table.
var rows = []row{
	{
		key: "random", name: "kill -9 at random times, one node", full: 1000, shows: "I1–I4",
		variants: withLatencies, sample: func() []variant { return []variant{{latency: 1.5}} }, play: killAtRandom, batch: 40, few: 4,
	},
	{
		key: "steps", name: "kill -9 at each named step × class × latency", full: 20 * len(stepVariants()), shows: "I2–I4, I8",
		variants: stepVariants, sample: sampleOfSteps, play: killAtStep, batch: 10, few: 1,
	},
	{
		key: "stop", name: "SIGSTOP for 0.5 to 4 leases at each step, then SIGCONT, one node", full: 500, shows: "I3, I5, I7",
		variants: stopVariants, sample: func() []variant {
			return []variant{{step: step.CheckAfter, class: classA, length: 1.5}}
		}, play: stopAtStep, batch: 6, few: 2,
	},
	{
		key: "target", name: "target: answer lost after the effect, late effect, 500 after the effect, doubled delivery", full: 2000, shows: "I2",
		variants: mishapVariants, sample: func() []variant {
			return []variant{{class: classA, mishap: answerLost}, {class: classB, mishap: answer500}}
		}, play: mishaps, batch: 16, few: 3,
	},
	{
		key: "disk", name: "disk full on a small tmpfs", full: 100, shows: "no false 2xx; the daemon survives its store",
		variants: plain, sample: plain, play: diskFull, batch: 2, few: 1, root: true,
	},
	{
		key: "eio", name: "EIO on fdatasync", full: 100, shows: "no false 2xx; the daemon survives its store",
		variants: plain, sample: plain, play: syncFails, batch: 4, few: 1, root: true, program: "strace",
	},
	{
		key: "storm", name: "storm: 10,000 distinct alerts that go on firing, one kill in their midst", was: "storm: 10,000 distinct alerts, killed in its midst", full: 20, shows: "I1, I12, memory bounded",
		variants: plain, sample: plain, play: storm, batch: 1, few: 1,
	},
	{key: "clock", name: "clocks: tests of the lease, of sources' clocks, of cooldowns and budgets, repeated", was: "clock jumps, drift, suspend: the engine's and the lease's tests, repeated", full: 500, shows: "I6, I7", elsewhere: clocks},
	{key: "model", name: "property tests of policy, journal and settings, repeated", was: "model against implementation: the property tests, repeated", full: 100, shows: "no divergence", elsewhere: models},
	{key: "sim", name: "simulated incidents with faults in virtual time", full: 1_000_000, shows: "all", elsewhere: simulated},
	{
		key: "replicas", name: "three replicas: kill the leader, a standby, both", full: 1000, shows: "I1–I6",
		variants: replicaVariants, sample: func() []variant {
			return []variant{{victim: bothOfThem, latency: 1.5}, {victim: theLeader, store: embedded, latency: 1.5}}
		}, play: killReplicas, batch: 16, few: 2,
	},
	{
		key: "pair", name: "SIGSTOP the leader of several at each step, then SIGCONT", full: 500, shows: "I2, I3, I5, I7",
		variants: pairVariants, sample: func() []variant {
			return []variant{{step: inItsWrite, class: classA, length: 4}}
		}, play: stopLeader, batch: 3, few: 1,
	},
	{
		key: "partition", name: "partitions: isolate, split, one-way, flapping", full: 500, shows: "I1–I7, I15",
		variants: partitionVariants, sample: func() []variant { return []variant{{victim: isolated}} }, play: partitions, batch: 5, few: 1, root: true, spaces: true,
	},
	{
		key: "quorum", name: "quorum loss, 10 s to 10 min", full: 100, shows: "no effect, no false 2xx, the pager works",
		variants: quorumVariants, sample: func() []variant { return []variant{{victim: quorumIsOff, length: 10}} }, play: partitions, batch: 2, few: 1, root: true, spaces: true,
	},
	{
		key: "restore", name: "restore from a snapshot, older and newer than the marks", full: 50, shows: "I2, I5, the freeze",
		variants: restoreVariants, sample: func() []variant { return []variant{{victim: olderCopy}} }, play: restores, batch: 2, few: 1,
	},
	{key: "linear", name: "linearizability of claims and budgets, 1,000 histories", full: 1000, shows: "I3, I6", elsewhere: histories},
}

// rowNamed is the name that a part's row has now.
func rowNamed(name string) string {
	for i := range rows {
		if rows[i].was == name && name != "" {
			return rows[i].name
		}
	}
	return name
}

func plain() []variant { return []variant{{}} }

func withLatencies() (all []variant) {
	for _, l := range latencies {
		all = append(all, variant{latency: l})
	}
	return all
}

// classesOf are the classes whose actions pass a step.
func classesOf(n step.Name) []string {
	switch n {
	case step.InboxBefore, step.InboxAfter, step.Answered, step.IntentBefore, step.IntentAfter, step.CheckBefore, step.CheckAfter,
		step.SendAfter, step.ReceiptBefore, step.ReceiptAfter, step.VerifyBefore, step.VerifyAfter:
		return []string{classA, classB, classC, classD}
	case step.Probe, step.UndoBefore, step.UndoAfter:
		return []string{classA, classC}
	case step.SealBefore, step.SealAfter:
		return []string{classA}
	default: // pages
		return []string{classP}
	}
}

func stepVariants() (all []variant) {
	for _, n := range step.Names() {
		for _, class := range classesOf(n) {
			for _, l := range latencies {
				if class == classP && l > 0 {
					continue
				}
				all = append(all, variant{step: n, class: class, latency: l})
			}
		}
	}
	return all
}

// sampleOfSteps is where each class hurts most: after the check.
func sampleOfSteps() []variant {
	return []variant{
		{step: step.InboxBefore, class: classP},
		{step: step.CheckAfter, class: classA, latency: 1.5},
		{step: step.SendAfter, class: classB, latency: 1.5},
		{step: step.SealAfter, class: classA, latency: 1.5},
		{step: step.ReceiptBefore, class: classD},
	}
}

func stopVariants() (all []variant) {
	for _, n := range step.Names() {
		for _, length := range []float64{0.5, 1.5, 4} {
			all = append(all, variant{step: n, class: classesOf(n)[0], length: length, latency: 0})
		}
	}
	return all
}

// mishapVariants: who delivers a blind request twice does it twice, so that is
// no row of class D.
func mishapVariants() (all []variant) {
	for _, class := range []string{classA, classB, classC, classD} {
		for _, m := range []mishap{answerLost, lateEffect, answer500, doubled} {
			if class != classD || m != doubled {
				all = append(all, variant{class: class, mishap: m})
			}
		}
	}
	return all
}

// patience is how long a cell drains: what is of class C waits until nothing
// can have been sent any more.
func (c *cell) patience() time.Duration { return 2*time.Minute + 3*c.town.latency }
