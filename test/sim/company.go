package sim

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/policy"
)

// The detectors of the company. All but alerts are polled.
const (
	lag     = "lag"     // of each region's database
	replica = "replica" // health of each position of its read switch
	faults  = "errors"  // of each region's application, which depends on its database
	backlog = "backlog" // of each region's queue
	pods    = "pods-"   // of a region's workers: one a region
	alerts  = "alerts"  // from Alertmanager: nothing acts on them
)

var regions = []string{"ap", "eu", "sa", "us"}

var polled = []string{lag, replica, faults, backlog, pods + "ap", pods + "eu", pods + "sa", pods + "us"}

const podsPerRegion = 6

// company is the world outside. Its lock guards all of it.
type company struct {
	mu   sync.Mutex
	ill  map[string]map[string]*illness // detector, subject
	seen map[string]time.Time           // detector: since when it can't be read; zero: it can
	pos  map[string]*points             // switches, by target
}

// illness is what is wrong with one subject.
type illness struct {
	ill      bool
	since    time.Time // of ill, or of well
	cure     string    // the position of its switch that cures it; "" where nothing does
	switched string    // name of its switch
	labels   map[string]string
}

func newCompany(s *sim) *company {
	c := &company{ill: map[string]map[string]*illness{}, seen: map[string]time.Time{}, pos: map[string]*points{}}
	for _, d := range polled {
		c.ill[d] = map[string]*illness{}
	}
	now := time.Now()
	add := func(d, subject, switched string) {
		c.ill[d][subject] = &illness{since: now, switched: switched, labels: map[string]string{"region": regionOf(subject)}}
	}
	for _, r := range regions {
		add(lag, "db/"+r, "read-"+r)
		add(replica, "replica/"+r+"/a", "")
		add(replica, "replica/"+r+"/b", "")
		add(faults, "app/"+r, "edge-"+r)
		add(backlog, "queue/"+r, "")
		c.addSwitch(s, "read-"+r, signalbox.ClassA)
		c.addSwitch(s, "edge-"+r, signalbox.ClassC)
		for i := range podsPerRegion {
			name := fmt.Sprintf("pod/%s-%d", r, i)
			add(pods+r, name, name)
			c.addSwitch(s, name, signalbox.ClassB)
		}
	}
	return c
}

func (c *company) addSwitch(s *sim, name string, class signalbox.Class) {
	c.pos[name] = &points{s: s, name: name, class: class, value: "a", known: map[signalbox.ActionID]bool{}, tries: map[signalbox.ActionID]int{}}
}

// sicken makes a subject ill; cure is the position that ends it.
func (c *company) sicken(detector, subject, cure string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.ill[detector][subject]
	if x == nil || x.ill {
		return false
	}
	x.ill, x.since, x.cure = true, time.Now(), cure
	return true
}

func (c *company) heal(detector, subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if x := c.ill[detector][subject]; x != nil && x.ill {
		x.ill, x.since = false, time.Now()
	}
}

// thrown tells the company that a switch went to a position: what that cures is
// well again.
func (c *company) thrown(name, to string) {
	for _, d := range polled {
		for _, x := range c.ill[d] {
			if x.ill && x.switched == name && x.cure == to {
				x.ill, x.since = false, time.Now()
			}
		}
	}
}

// read is one round of a detector.
func (c *company) read(detector string, now time.Time) (rs []signalbox.Reading, good bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	good = c.seen[detector].IsZero()
	rs = make([]signalbox.Reading, 0, len(c.ill[detector]))
	for subject, x := range c.ill[detector] {
		r := signalbox.Reading{
			Detector: detector, Series: subject, Subject: subject, Condition: signalbox.Clear, Value: 0, HasValue: true,
			SampleAt: now, At: now, Threshold: "above 1", Summary: "well", Labels: x.labels,
		}
		switch {
		case !good:
			r.Condition, r.Reason, r.HasValue = signalbox.Unknown, "it can't be read", false
		case x.ill:
			r.Condition, r.Value, r.Summary = signalbox.Breached, 5, "ill"
		}
		rs = append(rs, r)
	}
	return rs, good
}

// regionOf is the region that a subject names: "db/eu", "replica/eu/a", "pod/eu-3".
func regionOf(subject string) string {
	for _, r := range regions {
		for i := 0; i+len(r) <= len(subject); i++ {
			if subject[i:i+len(r)] == r && i > 0 && subject[i-1] == '/' {
				return r
			}
		}
	}
	return ""
}

// step throws one of the company's switches.
func step(name, to string, undo signalbox.UndoMode, health map[string]signalbox.Witness) signalbox.Step {
	return signalbox.Step{Kind: "points", Name: name, To: to, Spec: json.RawMessage(`{}`), Undo: undo, Health: health}
}

func reads(region string) map[string]signalbox.Witness {
	return map[string]signalbox.Witness{
		"a": {Detector: replica, Subject: "replica/" + region + "/a"}, "b": {Detector: replica, Subject: "replica/" + region + "/b"},
	}
}

// handbook is the company's policies: one a region and illness, since a switch
// is a region's.
func handbook() (policy.Config, map[string]policy.Policy) {
	cfg := policy.Config{
		Hash: "sim", DefaultOwner: "devops",
		Budget: []policy.Rate{{N: 60, Per: time.Hour}},
	}
	for _, d := range polled {
		cfg.Detectors = append(cfg.Detectors, policy.Detector{Name: d, Owner: "backend"})
	}
	cfg.Detectors = append(cfg.Detectors, policy.Detector{Name: alerts, Owner: "devops"})
	for _, r := range regions {
		cfg.Policies = append(cfg.Policies, readsOf(r), edgeOf(r), shadowOf(r))
		for i := range podsPerRegion {
			cfg.Policies = append(cfg.Policies, podOf(fmt.Sprintf("pod/%s-%d", r, i)))
		}
	}
	extend(&cfg)
	byName := map[string]policy.Policy{}
	for _, p := range cfg.Policies {
		byName[p.Name] = p
	}
	return cfg, byName
}

func readsOf(region string) policy.Policy {
	return policy.Policy{
		Name: "reads-" + region, On: []string{lag}, Match: map[string]string{"region": region}, Autonomy: policy.Auto,
		Runbook:      []signalbox.Step{step("read-"+region, "b", signalbox.UndoAuto, reads(region))},
		VerifyWithin: 2 * time.Minute, AfterHealthy: 10 * time.Minute, Cooldown: 15 * time.Minute,
		Budget: []policy.Rate{{N: 6, Per: 24 * time.Hour}},
	}
}

// edgeOf throws a region's edge, by its own health: the application itself is
// what proves both positions.
func edgeOf(region string) policy.Policy {
	health := map[string]signalbox.Witness{
		"a": {Detector: replica, Subject: "replica/" + region + "/a"}, "b": {Detector: replica, Subject: "replica/" + region + "/b"},
	}
	return policy.Policy{
		Name: "edge-" + region, On: []string{faults}, Match: map[string]string{"region": region}, Autonomy: policy.Auto,
		Runbook:      []signalbox.Step{step("edge-"+region, "b", signalbox.UndoAuto, health)},
		VerifyWithin: 2 * time.Minute, AfterHealthy: 5 * time.Minute, Cooldown: 10 * time.Minute,
		Budget: []policy.Rate{{N: 8, Per: 24 * time.Hour}},
	}
}

// shadowOf would act on a region's queue, and never does.
func shadowOf(region string) policy.Policy {
	return policy.Policy{
		Name: "queue-" + region, On: []string{backlog}, Match: map[string]string{"region": region}, Autonomy: policy.Shadow,
		Runbook:      []signalbox.Step{step("edge-"+region, "b", signalbox.UndoNever, nil)},
		VerifyWithin: time.Minute, Cooldown: time.Minute, Budget: []policy.Rate{{N: 5, Per: 24 * time.Hour}},
	}
}

// podOf restarts one pod: it goes to "fresh", and never back.
func podOf(name string) policy.Policy {
	region := regionOf(name)
	return policy.Policy{
		Name: "restart-" + name[len("pod/"):], On: []string{pods + region}, When: fmt.Sprintf("subject == %q", name), Autonomy: policy.Auto,
		Runbook: []signalbox.Step{step(name, "fresh", signalbox.UndoNever, map[string]signalbox.Witness{
			"fresh": {Detector: replica, Subject: "replica/" + region + "/a"},
		})},
		VerifyWithin: time.Minute, Cooldown: 5 * time.Minute, Budget: []policy.Rate{{N: 10, Per: 24 * time.Hour}},
	}
}

// set is the engine's set of the handbook.
func (s *sim) newSet() *engine.Set {
	cfg, byName := handbook()
	book, err := policy.New(cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.policies, s.config = byName, cfg
	set := &engine.Set{
		Hash: cfg.Hash, Handbook: book, Policies: map[string]string{}, Detectors: map[string]engine.Detector{}, DefaultOwner: "devops",
		Owners:      map[string]signalbox.Step{"devops": {Kind: "page", Name: "devops"}, "backend": {Kind: "page", Name: "backend"}},
		Ladders:     map[string]engine.Ladder{"backend": {BackupName: "@be-oncall", Backup: &signalbox.Step{Kind: "page", Name: "backend"}}},
		Remediators: map[string]signalbox.Remediator{"points": switchboard{s}}, Pager: s.pager, Ask: s.ask,
	}
	for _, d := range polled {
		set.Detectors[d] = engine.Detector{Source: "metrics", Owner: "backend", Polled: true}
	}
	set.Detectors[alerts] = engine.Detector{Source: alerts, Owner: "devops"}
	for name := range byName {
		set.Policies[name] = book.PolicyHash(name)
	}
	return set
}
