package policy

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// manyPolicies is a configuration as large as one gets: 1,000 policies on 100
// detectors, with each guard that can be configured.
func manyPolicies() Config {
	c := configOf()
	c.Detectors = c.Detectors[:0]
	for d := range 100 {
		name := fmt.Sprintf("lag-%03d", d)
		c.Detectors = append(c.Detectors, Detector{Name: name, Unit: signalbox.Seconds, Owner: "backend", Fresh: time.Minute})
		for p := range 10 {
			pol := failover()
			pol.Name, pol.On = fmt.Sprintf("policy-%03d-%d", d, p), []string{name}
			pol.Match = map[string]string{"env": "prod", "cluster": fmt.Sprintf("c%d", p)}
			pol.Runbook = []signalbox.Step{throwTo("b")}
			pol.Runbook[0].Name = pol.Name
			c.Policies = append(c.Policies, pol)
		}
		c.Blast = append(c.Blast, Blast{Name: name, Detectors: []string{name}, By: []string{"cluster"}, Share: 0.5, Floor: 1, Mass: 1, Within: time.Hour})
	}
	c.Detectors = append(c.Detectors, Detector{Name: "replica-lag", Unit: signalbox.Seconds, Fresh: time.Minute})
	for i := range 50 {
		c.Depends = append(c.Depends, Dependency{Subject: fmt.Sprintf("kind%d/{{name}}", i), On: []string{"db/{{name}}", "network/{{name}}"}})
		c.Freeze = append(c.Freeze, Freeze{Name: fmt.Sprint("sale ", i), From: noon.Add(time.Duration(i+2) * 24 * time.Hour), To: noon.Add(time.Duration(i+2)*24*time.Hour + time.Hour)})
	}
	c.Depends = append(c.Depends, Dependency{Subject: "db/{{name}}", On: []string{"host/{{name}}", "network/{{name}}"}})
	for _, scope := range []string{"owner/backend", "class/A", "kind/endpoint"} {
		c.Budgets = append(c.Budgets, ScopedRates{Scope: scope, Rates: []Rate{{N: 100, Per: time.Hour, Burst: 20}}})
	}
	return c
}

// BenchmarkDecideManyPolicies decides one incident that changed, of many that
// are open, under a large configuration.
func BenchmarkDecideManyPolicies(b *testing.B) {
	h, err := New(manyPolicies())
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{10, 1_000, 100_000} {
		b.Run(fmt.Sprintf("open=%d", n), func(b *testing.B) {
			w := &box{t: b, h: h, w: &World{State: signalbox.NewState(), Facts: signalbox.NewFacts(), Now: noon}}
			h.Counted(w.w.Facts.CountBy)
			for _, name := range h.Policies() {
				w.w.State.Policies[name] = &signalbox.PolicyState{Name: name, Hash: h.PolicyHash(name), ActivatedAt: noon.Add(-24 * time.Hour)}
			}
			for i := range n {
				r := signalbox.Reading{
					Detector: fmt.Sprintf("lag-%03d", i%100), Series: fmt.Sprintf("db/%06d", i), Subject: fmt.Sprintf("db/%06d", i), Condition: signalbox.Breached,
					Value: 2, HasValue: true, Unit: signalbox.Seconds, Labels: map[string]string{"env": "prod", "cluster": fmt.Sprint("c", i%7+3)},
					SampleAt: noon, At: noon, Since: noon, OnsetAt: noon,
				}
				w.w.Facts.Put(&r)
				id := signalbox.IncidentID(fmt.Sprintf("%016x", i+1000))
				w.w.State.PutIncident(&signalbox.Incident{ID: id, Reading: r, Owner: "backend", OnsetAt: noon, OpenedAt: noon.Add(-time.Minute), WellAt: noon.Add(-time.Minute)})
				if i%10 == 0 { // what was touched, in many domains
					at := signalbox.Target(fmt.Sprint("switch ", i))
					w.w.State.PutTarget(&signalbox.TargetState{Target: at, Thrown: "x", Domains: []string{fmt.Sprintf("blast/lag-%03d/other", i%100)}})
				}
			}
			w.see("replica-lag", "replica/a", signalbox.Clear, 0.01)
			w.see("replica-lag", "replica/b", signalbox.Clear, 0.01)
			s := h.rules["policy-000-3"].Runbook[0]
			w.foresee(s, "a")
			due := []signalbox.IncidentID{fmtID(1000)}
			if d := h.Decide(w.w, due)[0]; d.Verdict != signalbox.Act {
				b.Fatal(tell(d))
			}
			runtime.GC()
			b.ReportAllocs()
			for b.Loop() {
				h.Decide(w.w, due)
			}
		})
	}
}

func fmtID(n int) signalbox.IncidentID { return signalbox.IncidentID(fmt.Sprintf("%016x", n)) }
