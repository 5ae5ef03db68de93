package policy

import (
	"fmt"
	"slices"
	"strings"
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
		`on "db/{{b}}": label "b" is not in subject "app/{{a}}"`:                        {{Subject: "app/{{a}}", On: []string{"db/{{b}}"}}},
		`depends_on[0]: "app/{{a}}" depends on itself: app/main on db/main on app/main`: {{Subject: "app/{{a}}", On: []string{"db/{{a}}"}}, {Subject: "db/*", On: []string{"app/main"}}},
		`"db/{{cluster}}" depends on itself: db/x on disk/x on db/x`:                    {{Subject: "db/{{cluster}}", On: []string{"disk/{{cluster}}"}}, {Subject: "disk/{{cluster}}", On: []string{"db/{{cluster}}"}}},
		`"app/{{name}}" depends on itself: app/db on db on app/db`:                      {{Subject: "app/{{name}}", On: []string{"{{name}}"}}, {Subject: "db", On: []string{"app/db"}}},
		`"{{name}}" depends on itself: db-x on app/db-x on db-x`:                        {{Subject: "{{name}}", On: []string{"app/{{name}}"}}, {Subject: "app/db-{{of}}", On: []string{"db-{{of}}"}}},
		`"db/{{a}}/{{b}}" depends on itself: db/x/x on db/x/x`:                          {{Subject: "db/{{a}}/{{b}}", On: []string{"db/{{b}}/{{a}}"}}},
		`"p/{{a}}/{{b}}" depends on itself: p/eu/eu on q/eu/eu on p/eu/eu`:              {{Subject: "p/{{a}}/{{b}}", On: []string{"q/{{a}}/{{b}}"}}, {Subject: "q/eu/{{b}}", On: []string{"p/{{b}}/{{b}}"}}},
		`"one/{{a}}" depends on itself: one/eu on two/eu on one/eu`:                     {{Subject: "one/{{a}}", On: []string{"two/{{a}}"}}, {Subject: "two/eu", On: []string{"one/eu"}}},
	} {
		c := configOf(failover())
		c.Depends = depends
		refused(t, c, want)
	}
}

// Labels that lead from one to the next, and never back, are taken.
func TestDependencyTaken(t *testing.T) {
	for name, depends := range map[string][]Dependency{
		"shorter each time": {{Subject: "disk/{{a}}-1", On: []string{"disk/{{a}}"}}},
		"longer each time":  {{Subject: "disk/{{a}}", On: []string{"disk/{{a}}-1"}}},
		"another place":     {{Subject: "db/{{a}}/eu", On: []string{"db/{{a}}/us"}}, {Subject: "db/{{a}}/us", On: []string{"disk/{{a}}"}}},
		"many labels":       {{Subject: "a/{{a}}/{{b}}/{{c}}/{{d}}/{{e}}", On: []string{"b/{{e}}/{{d}}/{{c}}/{{b}}/{{a}}"}}},
	} {
		c := configOf(failover())
		c.Depends = depends
		if _, err := New(c); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is taken holds no circle, whatever depends on what, by label or by name;
// and what is refused for one does hold it.
func TestPropertyDependenciesEnd(t *testing.T) {
	part := rapid.SampledFrom([]string{"a", "b", "{{x}}", "{{y}}", "a-{{x}}", "a-b"})
	words := []string{"a", "b", "a-a", "a-b", "a-a-b", "x", "a-x"}
	subjects := slices.Clone(words)
	for _, one := range words {
		for _, two := range words {
			subjects = append(subjects, one+"/"+two)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(part, 1, 2).Draw(t, "parts"), "/")
		})
		c := configOf(failover())
		for range rapid.IntRange(0, 4).Draw(t, "n") {
			d := Dependency{Subject: text.Draw(t, "subject"), On: []string{text.Draw(t, "on")}}
			if rapid.IntRange(0, 4).Draw(t, "any") == 0 {
				d.Subject = strings.ReplaceAll(d.Subject, "b", "*")
			}
			if _, err := newDependency(d); err == nil {
				c.Depends = append(c.Depends, d)
			}
		}
		_, err := New(c)
		h := &Handbook{}
		for _, d := range c.Depends {
			compiled, _ := newDependency(d)
			h.depends = append(h.depends, compiled)
		}
		for _, s := range subjects {
			if err == nil && comesBack(h, s, s, 8) {
				t.Fatalf("%s depends on itself: %v", s, c.Depends)
			}
			for _, on := range h.dependsOn(s) { // refused or not
				if slices.Contains(h.dependsOn(on), s) {
					t.Fatalf("%s and %s wait for each other: %v", s, on, c.Depends)
				}
			}
		}
		if err == nil {
			return
		}
		_, way, _ := strings.Cut(err.Error(), "depends on itself: ")
		if circle := strings.Split(way, " on "); !comesBack(h, circle[0], circle[0], len(circle)-1) {
			t.Fatalf("refused, and %q does not come back: %v", circle[0], err)
		}
	})
}

// comesBack reports whether a subject is reached from another in so many steps.
func comesBack(h *Handbook, from, to string, steps int) bool {
	at := map[string]bool{from: true}
	for range steps {
		next := map[string]bool{}
		for s := range at {
			for _, d := range h.depends {
				for _, on := range d.of(s) {
					next[on] = true
				}
			}
		}
		if next[to] {
			return true
		}
		at = next
	}
	return false
}

// A circle that the configuration did not show lets nobody wait: what is in it
// waits for none of it, and for what is outside.
func TestDependsOnWithinACircle(t *testing.T) {
	b := leaning(t)
	for _, d := range []Dependency{
		{Subject: "a", On: []string{"b"}}, {Subject: "b", On: []string{"c", "power"}}, {Subject: "c", On: []string{"a"}}, {Subject: "app", On: []string{"a"}},
	} {
		dep, err := newDependency(d)
		if err != nil {
			t.Fatal(err)
		}
		b.h.depends = append(b.h.depends, dep)
	}
	for subject, want := range map[string][]string{"a": {"power"}, "b": {"power"}, "c": {"power"}, "power": nil, "app": {"a", "b", "c", "power"}} {
		if got := b.h.dependsOn(subject); !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%s: got %v, want %v", subject, got, want)
		}
	}
}

// The search is shared among all that is tried: a circle at the end of many rules
// with several labels is found, and what grows at each step ends it.
func TestCirclesOfManyRules(t *testing.T) {
	var rules []Dependency
	for i := range 80 {
		rules = append(rules, Dependency{Subject: fmt.Sprintf("svc-%d/{{region}}/{{cell}}", i), On: []string{fmt.Sprintf("svc-%d/{{region}}/{{cell}}", i+1), fmt.Sprintf("svc-%d/{{region}}/{{cell}}", i+2)}})
	}
	for name, last := range map[string]Dependency{
		"":                  {Subject: "*/{{name}}", On: []string{"grows/{{name}}-more"}},
		"depends on itself": {Subject: "svc-81/{{region}}/{{cell}}", On: []string{"svc-0/{{region}}/{{cell}}"}},
	} {
		c := configOf(failover())
		c.Depends = append(slices.Clone(rules), last)
		_, err := New(c)
		if got := fmt.Sprint(err); name == "" && err != nil || !strings.Contains(got, name) {
			t.Errorf("got %s, want %q", got, name)
		}
	}
}
