package policy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

func TestNewRefuses(t *testing.T) {
	of := func(change func(p *Policy)) func(c *Config) {
		return func(c *Config) { change(&c.Policies[0]) }
	}
	cases := map[string]struct {
		change func(c *Config)
		want   string
	}{
		"no name":              {of(func(p *Policy) { p.Name = "" }), `policy "": must have a name`},
		"twice":                {func(c *Config) { c.Policies = append(c.Policies, c.Policies[0]) }, `policy "failover": must be named only once`},
		"autonomy":             {of(func(p *Policy) { p.Autonomy = "yolo" }), `policy "failover": autonomy must be shadow, suggest, approve or auto, got "yolo"`},
		"on nothing":           {of(func(p *Policy) { p.On = nil }), `policy "failover": on must name at least one detector`},
		"on unknown":           {of(func(p *Policy) { p.On = []string{"lga"} }), `policy "failover": on[0] must name a detector, got "lga"`},
		"on twice":             {of(func(p *Policy) { p.On = []string{"lag", "lag"} }), `policy "failover": on[1] must name a detector only once, got "lag"`},
		"when":                 {of(func(p *Policy) { p.When = "value > 5" }), `policy "failover": when: column 7: found no matching overload`},
		"when, second unit":    {of(func(p *Policy) { p.On = append(p.On, "errors") }), `policy "failover": when: column 7: found no matching overload`},
		"if":                   {of(func(p *Policy) { p.Runbook[0].If = "destination.value < 5" }), `policy "failover": runbook[0].if: column 19: found no matching overload`},
		"no runbook":           {of(func(p *Policy) { p.Runbook = nil }), `policy "failover": runbook must have at least one step`},
		"step without kind":    {of(func(p *Policy) { p.Runbook[0].Kind = "" }), `policy "failover": runbook[0] must have a kind and a name, got "" and "read-endpoint"`},
		"step without place":   {of(func(p *Policy) { p.Runbook[0].To = "" }), `policy "failover": runbook[0].to must name a position`},
		"undo":                 {of(func(p *Policy) { p.Runbook[0].Undo = "perhaps" }), `policy "failover": runbook[0].undo must be auto, ask or never, got "perhaps"`},
		"spec":                 {of(func(p *Policy) { p.Runbook[0].Spec = json.RawMessage("{") }), `policy "failover": runbook: a step's spec is not JSON`},
		"auto without health":  {of(func(p *Policy) { p.Runbook[0].Health = nil }), `policy "failover": runbook[0].health must say what proves position "b" of "read-endpoint" healthy`},
		"health's detector":    {of(func(p *Policy) { p.Runbook[0].Health["b"] = signalbox.Witness{Detector: "x", Subject: "y"} }), `policy "failover": runbook[0].health["b"].detector must name a detector, got "x"`},
		"health's subject":     {of(func(p *Policy) { p.Runbook[0].Health["b"] = signalbox.Witness{Detector: "lag"} }), `runbook[0].health["b"].subject must name a subject of "lag"`},
		"verify's template":    {of(func(p *Policy) { p.Verify = signalbox.Witness{Detector: "lag", Subject: "x/{{y"} }), `policy "failover": verify.subject must name labels between {{ and }}, got "x/{{y"`},
		"verify's detector":    {of(func(p *Policy) { p.Verify = signalbox.Witness{Subject: "x"} }), `policy "failover": verify.detector must name a detector, got ""`},
		"verify within":        {of(func(p *Policy) { p.VerifyWithin = 0 }), `policy "failover": verify.within must be above 0, since runbook[0] throws a switch`},
		"negative cooldown":    {of(func(p *Policy) { p.Cooldown = -time.Second }), `policy "failover": guards.cooldown must not be negative, got -1s`},
		"budget of none":       {of(func(p *Policy) { p.Budget = []Rate{{N: 0, Per: time.Hour}} }), `policy "failover": budget[0] must be at least 1 action in a time above 0, got 0 in 1h0m0s`},
		"budget in no time":    {func(c *Config) { c.Budget = []Rate{{N: 1}} }, `guards: budget[0] must be at least 1 action in a time above 0, got 1 in 0s`},
		"freeze":               {func(c *Config) { c.Freeze = []Freeze{{Name: "x", From: noon, To: noon}} }, `guards: freeze[0] "x": to must be after from`},
		"ineffective":          {func(c *Config) { c.Ineffective = -1 }, `guards: ineffective must not be negative, got -1`},
		"forecast age":         {func(c *Config) { c.ForecastAge = -1 }, `guards: the age of a forecast must not be negative`},
		"detector twice":       {func(c *Config) { c.Detectors = append(c.Detectors, c.Detectors[0]) }, `detector "lag": must be named only once`},
		"detector's name":      {func(c *Config) { c.Detectors = append(c.Detectors, Detector{}) }, `detectors[4]: must have a name`},
		"detector's freshness": {func(c *Config) { c.Detectors[0].Fresh = -1 }, `detector "lag": fresh must not be negative`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := configOf(failover())
			c.change(&config)
			if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	config := configOf(failover())
	config.Policies[0].On, config.Policies[0].Autonomy, config.Ineffective = nil, "x", -1
	if _, err := New(config); strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %q, want three errors at once", err)
	}
}

func TestNewKeepsNothingOfItsConfig(t *testing.T) {
	c := configOf(failover())
	b := newBoxOf(t, c)
	c.Detectors[0].Fresh, c.Budget[0].N = 1, 0
	c.Policies[0].On[0], c.Policies[0].Match["env"], c.Policies[0].Budget[0].N = "x", "x", 0
	c.Policies[0].Runbook[0].Health["b"] = signalbox.Witness{}
	c.Policies[0].Runbook[0].Spec[0] = 'x'
	b.want(signalbox.Act, "")
}

// Any edit of a policy changes its hash: each field is changed in turn.
func TestPolicyHash(t *testing.T) {
	hash := func(p Policy) string {
		c := configOf(p)
		c.Changes = []Change{{Name: "migration", Detector: "errors"}, {Name: "deploy", Detector: "errors"}}
		h, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return h.PolicyHash(p.Name)
	}
	edits := map[string]func(p *Policy){
		"Name":         func(p *Policy) { p.Name = "other" },
		"On":           func(p *Policy) { p.On = append(p.On, "replica-lag") },
		"Match":        func(p *Policy) { p.Match["zone"] = "x" },
		"When":         func(p *Policy) { p.When = "" },
		"Autonomy":     func(p *Policy) { p.Autonomy = Shadow },
		"Runbook":      func(p *Policy) { p.Runbook[0].Spec = json.RawMessage(`{"key":"x"}`) },
		"Verify":       func(p *Policy) { p.Verify = signalbox.Witness{Detector: "lag", Subject: "x"} },
		"VerifyWithin": func(p *Policy) { p.VerifyWithin++ },
		"AfterHealthy": func(p *Policy) { p.AfterHealthy++ },
		"Cooldown":     func(p *Policy) { p.Cooldown++ },
		"Budget":       func(p *Policy) { p.Budget[0].N++ },
		"Needs":        func(p *Policy) { p.On, p.Needs = append(p.On, "replica-lag"), 2 },
		"Witnesses":    func(p *Policy) { p.Witnesses = []signalbox.Witness{{Detector: "errors"}} },

		"ApproveWithin": func(p *Policy) { p.ApproveWithin = time.Hour },
		"TwoPersons":    func(p *Policy) { p.TwoPersons = true },
		"During":        func(p *Policy) { p.During = []string{"migration"} },
		"Ignores":       func(p *Policy) { p.Ignores = []string{"deploy"} },
	}
	was := hash(failover())
	if was != hash(failover()) || was == "" {
		t.Fatalf("equal policies, other hashes")
	}
	for i := range reflect.TypeFor[Policy]().NumField() {
		field := reflect.TypeFor[Policy]().Field(i).Name
		edit := edits[field]
		if edit == nil {
			t.Errorf("no edit of %s is tried", field)
			continue
		}
		p := failover()
		if edit(&p); hash(p) == was {
			t.Errorf("an edit of %s leaves the hash as it was", field)
		}
	}
}

func TestHandbookTells(t *testing.T) {
	second := failover()
	second.Name, second.Cooldown = "another", 48*time.Hour
	h := newBox(t, failover(), second).h
	if h.Hash() != "cfg" || !reflect.DeepEqual(h.Policies(), []string{"another", "failover"}) || h.PolicyHash("none") != "" {
		t.Errorf("got %q, %v", h.Hash(), h.Policies())
	}
	if h.LongestWindow() != 48*time.Hour {
		t.Errorf("got %s", h.LongestWindow())
	}
}

func TestPlanIsWhole(t *testing.T) {
	p := failover()
	p.Verify = signalbox.Witness{Detector: "errors", Subject: "reads/{{ cluster }}/{{env}}"}
	p.Runbook[0].Health["b"] = signalbox.Witness{Detector: "replica-lag", Subject: "{{cluster}}/b"}
	h := newBox(t, p).h
	plan, err := h.rules["failover"].plan(map[string]string{"cluster": "{{env}}", "env": "prod"})
	if err != nil {
		t.Fatal(err)
	}
	want := &signalbox.Plan{
		Policy: "failover", Autonomy: Auto, PolicyHash: h.PolicyHash("failover"), Steps: plan.Steps, VerifyWithin: p.VerifyWithin, AfterHealthy: p.AfterHealthy, Cooldown: p.Cooldown,
		Verify: signalbox.Witness{Detector: "errors", Subject: "reads/{{env}}/prod"}, // a label is never a template
	}
	if !reflect.DeepEqual(plan, want) || plan.Steps[0].Health["b"].Subject != "{{env}}/b" {
		t.Errorf("got %+v", plan)
	}
	if h.rules["failover"].Runbook[0].Health["b"].Subject != "{{cluster}}/b" {
		t.Errorf("the policy itself was changed")
	}
}
