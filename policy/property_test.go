package policy

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"pgregory.net/rapid"
)

// odd is a random world, as values: the same odd always builds the same world.
type odd struct {
	Kill, KillFile       bool
	Pause                string
	PauseLeft            time.Duration
	Now                  time.Duration // after noon
	Own, A, B            sampled
	Well                 time.Duration
	Activated            bool
	Holder, Stopped      bool
	Ineffective          int
	TargetActed, All     []time.Duration // ago
	Mine                 []time.Duration
	Forecast, Back       foreseen
	Acts                 []done
	Next                 int
	Planned, Paged, Gave bool
	Cleared, Word        bool
	Suppressed           bool
	Taken                string // scope of a person's hold
	TakenLeft            time.Duration
	Hand                 bool
}

type sampled struct {
	There     bool
	Condition signalbox.Condition
	Age       time.Duration
	Since     time.Duration
}

type foreseen struct {
	There, Refused, Already bool
	Age                     time.Duration
}

type done struct {
	Stage   signalbox.Stage
	Outcome signalbox.Outcome
	Page    bool
	Undoes  bool
	Thrown  bool
	Ago     time.Duration
	Mode    signalbox.UndoMode
}

// mostly draws good seven times of eight, so that most worlds have few faults.
func mostly[V any](t *rapid.T, name string, good V, other *rapid.Generator[V]) V {
	if rapid.SampledFrom([]bool{true, true, true, true, true, true, true, false}).Draw(t, name+" is as usual") {
		return good
	}
	return other.Draw(t, name)
}

// ago draws a time before now, or, rarely, after it.
func ago(limit time.Duration) *rapid.Generator[time.Duration] {
	return rapid.Map(rapid.Int64Range(-int64(limit)/10, int64(limit)), func(n int64) time.Duration { return time.Duration(n) })
}

func drawSampled(t *rapid.T, name string, usual signalbox.Condition) sampled {
	return sampled{
		There:     mostly(t, name+" there", true, rapid.Bool()),
		Condition: mostly(t, name, usual, rapid.SampledFrom([]signalbox.Condition{signalbox.Clear, signalbox.Breached, signalbox.Unknown})),
		Age:       mostly(t, name+" age", time.Second, rapid.SampledFrom([]time.Duration{0, 59 * time.Second, time.Minute, time.Minute + 1, time.Hour, -time.Hour})),
		Since:     ago(time.Hour).Draw(t, name+" since"),
	}
}

func drawForeseen(t *rapid.T, name string) foreseen {
	return foreseen{
		There:   mostly(t, name+" there", true, rapid.Bool()),
		Refused: mostly(t, name+" refused", false, rapid.Bool()),
		Already: mostly(t, name+" already", false, rapid.Bool()),
		Age:     mostly(t, name+" age", time.Second, rapid.SampledFrom([]time.Duration{0, 14 * time.Second, 15 * time.Second, time.Minute, time.Hour, -time.Hour})),
	}
}

func drawOdd(t *rapid.T) odd {
	times := func(n int, limit time.Duration) []time.Duration {
		return mostly(t, "times", nil, rapid.SliceOfN(ago(limit), 0, n))
	}
	rare := func(name string) bool { return mostly(t, name, false, rapid.Bool()) }
	o := odd{
		Kill: rare("kill"), KillFile: rare("kill file"),
		Pause:     mostly(t, "pause", "", rapid.SampledFrom([]string{"all", "policy/failover", "policy/other", "owner/backend", "target/" + string(target)})),
		PauseLeft: rapid.SampledFrom([]time.Duration{-time.Minute, 0, 1, time.Hour}).Draw(t, "pause left"),
		Now:       mostly(t, "now", 0, ago(4*time.Hour)),
		Own:       drawSampled(t, "own", signalbox.Breached), A: drawSampled(t, "a", signalbox.Clear), B: drawSampled(t, "b", signalbox.Clear),
		Well: mostly(t, "well", time.Hour, ago(48*time.Hour)), Activated: !rare("not activated"),
		Holder: rare("holder"), Stopped: rare("stopped"), Ineffective: rapid.IntRange(0, 2).Draw(t, "ineffective"),
		TargetActed: times(3, 48*time.Hour), All: times(11, 2*time.Hour), Mine: times(3, 48*time.Hour),
		Forecast: drawForeseen(t, "forecast"), Back: drawForeseen(t, "back"),
		Planned: rapid.Bool().Draw(t, "planned"), Next: rapid.IntRange(0, 3).Draw(t, "next"),
		Paged: rapid.Bool().Draw(t, "paged"), Gave: rare("gave"), Cleared: rare("cleared"), Word: rare("word"), Suppressed: rare("suppressed"),
		Taken:     mostly(t, "taken", "", rapid.SampledFrom([]string{"all", "policy/failover", "policy/other", "owner/backend", "incident/" + string(incident), "target/" + string(target)})),
		TakenLeft: rapid.SampledFrom([]time.Duration{-time.Minute, 0, 1, time.Hour}).Draw(t, "taken left"), Hand: rare("hand"),
	}
	o.Acts = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) done {
		return done{
			Stage: rapid.SampledFrom([]signalbox.Stage{
				signalbox.Done, signalbox.Done, signalbox.Done, signalbox.Done, signalbox.Broken, signalbox.Claimed, signalbox.Doubt,
			}).Draw(t, "stage"),
			Outcome: rapid.SampledFrom([]signalbox.Outcome{"", signalbox.Recovered, signalbox.NotRecovered, signalbox.Unverified}).Draw(t, "outcome"),
			Page:    mostly(t, "page", false, rapid.Bool()), Undoes: mostly(t, "undoes", false, rapid.Bool()), Thrown: rapid.Bool().Draw(t, "thrown"),
			Ago: ago(2*time.Hour).Draw(t, "ended"), Mode: rapid.SampledFrom([]signalbox.UndoMode{"", signalbox.UndoAuto, signalbox.UndoAuto, signalbox.UndoAsk, signalbox.UndoNever}).Draw(t, "mode"),
		}
	}), 0, 2).Draw(t, "acts")
	return o
}

var oddFreeze = Freeze{Name: "sale", From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour)}

// oddHandbook has a policy in auto, and the same in shadow.
func oddHandbook(t testing.TB, autonomy Autonomy) *Handbook {
	p := failover()
	p.Runbook = []signalbox.Step{throwTo("b"), pageStep("backend"), throwTo("b")}
	p.Autonomy = autonomy
	watching := p.clone()
	watching.Name, watching.Autonomy = "watching", Shadow
	c := configOf(p, watching)
	c.Freeze = []Freeze{oddFreeze}
	h, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (s sampled) put(b *box, detector, subject string) {
	if !s.There {
		return
	}
	r := signalbox.Reading{
		Detector: detector, Series: subject, Subject: subject, Condition: s.Condition, Value: 2, HasValue: true, Unit: signalbox.Seconds,
		Labels: map[string]string{"env": "prod"}, SampleAt: b.w.Now.Add(-s.Age), At: b.w.Now, Since: b.w.Now.Add(-s.Since),
	}
	b.w.Facts.Put(&r)
}

func (f foreseen) put(b *box, s signalbox.Step, position string) {
	if !f.There {
		return
	}
	fc := b.foresee(s, position)
	fc.At, fc.Already = b.w.Now.Add(-f.Age), f.Already
	if f.Refused {
		fc.Refused = "another's hand"
	}
}

func (o odd) build(h *Handbook) *World {
	w := &World{State: signalbox.NewState(), Facts: signalbox.NewFacts(), Now: noon.Add(o.Now)}
	b := &box{h: h, w: w}
	o.Own.put(b, "lag", "db/eu")
	o.A.put(b, "replica-lag", "replica/a")
	o.B.put(b, "replica-lag", "replica/b")
	o.Forecast.put(b, throwTo("b"), "a")
	o.Back.put(b, throwTo("a"), "b")
	if r := w.Facts.Reading("lag", "db/eu", ""); r != nil && o.Suppressed {
		r.Suppressed = "silence"
	}
	o.buildState(b)
	inc := &signalbox.Incident{ID: incident, Owner: "backend", WellAt: w.Now.Add(-o.Well), Next: o.Next}
	inc.Reading = signalbox.Reading{Detector: "lag", Series: "db/eu", Subject: "db/eu", Condition: signalbox.Breached}
	if o.Cleared {
		inc.Reading.Condition, inc.ClearAt = signalbox.Clear, w.Now.Add(-o.Own.Since)
	}
	if o.Paged {
		inc.Page = "page"
	}
	if o.Gave {
		inc.GaveUp = "why"
	}
	if o.Planned || len(o.Acts) > 0 {
		inc.Plan, _ = h.rules["failover"].plan(nil)
	}
	w.State.Incidents[incident] = inc
	for i, a := range o.Acts {
		o.buildAction(b, inc, i, a)
	}
	return w
}

func (o odd) buildState(b *box) {
	w := b.w
	if o.Kill {
		w.State.Controls.Killed = &signalbox.Control{Kind: signalbox.Kill}
	}
	if o.KillFile {
		w.Facts.KillFile = "there"
	}
	if o.Pause != "" {
		w.State.Controls.Pauses = []signalbox.Control{{Scope: o.Pause, Until: w.Now.Add(o.PauseLeft)}}
	}
	if o.Taken != "" {
		w.State.Controls.Taken = []signalbox.Control{{Kind: signalbox.Take, Scope: o.Taken, Until: w.Now.Add(o.TakenLeft)}}
	}
	if o.Word {
		w.State.Controls.Words = []signalbox.Control{{Kind: signalbox.TakeBack, Scope: "incident/" + string(incident)}}
	}
	if o.Activated {
		for _, name := range b.h.Policies() {
			w.State.Policies[name] = &signalbox.PolicyState{Name: name, Hash: b.h.PolicyHash(name), ActivatedAt: noon.Add(-20 * time.Hour)}
		}
	}
	back := func(agos []time.Duration) (times []time.Time) {
		for _, d := range agos {
			times = append(times, w.Now.Add(-d))
		}
		slices.SortFunc(times, time.Time.Compare)
		return times
	}
	s := &signalbox.TargetState{Target: target, Ineffective: o.Ineffective, Acted: back(o.TargetActed)}
	if o.Holder {
		s.Holder = "other"
	}
	if o.Stopped {
		s.StoppedAt = noon
	}
	if o.Hand {
		s.Hand = &signalbox.Hand{At: noon, Found: "elsewhere"}
	}
	w.State.Targets[target] = s
	w.State.Budgets["all"] = &signalbox.Spend{Times: back(o.All)}
	w.State.Budgets["policy/failover"] = &signalbox.Spend{Times: back(o.Mine)}
}

func (o odd) buildAction(b *box, inc *signalbox.Incident, i int, a done) {
	back := throwTo("a")
	act := &signalbox.Action{
		ID: signalbox.ActionID(fmt.Sprint("act-", i)), Incident: incident, Policy: "failover", Step: throwTo("b"), Stage: a.Stage, Outcome: a.Outcome,
		Forecast: signalbox.Forecast{Targets: []signalbox.Target{target}, Position: "a", Undo: &back},
		EndedAt:  b.w.Now.Add(-a.Ago),
	}
	act.Step.Undo, act.VerifyBy = a.Mode, act.EndedAt.Add(5*time.Minute)
	if a.Page {
		act.Step = pageStep("backend")
	}
	if a.Undoes && i > 0 {
		act.Undoes = inc.Actions[i-1]
	}
	if a.Thrown {
		b.w.State.Targets[target].Thrown = act.ID
	}
	b.w.State.Actions[act.ID] = act
	inc.Actions = append(inc.Actions, act.ID)
}

// forbidden says, by rules of its own, why no switch may be thrown in a world;
// empty: it may.
func (o odd) forbidden() (why string) {
	over := func(agos []time.Duration, n int, per time.Duration) bool {
		used := 0
		for _, d := range agos {
			if d < per {
				used++
			}
		}
		return used >= n
	}
	fresh := func(s sampled) bool { return s.There && s.Age <= time.Minute && s.Age >= 0 }
	switch {
	case o.forbiddenBack() != "":
		return o.forbiddenBack()
	case o.frozen():
		return "frozen"
	case !fresh(o.Own) || o.Own.Condition != signalbox.Breached || o.Suppressed:
		return "own series"
	case !fresh(o.B) || o.B.Condition != signalbox.Clear:
		return "destination"
	case over(o.All, 10, time.Hour) || over(o.Mine, 3, 24*time.Hour) || over(o.TargetActed, 3, 24*time.Hour):
		return "budget"
	case over(o.TargetActed, 1, 15*time.Minute):
		return "cooldown"
	case o.Stopped || o.Ineffective >= 2:
		return "stopped"
	case !o.Activated || o.Now-o.Well < -20*time.Hour:
		return "onset"
	case !o.Forecast.There || o.Forecast.Refused || o.Forecast.Already || o.Forecast.Age >= defaultForecastAge || o.Forecast.Age < -defaultForecastAge:
		return "forecast"
	case o.Cleared || o.Gave:
		return "over"
	}
	return ""
}

func (o odd) frozen() bool { return o.Now >= time.Hour && o.Now < 2*time.Hour }

// forbiddenBack is what forbids to take back too.
func (o odd) forbiddenBack() string {
	paused := o.Pause != "" && o.Pause != "policy/other" && o.PauseLeft > 0
	inFlight := slices.ContainsFunc(o.Acts, func(a done) bool { return a.Stage == signalbox.Claimed || a.Stage == signalbox.Doubt })
	switch {
	case o.Kill || o.KillFile:
		return "killed"
	case paused:
		return "paused"
	case o.Taken != "" && o.Taken != "policy/other" && o.TakenLeft > 0:
		return "taken"
	case o.Hand:
		return "hand"
	case o.Holder || inFlight:
		return "held"
	}
	return ""
}

func TestPropertyNothingForbiddenIsDone(t *testing.T) {
	auto, shadow := oddHandbook(t, Auto), oddHandbook(t, Shadow)
	acted, undone := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		o := drawOdd(t)
		d := auto.Decide(o.build(auto), []signalbox.IncidentID{incident})[0]
		switch {
		case len(o.Acts) == 0 && !o.Planned && o.forbidden() == "" && d.Verdict != signalbox.Act:
			t.Fatalf("does not act, though nothing forbids it\n%s", tell(d))
		case d.Verdict == signalbox.Act && !isPage(d.Step):
			acted++
			if why := o.forbidden(); why != "" {
				t.Fatalf("acts, though forbidden: %s\n%s", why, tell(d))
			}
		case d.Verdict == signalbox.Undo:
			undone++
			if why := o.forbiddenBack(); why != "" {
				t.Fatalf("takes back, though forbidden: %s\n%s", why, tell(d))
			}
			if !o.Back.There || o.Back.Refused || o.Back.Already {
				t.Fatalf("takes back against its forecast\n%s", tell(d))
			}
		}
		o.Planned, o.Acts = false, nil
		if d := shadow.Decide(o.build(shadow), []signalbox.IncidentID{incident})[0]; d.Verdict == signalbox.Act || d.Verdict == signalbox.Undo {
			t.Fatalf("a policy in shadow acts\n%s", tell(d))
		}
	})
	t.Logf("acted in %d worlds, took back in %d", acted, undone)
}

func TestPropertyDecisionsArePureAndWhole(t *testing.T) {
	h := oddHandbook(t, Auto)
	due := []signalbox.IncidentID{incident, incident, "0000000000000001"}
	rapid.Check(t, func(t *rapid.T) {
		o := drawOdd(t)
		w, same := o.build(h), o.build(h)
		got, again := h.Decide(w, due), h.Decide(same, []signalbox.IncidentID{"0000000000000001", incident})
		if !reflect.DeepEqual(got, again) {
			t.Fatalf("equal worlds, other decisions:\n%s\n%s", tell(got[0]), tell(again[0]))
		}
		if untouched := o.build(h); !reflect.DeepEqual(w, untouched) {
			t.Fatalf("the world was changed by\n%s", tell(got[0]))
		}
		for _, d := range got {
			whole(t, w, d)
		}
	})
}
