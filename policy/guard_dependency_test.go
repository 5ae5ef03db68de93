package policy

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// leaning is a world whose incident's subject db/eu depends on others.
func leaning(t *testing.T, depends ...Dependency) *box {
	c := configOf(failover())
	c.Depends = depends
	b := newBoxOf(t, c)
	b.inc().OpenedAt = noon.Add(-time.Minute)
	return b
}

// ill opens an incident on a subject.
func (b *box) ill(subject string, id signalbox.IncidentID) *signalbox.Incident {
	inc := &signalbox.Incident{
		ID: id, OpenedAt: noon, OnsetAt: noon,
		Reading: signalbox.Reading{Detector: "errors", Subject: subject, Condition: signalbox.Breached},
	}
	b.w.State.PutIncident(inc)
	return inc
}

func TestGuardDependency(t *testing.T) {
	chain := []Dependency{{Subject: "db/{{cluster}}", On: []string{"disk/{{cluster}}"}}, {Subject: "disk/*", On: []string{"power"}}}
	b := leaning(t, chain...)
	d := b.want(signalbox.Act, "dependency")
	b.readsAll(d, signalbox.SubjectKey("disk/eu"), signalbox.SubjectKey("power"))
	b.ill("disk/us", "d1")
	b.want(signalbox.Act, "dependency")
	disk := b.ill("disk/eu", "d2")
	b.blocked("dependency", "it depends on disk/eu, which is ill: incident d2 of errors")
	b.ill("power", "p1")
	b.blocked("dependency", "it depends on power, which is ill: incident p1") // the root is named
	b.w.State.DropIncident("p1")
	disk.Reading.Condition = signalbox.Unknown // not known to be over
	b.want(signalbox.Hold, "dependency")
	disk.Reading.Condition = signalbox.Clear
	b.want(signalbox.Act, "dependency")
	b.inc().OpenedAt = noon
	b.blocked("dependency", "none of what it depends on is ill (disk/eu, power) for 15s")
	b.later(15 * time.Second)
	b.foresee(throwTo("b"), "a")
	b.want(signalbox.Act, "dependency")
}

// Nothing waits for what nobody hears of: what is silenced, by its source or for
// all incidents. A deploy is no illness.
func TestGuardDependencyUnheard(t *testing.T) {
	c := configOf(failover())
	c.Depends, c.Silences = []Dependency{{Subject: "db/*", On: []string{"disk"}}}, true
	c.Changes = []Change{{Name: "roll", Detector: "rollout"}}
	c.Detectors = append(c.Detectors, Detector{Name: "rollout", Owner: "backend"})
	b := newBoxOf(t, c)
	b.inc().OpenedAt = noon.Add(-time.Minute)
	b.see("rollout", "core/api", signalbox.Clear, 0)
	b.w.Facts.Silenced.At = noon
	disk := b.ill("disk", "d1")
	d := b.want(signalbox.Hold, "dependency")
	b.readsAll(d, signalbox.SilencesKey)
	disk.Reading.Suppressed = "a silence"
	b.want(signalbox.Act, "dependency")
	disk.Reading.Suppressed = ""
	subject := signalbox.Matcher{Name: "subject", Matches: func(v string) bool { return v == "disk" }}
	b.w.Facts.Silenced.List = []signalbox.Silence{{ID: "s1", Matchers: []signalbox.Matcher{subject}, Until: noon.Add(time.Minute)}}
	if d := b.want(signalbox.Act, "dependency"); !d.Until.IsZero() && d.Until.After(noon.Add(time.Minute)) {
		t.Errorf("it must look again when the silence ends: %s", d.Until)
	}
	b.w.Facts.Silenced.List = nil
	disk.Reading.Detector = "rollout"
	b.want(signalbox.Act, "dependency")
}

func TestDependsOn(t *testing.T) {
	h := leaning(t, Dependency{Subject: "app/{{a}}/{{b}}", On: []string{"db/{{b}}", "cache/{{a}}"}}, Dependency{Subject: "same/{{a}}/{{a}}", On: []string{"x"}}).h
	for subject, want := range map[string][]string{
		"app/eu/one": {"db/one", "cache/eu"}, "app/eu": nil, "app/eu/one/two": nil, "same/1/1": {"x"}, "same/1/2": nil,
	} {
		if got := h.dependsOn(subject); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", subject, got, want)
		}
	}
}

func TestDependencyRefused(t *testing.T) {
	for want, depends := range map[string][]Dependency{
		`on "db/{{b}}": label "b" is not in subject "app/{{a}}"`: {{Subject: "app/{{a}}", On: []string{"db/{{b}}"}}},
		`"app/{{a}}" depends on itself`:                          {{Subject: "app/{{a}}", On: []string{"db/{{a}}"}}, {Subject: "db/*", On: []string{"app/main"}}},
	} {
		c := configOf(failover())
		c.Depends = depends
		refused(t, c, want)
	}
}

// No subject ever waits for itself, whatever depends on what.
func TestPropertyDependenciesEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subjects := []string{"a", "b", "c", "d", "e"}
		c := configOf(failover())
		for range rapid.IntRange(0, 8).Draw(t, "n") {
			c.Depends = append(c.Depends, Dependency{
				Subject: rapid.SampledFrom(subjects).Draw(t, "subject"), On: []string{rapid.SampledFrom(subjects).Draw(t, "on")},
			})
		}
		h, err := New(c)
		if err != nil {
			return
		}
		for _, s := range subjects {
			if slices.Contains(h.dependsOn(s), s) {
				t.Fatalf("%s depends on itself: %v", s, c.Depends)
			}
		}
	})
}
