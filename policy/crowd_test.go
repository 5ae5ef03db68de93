package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// member is one of a crowd: a subject that falls ill, and the switch that is
// thrown for it.
type member struct {
	detector, subject, cluster, to string
	on                             []string // subjects on which it depends, told apart from the configuration
	target                         signalbox.Target
}

// crowdOf depend on each other (an app on its database, a database on its disk)
// and, in one pair, want one switch at different positions.
var crowdOf = []member{
	{"disk", "disk/eu", "eu", "b", nil, "switch disk"},
	{"lag", "db/eu/0", "eu", "b", []string{"disk/eu"}, "switch 0"},
	{"lag", "db/eu/1", "eu", "b", []string{"disk/eu"}, "switch 1"},
	{"lag", "db/eu/2", "eu", "b", []string{"disk/eu"}, "switch 2"},
	{"lag", "db/us/0", "us", "b", []string{"disk/us"}, "switch us"},
	{"errors", "app/eu/0", "eu", "c", []string{"db/eu/0", "disk/eu"}, "switch 0"},
	{"errors", "app/eu/1", "eu", "b", []string{"db/eu/1", "disk/eu"}, "replay"},
}

const (
	memberBudget  = 2 // a day for each policy and target
	replayMost    = 2 // ids of one action
	replayPace    = 3 // ids an hour
	crowdCooldown = 15 * time.Minute
)

// knobs are what the configurations of crowds differ in.
type knobs struct {
	Share    float64
	Floor    int
	Undo     signalbox.UndoMode
	Autonomy Autonomy
	Budget   int  // actions an hour over all
	Reverse  bool // of policies: who has more right to the switch that two want
}

func drawKnobs(t *rapid.T) knobs {
	return knobs{
		Share: rapid.SampledFrom([]float64{0.3, 0.7, 1}).Draw(t, "share"), Floor: rapid.IntRange(1, 2).Draw(t, "floor"),
		Undo:     rapid.SampledFrom([]signalbox.UndoMode{signalbox.UndoAuto, signalbox.UndoAuto, signalbox.UndoAsk, signalbox.UndoNever}).Draw(t, "undo"),
		Autonomy: mostly(t, "autonomy", Auto, rapid.Just(Approve)), Reverse: rapid.Bool().Draw(t, "reverse"),
		Budget: rapid.SampledFrom([]int{1, 2, 6}).Draw(t, "budget"),
	}
}

func (k knobs) config() Config {
	var policies []Policy
	for _, m := range crowdOf {
		s := throwTo(m.to)
		s.Name, s.Undo = string(m.target), k.Undo
		if m.target == "replay" {
			s.Undo, s.Most, s.Pace = signalbox.UndoNever, replayMost, signalbox.ItemPace{N: replayPace, Per: time.Hour}
		}
		policies = append(policies, Policy{
			Name: "for-" + m.subject, On: []string{m.detector}, Match: map[string]string{"subject": m.subject}, Autonomy: k.Autonomy,
			Runbook: []signalbox.Step{s}, VerifyWithin: 5 * time.Minute, AfterHealthy: 30 * time.Minute, Cooldown: crowdCooldown,
			Budget: []Rate{{N: memberBudget, Per: 24 * time.Hour}},
		})
	}
	if k.Reverse {
		slices.Reverse(policies)
	}
	c := configOf(policies...)
	c.Detectors = append(c.Detectors, Detector{Name: "disk", Owner: "backend", Fresh: time.Minute})
	c.Budget = []Rate{{N: k.Budget, Per: time.Hour}}
	c.Blast = []Blast{{Name: "databases", Detectors: []string{"lag"}, By: []string{"cluster"}, Share: k.Share, Floor: k.Floor}}
	c.Depends = []Dependency{
		{Subject: "app/{{cluster}}/{{n}}", On: []string{"db/{{cluster}}/{{n}}"}}, {Subject: "db/{{cluster}}/{{n}}", On: []string{"disk/{{cluster}}"}},
	}
	c.Changes = []Change{{Name: "deploy", Detector: "alerts", Subject: "deploy/{{cluster}}"}, {Name: "migration", Migration: true, Detector: "alerts", Subject: "migration/{{cluster}}"}}
	c.Freeze = []Freeze{{Name: "sale", From: noon.Add(4 * time.Hour), To: noon.Add(5 * time.Hour)}}
	return c
}

// series is what is seen of one subject: each round of polling tells it anew,
// but of one that is stuck.
type series struct {
	detector, subject, cluster string
	condition                  signalbox.Condition
	since                      time.Time
	stuck                      bool
}

// crowd is a world of incidents, and a model of the engine that carries out
// what is decided on them.
type crowd struct {
	t      *rapid.T
	h      *Handbook
	w      *World
	k      knobs
	series map[string]*series // by subject
	stands map[signalbox.Target]string
	cross  bool // a migration lies between any two positions
	tried  []*signalbox.Action
	helps  bool // what is thrown makes its incident's subject well
	acts   int

	foreseen map[string]*signalbox.Forecast // by step
}

func newCrowd(t *rapid.T, k knobs) *crowd {
	h, err := New(k.config())
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{
		t: t, h: h, k: k, w: &World{State: signalbox.NewState(), Facts: signalbox.NewFacts(), Now: noon},
		series: map[string]*series{}, stands: map[signalbox.Target]string{}, foreseen: map[string]*signalbox.Forecast{},
	}
	for _, name := range h.Policies() {
		c.w.State.Policies[name] = &signalbox.PolicyState{Name: name, Hash: h.PolicyHash(name), ActivatedAt: noon.Add(-24 * time.Hour)}
	}
	h.Counted(c.w.Facts.CountBy)
	for _, m := range crowdOf {
		c.sees(m.detector, m.subject, m.cluster, signalbox.Clear)
	}
	for _, position := range []string{"a", "b", "c"} {
		c.sees("replica-lag", "replica/"+position, "", signalbox.Clear)
	}
	for _, cluster := range []string{"eu", "us"} {
		c.sees("alerts", "deploy/"+cluster, cluster, signalbox.Clear)
		c.sees("alerts", "migration/"+cluster, cluster, signalbox.Clear)
	}
	return c
}

// sees changes what a subject shows from now on.
func (c *crowd) sees(detector, subject, cluster string, condition signalbox.Condition) {
	s := c.series[subject]
	if s == nil || s.condition != condition {
		c.series[subject] = &series{detector: detector, subject: subject, cluster: cluster, condition: condition, since: c.w.Now}
	}
	c.series[subject].stuck = false
	c.poll(c.series[subject])
}

// shows changes what a subject that is known shows.
func (c *crowd) shows(subject string, condition signalbox.Condition) {
	s := c.series[subject]
	c.sees(s.detector, subject, s.cluster, condition)
}

func (c *crowd) poll(s *series) {
	r := &signalbox.Reading{
		Detector: s.detector, Series: s.subject, Subject: s.subject, Condition: s.condition, Value: 2, HasValue: true, Unit: signalbox.Seconds,
		Labels: map[string]string{"subject": s.subject, "cluster": s.cluster}, SampleAt: c.w.Now, At: c.w.Now, Since: s.since, OnsetAt: s.since,
	}
	if r.Condition == signalbox.Unknown {
		r.Reason = "no answer within 5s"
	}
	c.w.Facts.Replace(r)
	c.edge(r)
}

// edge opens an incident, or tells an open one what its series shows.
func (c *crowd) edge(r *signalbox.Reading) {
	if !slices.ContainsFunc(crowdOf, func(m member) bool { return m.subject == r.Subject }) {
		return
	}
	var inc *signalbox.Incident
	for _, open := range c.w.State.OpenOn(r.Subject) {
		next := *open
		inc = &next
	}
	switch {
	case inc == nil && r.Condition != signalbox.Breached:
		return
	case inc == nil:
		id := signalbox.IncidentID(fmt.Sprintf("%016x", len(c.w.State.Incidents)))
		inc = &signalbox.Incident{ID: id, Owner: "backend", OnsetAt: c.w.Now, OpenedAt: c.w.Now, WellAt: c.w.Now.Add(-time.Minute)}
	case inc.Reading.Condition == r.Condition:
		return
	}
	inc.Reading = *r
	if r.Subject == "app/eu/1" {
		inc.Reading.Items = []string{"id-0", "id-1", "id-2", "id-3"}
	}
	inc.ClearAt, inc.UnknownAt = time.Time{}, time.Time{}
	switch r.Condition {
	case signalbox.Clear:
		inc.ClearAt = c.w.Now
	case signalbox.Unknown:
		inc.UnknownAt = c.w.Now
	case signalbox.Breached:
	}
	c.w.State.PutIncident(inc)
}

// later lets time pass; all that is not stuck is read again.
func (c *crowd) later(d time.Duration) {
	c.w.Now = c.w.Now.Add(d)
	for _, subject := range slices.Sorted(maps.Keys(c.series)) {
		if s := c.series[subject]; !s.stuck {
			c.poll(s)
		}
	}
}

// open are the ids of the open incidents, in order.
func (c *crowd) open() (ids []signalbox.IncidentID) {
	for id, inc := range c.w.State.Incidents {
		if !inc.Closed() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// crowdEvents are what may happen; most of it lets actions be taken.
var crowdEvents = []string{
	"break", "break", "break", "break", "break", "end", "end", "end", "end", "calm", "calm", "calm", "answer", "answer",
	"turn", "stuck", "change", "control", "cross", "replica",
}

// calm lifts what holds actions back, but for what was done.
func (c *crowd) calm() {
	c.w.State.Controls, c.w.Facts.KillFile = signalbox.Controls{}, ""
	for _, subject := range slices.Sorted(maps.Keys(c.series)) {
		s := c.series[subject]
		if s.stuck = false; s.detector == "alerts" || s.detector == "replica-lag" {
			c.shows(subject, signalbox.Clear)
		}
	}
}

// happens is one thing that goes on in a random world.
func (c *crowd) happens() {
	t := c.t
	m := rapid.SampledFrom(crowdOf).Draw(t, "member")
	condition := rapid.SampledFrom([]signalbox.Condition{signalbox.Breached, signalbox.Clear, signalbox.Unknown}).Draw(t, "condition")
	switch rapid.SampledFrom(crowdEvents).Draw(t, "what") {
	case "break":
		c.shows(m.subject, signalbox.Breached)
	case "turn":
		c.shows(m.subject, condition)
	case "stuck":
		c.series[m.subject].stuck = true
	case "change":
		c.shows(rapid.SampledFrom([]string{"deploy/", "migration/"}).Draw(t, "change")+m.cluster, condition)
	case "control":
		c.control(m)
	case "calm":
		c.calm()
	case "cross":
		c.cross = !c.cross
	case "replica":
		c.shows("replica/"+rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "position"), condition)
	case "end":
		c.endAll(rapid.SampledFrom([]signalbox.Stage{signalbox.Done, signalbox.Done, signalbox.Broken, signalbox.Doubt}).Draw(t, "stage"))
	case "answer":
		c.answer(rapid.SampledFrom([]signalbox.ApprovalState{signalbox.Approved, signalbox.Approved, signalbox.Denied}).Draw(t, "answer"))
	}
}

func (c *crowd) control(m member) {
	scope := rapid.SampledFrom([]string{"all", "policy/for-" + m.subject, "owner/backend", "target/" + string(m.target)}).Draw(c.t, "scope")
	one := signalbox.Control{Scope: scope, Who: "@sre", Reason: "change 4711", At: c.w.Now}
	switch rapid.SampledFrom([]string{"pause", "take", "kill", "file"}).Draw(c.t, "control") {
	case "pause":
		one.Kind = signalbox.Pause
		c.w.State.Controls.Pauses = append(slices.Clone(c.w.State.Controls.Pauses), one)
	case "take":
		one.Kind = signalbox.Take
		c.w.State.Controls.Taken = append(slices.Clone(c.w.State.Controls.Taken), one)
	case "kill":
		one.Kind = signalbox.Kill
		c.w.State.Controls.Killed = &one
	case "file":
		c.w.Facts.KillFile = "it is there"
	}
}

// answer is a person's, to all that is asked.
func (c *crowd) answer(state signalbox.ApprovalState) {
	for id, old := range c.w.State.Approvals {
		if old.Open(c.w.Now) {
			a := *old
			a.State, a.Who, a.At = state, "@sre", c.w.Now
			c.w.State.Approvals[id] = &a
		}
	}
}

// memberOf is the member whose incident it is.
func (c *crowd) memberOf(id signalbox.IncidentID) member {
	subject := c.w.State.Incidents[id].Reading.Subject
	return crowdOf[slices.IndexFunc(crowdOf, func(m member) bool { return m.subject == subject })]
}

var incidentNamed = regexp.MustCompile(`incident ([0-9a-f]{16})`)

// waitsFor are the incidents that a decision to hold waits for.
func waitsFor(d *signalbox.Decision) (ids []signalbox.IncidentID) {
	for _, r := range d.Because {
		if m := incidentNamed.FindStringSubmatch(r.Detail); m != nil && !r.Passed && (r.Guard == "dependency" || r.Guard == "conflict") {
			ids = append(ids, signalbox.IncidentID(m[1]))
		}
	}
	return ids
}

func TestCrowdIsSound(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		if _, err := New((knobs{Share: 1, Floor: 1, Budget: 1, Undo: signalbox.UndoAuto, Autonomy: Auto, Reverse: reverse}).config()); err != nil {
			t.Fatal(err)
		}
	}
}
