package kubernetes

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
)

// DetectorSettings are the keys of a detector on a source of this kind, beyond
// those that every detector has. Exactly one of the first six is given.
type DetectorSettings struct {
	// Pods that fail, each workload of them an incident.
	Pods *Scope `yaml:"pods,omitempty" json:"pods,omitempty"`
	// Deployments, StatefulSets and DaemonSets that are short of replicas.
	Workloads *WorkloadScope `yaml:"workloads,omitempty" json:"workloads,omitempty"`
	// Jobs that have failed; of a CronJob, until a later run completes.
	Jobs *Scope `yaml:"jobs,omitempty" json:"jobs,omitempty"`
	// Nodes that are not ready, or under pressure.
	Nodes *NodeScope `yaml:"nodes,omitempty" json:"nodes,omitempty"`
	// Argo CD Applications that are degraded or out of sync.
	Applications *Scope `yaml:"applications,omitempty" json:"applications,omitempty"`
	// Argo Rollouts that are degraded.
	Rollouts *Scope `yaml:"rollouts,omitempty" json:"rollouts,omitempty"`
	// When it is ill, and for how long before an incident opens.
	Breach Breach `yaml:"breach,omitempty" json:"breach,omitzero"`
	// For how long it must be well before the incident is over; absent: 1m, since what restarts again and again is well in between.
	Clear Clear `yaml:"clear,omitempty" json:"clear,omitzero"`
	// An incident stays open for so long after the last breach.
	KeepFiringFor kind.Duration `yaml:"keep_firing_for,omitempty" json:"keep_firing_for,omitzero"`
}

// Scope says which objects, and what is looked for in them.
type Scope struct {
	// Their namespaces, of those of the source; absent: all of the source's.
	Namespaces []string `yaml:"namespaces,omitempty" json:"namespaces,omitempty"`
	Filter     `yaml:",inline" json:",inline"`
}

// WorkloadScope is a Scope with kinds.
type WorkloadScope struct {
	// Of Deployment, StatefulSet, DaemonSet; absent: all three.
	Kinds []string `yaml:"kinds,omitempty" json:"kinds,omitempty"`
	Scope `yaml:",inline" json:",inline"`
}

// NodeScope is a Scope without namespaces.
type NodeScope struct {
	Filter `yaml:",inline" json:",inline"`
}

// Filter is what all scopes have.
type Filter struct {
	// A label selector as kubectl takes it: "app=core,tier in (web, worker)".
	Selector string `yaml:"selector,omitempty" json:"selector,omitempty"`
	// What is looked for, the worst first; absent: all that the page of this kind lists, in its order.
	Reasons []string `yaml:"reasons,omitempty" json:"reasons,omitempty"`
	// How long a reason must last before it counts, in place of its default: {Unschedulable: 10m}.
	After map[string]kind.Duration `yaml:"after,omitempty" json:"after,omitempty"`
	// So many objects must be there; with fewer, it is Unknown. Absent: 1 of pods, workloads and nodes, 0 of the others.
	Expect *int `yaml:"expect,omitempty" json:"expect,omitempty"`
}

// Breach is how many objects of a workload make a breach, and for how long.
type Breach struct {
	// So many of its objects are ill at once.
	AtLeast int `yaml:"at_least,omitempty" json:"at_least,omitempty" default:"1"`
	// It must be so for so long, without a break.
	For kind.Duration `yaml:"for,omitempty" json:"for,omitzero"`
}

// Clear is for how long it must be well.
type Clear struct {
	// It must be so for so long, without a break.
	For *kind.Duration `yaml:"for,omitempty" json:"for,omitempty" default:"1m"`
}

const defaultClear = time.Minute

// Unit is the unit of the detector's value: how many objects are ill.
func (d *DetectorSettings) Unit() signalbox.Unit { return signalbox.Number }

// String tells one definition from another.
func (d *DetectorSettings) String() string {
	b, err := json.Marshal(d)
	if err != nil {
		panic(fmt.Sprintf("settings can't be written: %v", err)) // they hold only texts and numbers
	}
	return string(b)
}

// chosen is one of the keys, and what stands under it.
type chosen struct {
	key        string
	kinds      []string
	namespaces []string
	*Filter
}

// chosen returns those that are given.
func (d *DetectorSettings) chosen() (list []chosen) {
	for _, s := range []struct {
		key   string
		scope *Scope
	}{{"pods", d.Pods}, {"jobs", d.Jobs}, {"applications", d.Applications}, {"rollouts", d.Rollouts}} {
		if s.scope != nil {
			list = append(list, chosen{s.key, nil, s.scope.Namespaces, &s.scope.Filter})
		}
	}
	if w := d.Workloads; w != nil {
		list = append(list, chosen{"workloads", w.Kinds, w.Namespaces, &w.Filter})
	}
	if n := d.Nodes; n != nil {
		list = append(list, chosen{"nodes", nil, nil, &n.Filter})
	}
	return list
}

// Validate reports every rule that the settings break.
func (d *DetectorSettings) Validate(fail kind.Fail) {
	given := d.chosen()
	if len(given) != 1 {
		var keys []string
		for _, c := range given {
			keys = append(keys, c.key)
		}
		fail("", "must have exactly one of pods, workloads, jobs, nodes, applications and rollouts", keys)
	}
	for _, c := range given {
		c.validate(func(path, rule string, value any) { fail(c.key+"."+path, rule, value) })
	}
	if d.Breach.AtLeast < 0 {
		fail("breach.at_least", "must be at least 1", d.Breach.AtLeast)
	}
}

func (c chosen) validate(fail kind.Fail) {
	w, _ := find(c.key)
	cluster.CheckNamespaces(fail, c.namespaces)
	listed(fail, "kinds", c.kinds, w.kinds(), func(k string) string { return k })
	listed(fail, "reasons", c.Reasons, w.names(), canonical)
	if _, err := labels.Parse(c.Selector); err != nil {
		fail("selector", "must be a label selector, like app=core,tier in (web, worker)", c.Selector)
	}
	for word := range c.After {
		if _, ok := w.reason(canonical(word)); !ok {
			fail("after."+word, "must be one of "+strings.Join(w.names(), ", "), word)
		} else if !slices.ContainsFunc(c.criteria(w), func(x criteria) bool { return x.Reason == canonical(word) }) {
			fail("after."+word, "must be one of those that are looked for, which reasons lists", word)
		}
	}
	if c.Expect != nil && *c.Expect < 0 {
		fail("expect", "must be at least 0", *c.Expect)
	}
}

// listed holds a list of words to those that are known.
func listed(fail kind.Fail, key string, given, known []string, means func(string) string) {
	var seen []string
	for i, word := range given {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch w := means(word); {
		case !slices.Contains(known, w):
			fail(at, "must be one of "+strings.Join(known, ", "), word)
		case slices.Contains(seen, w):
			fail(at, "must not be listed twice", word)
		default:
			seen = append(seen, w)
		}
	}
}

// criteria are the reasons that are looked for, the worst first.
func (c chosen) criteria(w watched) []criteria {
	names := make([]string, 0, len(w.reasons))
	for _, word := range c.Reasons {
		names = append(names, canonical(word))
	}
	if len(names) == 0 {
		for _, r := range w.reasons {
			if !r.onRequest {
				names = append(names, r.name)
			}
		}
	}
	after := map[string]kind.Duration{}
	for word, d := range c.After {
		after[canonical(word)] = d
	}
	var list []criteria
	for _, n := range names {
		r, ok := w.reason(n)
		if !ok {
			continue // Validate says so
		}
		x := criteria{Reason: n, After: kind.Duration(r.after), Within: kind.Duration(r.within)}
		if d, given := after[n]; given {
			x.After = d
		}
		if x.Within > 0 {
			x.Within += x.After
		}
		list = append(list, x)
	}
	return list
}

// Build makes the detector. opened is what this kind's Open returned; its
// watches are those that its detectors need.
func (d *DetectorSettings) Build(c kind.Common, opened any) (signalbox.Detector, track.Timing, error) {
	timing := track.Timing{For: d.Breach.For.Std(), ClearFor: defaultClear, KeepFiringFor: d.KeepFiringFor.Std()}
	if d.Clear.For != nil {
		timing.ClearFor = d.Clear.For.Std()
	}
	given := d.chosen()
	src, ok := opened.(*Source)
	if !ok || len(given) != 1 {
		return nil, timing, fmt.Errorf("detector %s: it can only be built on a source of kind %s, of settings that are valid", c.Name, cluster.Kind)
	}
	what := given[0]
	w, _ := find(what.key)
	for _, name := range append(c.Subject.Labels(), c.Labels...) {
		if !slices.Contains(w.labels(), name) {
			return nil, timing, fmt.Errorf("detector %s: %s have no label %q, only %s", c.Name, what.key, name, strings.Join(w.labels(), ", "))
		}
	}
	q := question{Watch: what.key, Kinds: what.kinds, Selector: what.Selector, Reasons: what.criteria(w)}
	if len(q.Kinds) == 0 {
		q.Kinds = w.kinds()
	}
	var err error
	if what.key != "nodes" {
		if q.Namespaces, err = src.scope(what.namespaces); err != nil {
			return nil, timing, fmt.Errorf("detector %s: %w", c.Name, err)
		}
	}
	det := newDetector(c, q, src)
	det.atLeast, det.expect = max(1, d.Breach.AtLeast), w.expect
	if what.Expect != nil {
		det.expect = *what.Expect
	}
	if err := src.follow(q.text()); err != nil {
		return nil, timing, fmt.Errorf("detector %s: %w", c.Name, err)
	}
	return det, timing, nil
}
