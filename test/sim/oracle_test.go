package sim

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// told is a history that is told to the oracle by hand: throws in which nothing is
// wrong, but what a test makes wrong of them.
type told struct {
	*sim
	n int
}

// throw is one of them, before it is told.
type throw struct {
	p   *points
	inc *signalbox.Incident
	a   *signalbox.Action
}

func newTold(t *testing.T) *told {
	s := newSim(t, options{Seed: 1, Incidents: 1, Days: 1})
	s.newSet()
	s.oracle.mu.Lock()
	defer s.oracle.mu.Unlock()
	for name := range s.policies {
		s.oracle.policy(&signalbox.PolicyState{Name: name, ActivatedAt: s.begun.Add(-time.Hour)})
	}
	return &told{sim: s}
}

// of makes the throw of a policy for a subject that has just become ill.
func (x *told) of(detector, subject, name, owner string) *throw {
	x.co.sicken(detector, subject, "")
	x.n++
	book := x.policies[name].Runbook
	step, now := book[len(book)-1], time.Now() // one waits first
	p, back := x.co.pos[step.Name], step
	back.To = "a"
	inc := &signalbox.Incident{
		ID: signalbox.IncidentID(fmt.Sprintf("%016x", x.n)), Reading: signalbox.Reading{Detector: detector, Subject: subject, Condition: signalbox.Breached},
		Owner: owner, WellAt: now, OpenedAt: now, PlanAt: now,
	}
	return &throw{p, inc, &signalbox.Action{
		ID: signalbox.ActionID(fmt.Sprint("act-", x.n)), Incident: inc.ID, Policy: name, Step: step, Stage: signalbox.Started, ClaimedAt: now,
		Attempts: 1, Token: signalbox.Token(x.n),
		Forecast: signalbox.Forecast{Class: p.class, Found: "a", Undo: &back, Targets: []signalbox.Target{p.target()}},
	}}
}

func (x *told) pod(n int) *throw {
	name := fmt.Sprintf("eu-%d", n)
	return x.of(pods+"eu", "pod/"+name, "restart-"+name, "backend")
}

func (x *told) reads(region string) *throw {
	return x.of(lag, "db/"+region, "reads-"+region, "backend")
}

func (x *told) edge(region string) *throw {
	return x.of(faults, "app/"+region, "edge-"+region, "backend")
}

// claim puts a throw on record.
func (x *told) claim(w *throw) {
	x.oracle.mu.Lock()
	defer x.oracle.mu.Unlock()
	x.oracle.incident(w.inc)
	x.oracle.action(w.a)
	ts := signalbox.TargetState{Target: w.p.target()}
	if old := x.oracle.targets[ts.Target]; old != nil {
		ts = *old
	}
	ts.Holder = w.a.ID
	x.oracle.targets[ts.Target] = &ts
}

// takes has a throw on record reach its switch and take place.
func (x *told) takes(w *throw) {
	x.oracle.sent(w.p, w.a, true)
	e := effect{
		id: w.a.ID, to: w.a.Step.To, at: time.Now(), claimed: w.a.ClaimedAt, back: w.a.Undoes != "", policy: w.a.Policy, class: w.p.class, token: w.a.Token,
	}
	x.oracle.took(w.p, w.a, e)
	w.p.effects = append(w.p.effects, e)
}

// ends has it end well, and its incident with it.
func (x *told) ends(w *throw) {
	x.oracle.mu.Lock()
	done := *w.a
	done.Stage = signalbox.Done
	x.oracle.action(&done)
	x.oracle.mu.Unlock()
	x.co.heal(w.inc.Reading.Detector, w.inc.Reading.Subject)
}

// does is a throw from its claim to its end.
func (x *told) does(w *throw) {
	x.claim(w)
	x.takes(w)
	x.ends(w)
}

func (x *told) later(d time.Duration) { x.sleep(d) }

func (x *told) demote(name string, to signalbox.Autonomy, at time.Time) {
	x.oracle.mu.Lock()
	defer x.oracle.mu.Unlock()
	x.oracle.policy(&signalbox.PolicyState{Name: name, ActivatedAt: x.begun.Add(-time.Hour), Demoted: &signalbox.Demotion{To: to, At: at}})
}

// histories are told to the oracle; what it must say of each begins with want,
// which is empty where nothing is wrong.
var histories = map[string]struct {
	want string
	tell func(x *told)
}{
	"a pod is restarted":            {"", func(x *told) { x.does(x.pod(0)) }},
	"two of a region":               {"", func(x *told) { x.does(x.pod(0)); x.later(time.Second); x.does(x.pod(1)) }},
	"three of a region, in time":    {"", func(x *told) { three(x, 6*time.Minute) }},
	"three of a region at once":     {"I12: act-3 touches 3 of 6", func(x *told) { three(x, time.Minute) }},
	"two in flight, and a third":    {"I12: act-3 touches 3 of 6", func(x *told) { inFlight(x) }},
	"most of a region is ill":       {"I12: act-1 is thrown while 5 of 6", func(x *told) { mostIll(x) }},
	"on a stopped target":           {"I12: act-1 is sent to pod/eu-0, which is stopped", func(x *told) { onStopped(x, -time.Second) }},
	"stopped since it was claimed":  {"", func(x *told) { onStopped(x, time.Second) }},
	"a position that is not listed": {"I14: act-1 throws", func(x *told) { w := x.reads("eu"); w.a.Step.To = "c"; x.does(w) }},
	"another switch":                {"I14: act-1 throws", func(x *told) { w := x.reads("eu"); w.a.Step.Name = "edge-eu"; x.does(w) }},
	"taken back to another place":   {"I14: act-2 takes act-1 back", func(x *told) { takenBack(x, "c") }},
	"taken back":                    {"", func(x *told) { takenBack(x, "a") }},
	"demoted to suggest":            {"I10: act-1 is sent by policy reads-eu, which fell", func(x *told) { demoted(x, signalbox.AutonomySuggest, -time.Minute) }},
	"demoted to shadow":             {"I10: act-1 is sent by policy reads-eu, which fell", func(x *told) { demoted(x, policy.Shadow, -time.Minute) }},
	"demoted to approve":            {"I9: act-1 is sent with approval", func(x *told) { demoted(x, signalbox.AutonomyApprove, -time.Minute) }},
	"demoted since it began":        {"", func(x *told) { demoted(x, signalbox.AutonomySuggest, time.Minute) }},
	"an older token":                {"I5: effect of act-2", func(x *told) { olderToken(x) }},
	"owner's budget":                {"I6: 13 throws of owner/backend", func(x *told) { ownersBudget(x) }},
	"burst of a class":              {"I6: 3 throws of class/C close together", func(x *told) { edges(x, 10*time.Minute) }},
	"budget of a class":             {"", func(x *told) { edges(x, 31*time.Minute) }},
	"an effect that comes late":     {"", func(x *told) { comesLate(x, 31*time.Minute) }},
	"one that comes late too many":  {"I6: 3 throws of class/C close together", func(x *told) { comesLate(x, 29*time.Minute) }},
	"budget of a target":            {"I6: 9 throws of edge-ap in 24h0m0s, the budget of policy edge-eu for one target", func(x *told) { ofOneTarget(x) }},
}

func three(x *told, apart time.Duration) {
	for i := range 3 {
		x.does(x.pod(i))
		x.later(apart)
	}
}

func inFlight(x *told) {
	for i := range 3 {
		w := x.pod(i)
		x.claim(w)
		x.later(11 * time.Minute) // beyond the time of what has ended
		if i == 2 {
			x.takes(w)
		}
	}
}

func mostIll(x *told) {
	for i := range 5 {
		x.co.sicken(pods+"eu", fmt.Sprintf("pod/eu-%d", i), "")
	}
	x.later(5 * time.Minute)
	x.does(x.pod(0))
}

func onStopped(x *told, since time.Duration) {
	w := x.pod(0)
	x.oracle.targets[w.p.target()] = &signalbox.TargetState{Target: w.p.target(), StoppedAt: w.a.ClaimedAt.Add(since)}
	x.does(w)
}

func takenBack(x *told, to string) {
	w := x.reads("eu")
	x.does(w)
	x.later(time.Minute)
	back := x.reads("eu")
	back.a.Undoes, back.a.Step.To = w.a.ID, to
	x.does(back)
}

func demoted(x *told, to signalbox.Autonomy, at time.Duration) {
	w := x.reads("eu")
	x.demote("reads-eu", to, w.inc.PlanAt.Add(at))
	x.does(w)
}

func olderToken(x *told) {
	x.does(x.reads("eu"))
	x.later(time.Hour)
	w := x.reads("eu")
	w.a.Token = 1
	x.does(w)
}

// ownersBudget is spent by pods of two regions, far enough from each other.
func ownersBudget(x *told) {
	for i := range 13 {
		region := []string{"eu", "ap"}[i%2]
		name := fmt.Sprintf("%s-%d", region, i/2%podsPerRegion)
		x.does(x.of(pods+region, "pod/"+name, "restart-"+name, "backend"))
		x.later(7 * time.Minute)
	}
}

func edges(x *told, apart time.Duration) {
	for _, region := range []string{"eu", "ap", "eu"} {
		x.does(x.edge(region))
		x.later(apart)
	}
}

func ofOneTarget(x *told) {
	p := x.co.pos["edge-ap"]
	for range 8 {
		p.effects = append(p.effects, effect{id: "x", claimed: time.Now()})
		x.later(2 * time.Hour)
	}
	x.oracle.onTarget(p, effect{policy: "edge-eu", claimed: time.Now()})
}

// The oracle says what is wrong of a history, and nothing of one that is right.
func TestOracle(t *testing.T) {
	for name, h := range histories {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newTold(t)
				h.tell(x)
				var said bool
				for _, wrong := range x.oracle.wrong {
					text := wrong[len("2006-01-02 15:04:05 "):]
					said = said || h.want != "" && strings.HasPrefix(text, h.want)
				}
				if h.want == "" && len(x.oracle.wrong) > 0 || h.want != "" && !said {
					t.Errorf("want %q, got:\n%s", h.want, strings.Join(x.oracle.wrong, "\n"))
				}
			})
		})
	}
}

// comesLate is the second of three throws, of which the third is claimed after the
// first has left the 40 minutes of a burst, or before, and takes place first.
func comesLate(x *told, apart time.Duration) {
	x.does(x.edge("eu"))
	x.later(10 * time.Minute)
	late := x.edge("ap")
	x.claim(late)
	x.later(apart)
	x.does(x.edge("eu"))
	x.takes(late)
}
