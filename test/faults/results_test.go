package faults

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

// Parts of two machines add up, each once, in whatever order they are merged,
// and survive the file.
func TestResultsAddUp(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	random := rowOf(t, "random").name
	one := Part{Row: random, Seed: 1, Commit: "aaa", Date: at, Faults: 40, verdict: verdict{Alerts: 100, Effects: 150, InDoubt: 30, Gaps: []int64{2000, 9000}}}
	two := Part{Row: random, Seed: 2, Commit: "bbb", Date: at.Add(time.Hour), Faults: 40, verdict: verdict{Alerts: 50, Effects: 70, InDoubt: 10, Twice: 1, Gaps: []int64{1000}, Wrong: []string{"action x had 2 effects"}}}
	a, b := Results{V: 1, Parts: []Part{one}}, Results{V: 1, Parts: []Part{two, one}}
	a.Merge(b)
	a.Merge(b)
	path := filepath.Join(t.TempDir(), "results.json")
	if err := a.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !reflect.DeepEqual(got, a) || len(got.Parts) != 2 {
		t.Fatalf("got %+v %v, want %+v", got, err, a)
	}
	table := Render(got)
	for _, want := range []string{"| 80 | 150 | 220 | 40 | 0 | 0 | 1 | 0 | 2.0 s / 9.0 s / 9.0 s of 3 | aaa…bbb |", "seed 2, commit bbb: action x had 2 effects"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table must hold %q:\n%s", want, table)
		}
	}
	if strings.Contains(table, "rule of three") {
		t.Error("a rate is told although one was twice")
	}
}

// What was caught is kept by the file and by a merge, each once, and told in the
// table; a file of before there was any loads.
func TestMutantsCaughtAreOnRecord(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	caught := func(mutant string, after time.Duration, faults int) Caught {
		return Caught{Mutant: mutant, Row: "random", Of: "a", Seed: 6, Commit: "aaa", Date: at.Add(after), Faults: faults, Finding: "seen"}
	}
	path := filepath.Join(t.TempDir(), "results.json")
	old := Results{V: 1, Parts: []Part{{Row: "x", Date: at}}}
	if err := old.Save(path); err != nil {
		t.Fatal(err)
	}
	a, err := Load(path)
	if err != nil || len(a.Caught) != 0 || !strings.Contains(Render(a), "Not run at a recorded commit yet") {
		t.Fatalf("got %+v %v", a, err)
	}
	a.Caught = []Caught{caught("no fence", time.Hour, 5)}
	b := Results{V: 1, Caught: []Caught{caught("no fence", 0, 4), caught("no seal", 0, 3)}}
	a.Merge(b)
	a.Merge(b)
	if err := a.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !reflect.DeepEqual(got, a) || len(got.Caught) != 3 {
		t.Fatalf("got %+v %v, want %+v", got, err, a)
	}
	for _, want := range []string{
		"| no fence | random (a) | 5 | 6 | aaa | 2026-11-26 | seen |", "| no seal | random (a) | 3 |", "| cooldown in memory | random (k, latency ×0) | not run at a recorded commit yet |",
	} {
		if !strings.Contains(Render(got), want) {
			t.Errorf("the table must hold %q:\n%s", want, Render(got))
		}
	}
}

// Parts keep counting for a row that got another name, and the gap of embedded
// members is told apart from that of one external etcd.
func TestResultsOfRenamedRowsAndOfStores(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	part := func(store string, gap int64) Part {
		return Part{Row: rowOf(t, "replicas").name, Commit: "aaa", Date: at, Faults: 1, Lease: "3s", Store: store, verdict: verdict{Gaps: []int64{gap}}}
	}
	r := Results{V: 1, Parts: []Part{part("", 3000), part(embedded, 5000)}}
	for _, row := range rows {
		if row.was != "" {
			r.Add(Part{Row: row.was, Commit: "bbb", Date: at, Faults: 7})
		}
	}
	table := Render(r)
	for _, want := range []string{
		"| one external etcd | 3s | 1 | 3.0 s / 3.0 s / 3.0 s | 0 |", "| embedded members | 3s | 1 | 5.0 s / 5.0 s / 5.0 s | 0 |", rowOf(t, "storm").name + " | 20 | 7 |", rowOf(t, "clock").name + " | 500 | 7 |",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the table must hold %q:\n%s", want, table)
		}
	}
}

// A page about the store is none about what is ill.
func TestOracleTellsPagesOfWhatIsIll(t *testing.T) {
	t.Parallel()
	page := func(action, summary string) pagerduty.Incident {
		return pagerduty.Incident{Events: []pagerduty.Event{{Action: action, Payload: pagerduty.Payload{Summary: summary}}}}
	}
	pages := []pagerduty.Incident{
		page("trigger", "signalbox on replica-0 has no store: nothing is remediated, what is ill is paged straight"),
		page("trigger", "page-1: fires (signalbox has no store: it does nothing but page)"), page("resolve", "page-2: over"),
	}
	pages[0].DedupKey = "signalbox-store-replica-0"
	if n := ofWhatIsIll(pages); n != 2 {
		t.Errorf("%d pages are about what is ill, want 2", n)
	}
	if !paged(pages, "page-1") || paged(pages, "page-2") || paged(pages, "page-") || paged(pages[:1], "page-1") {
		t.Error("a page of another kind counts, or that of what is ill does not")
	}
}

// What the oracle is for: each kind of lie and each effect too many is found.
func TestOracleFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	in := func(target, action string, after time.Duration, token int64) arrival {
		return arrival{Target: target, Action: action, At: at.Add(after), Done: at.Add(after), Token: token, Effect: true, Applied: true}
	}
	b := booksOf(at, "i-1 done a0", "i-2 failed a0", "k-1 done k0", "k-2 done k0", "c-1 failed c0", "c-2 done c0", "d-1 done d0")
	for name, c := range map[string]struct {
		log  []arrival
		want string
	}{
		"no intent":              {[]arrival{in("a0", "x-9", time.Second, 1)}, "has no intent before it"},
		"before its intent":      {[]arrival{in("a0", "i-1", -time.Second, 1)}, "has no intent before it"},
		"an effect twice":        {[]arrival{in("a0", "i-1", time.Second, 1), in("a0", "i-1", 2*time.Second, 1)}, "had 2 effects"},
		"a throw twice":          {[]arrival{in("a0", "i-1", time.Second, 1), in("a0", "i-2", 2*time.Second, 2)}, "had 2 throws"},
		"on record as without":   {[]arrival{in("a0", "i-2", time.Second, 1)}, "is on record as one without"},
		"on record as done":      {nil, "is on record as done, and had no effect"},
		"a late write of C":      {[]arrival{in("c0", "", 500*time.Millisecond, 0)}, "c-1 had an effect"},
		"a token that goes back": {[]arrival{in("a0", "i-1", time.Second, 2), in("a0", "i-1", 2*time.Second, 1)}, "went back from 2 to 1"},
		"a cooldown":             {[]arrival{in("k0", "k-1", time.Second, 0), in("k0", "k-2", 6*time.Second, 0)}, "within its cooldown"},
	} {
		t.Run(name, func(t *testing.T) {
			v := &verdict{}
			v.effects(c.log, b)
			v.targets(c.log)
			if !strings.Contains(strings.Join(v.Wrong, "\n"), c.want) {
				t.Errorf("got %q, want %q", v.Wrong, c.want)
			}
		})
	}
}

// What a cluster did after its journal was asked for is not held against what was
// on record then; what was under way, or came before that, is.
func TestOracleHoldsNothingAgainstOlderBooks(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	asked := at.Add(10 * time.Second)
	in := func(target, action string, after time.Duration) arrival {
		return arrival{Target: target, Action: action, At: at.Add(after), Effect: true}
	}
	b := booksOf(at, "i-1 done a0", "c-1 done c0", "d-1 claimed d0")
	var left []string
	for _, a := range b.onRecord([]arrival{
		in("a0", "i-1", time.Second), in("c0", "", 2*time.Second), in("c0", "", 9*time.Second), in("c0", "", 11*time.Second),
		in("a0", "x-9", 9*time.Second), in("a0", "x-9", 11*time.Second), in("d0", "d-1", 12*time.Second),
	}, asked) {
		left = append(left, a.Target+a.Action+a.At.Sub(at).String())
	}
	if want := []string{"a0i-11s", "c02s", "c09s", "a0x-99s", "d0d-112s"}; !slices.Equal(left, want) {
		t.Errorf("got %v, want %v", left, want)
	}
}

// booksOf is a journal with actions ("ID STAGE TARGET"), all claimed at once but
// c-2, which is claimed later; the first letter names the incident.
func booksOf(at time.Time, actions ...string) *books {
	b := &books{actions: map[signalbox.ActionID]*signalbox.Action{}}
	for i, text := range actions {
		f := strings.Fields(text)
		a := &signalbox.Action{
			ID: signalbox.ActionID(f[0]), Incident: signalbox.IncidentID(f[0][:1]), Stage: signalbox.Stage(f[1]),
			Step: signalbox.Step{Name: f[2]}, ClaimedAt: at,
		}
		if f[0] == "c-2" {
			a.ClaimedAt = at.Add(time.Duration(i) * time.Second)
		}
		b.actions[a.ID] = a
		b.order = append(b.order, a)
	}
	return b
}

// A doubt that nobody settles and nobody is told of is found.
func TestOracleFindsADoubtThatIsNotTold(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		ended, paged, last time.Duration // after the claim; 0: never
		wrong              bool
	}{
		"settled in time":            {ended: 2 * time.Minute, last: time.Hour},
		"settled late":               {ended: 4 * time.Minute, last: time.Hour, wrong: true},
		"settled late, after a page": {ended: 9 * time.Minute, paged: 2 * time.Minute, last: time.Hour},
		"paged late":                 {paged: 4 * time.Minute, last: time.Hour, wrong: true},
		"left to a person":           {paged: 2 * time.Minute, last: time.Hour},
		"left to nobody":             {last: time.Hour, wrong: true},
		"young at the cell's end":    {last: time.Minute},
	} {
		b := booksOf(at, "d-1 doubt d0")
		b.doubts, b.paged, b.last = map[signalbox.ActionID]bool{"d-1": true}, map[signalbox.IncidentID]time.Time{}, at.Add(c.last)
		if c.ended > 0 {
			b.order[0].Stage, b.order[0].EndedAt = signalbox.Done, at.Add(c.ended)
		}
		if c.paged > 0 {
			b.paged["d"] = at.Add(c.paged)
		}
		v := &verdict{}
		v.doubts(b, doubtBound)
		if got := len(v.Wrong) > 0; got != c.wrong {
			t.Errorf("%s: found %q", name, v.Wrong)
		}
	}
}

// What is left in flight is a person's at a blind target alone, and, once the
// store went back in time, at one of class A or C what was claimed before that.
func TestOracleLeavesOnlyWhatItMayInDoubt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		target string
		back   time.Duration // of the store, after the claim; 0: it did not go back
		left   bool
	}{
		{"d0", 0, true},
		{"d0", time.Second, true},
		{"a0", 0, false},
		{"b0", 0, false},
		{"c0", 0, false},
		{"k0", 0, false},
		{"a0", time.Second, true},
		{"c0", time.Second, true},
		{"b0", time.Second, false},
		{"k0", time.Second, false},
		{"a0", -time.Second, false},
		{"c0", -time.Second, false},
	} {
		b := booksOf(at, "i-1 doubt "+c.target)
		b.incidents = map[string]*signalbox.Incident{"x": {Actions: []signalbox.ActionID{"i-1"}}}
		s := &sender{alerts: []*alert{{Name: "x", Target: c.target, Taken: at}}}
		if c.back != 0 {
			s.back = at.Add(c.back)
		}
		v := &verdict{}
		v.left(b, s.back)
		v.alerts(s, b)
		if got := v.LeftDoubt == 1 && v.Lost == 0 && len(v.Wrong) == 0; got != c.left {
			t.Errorf("%s, the store back after %v: got %+v", c.target, c.back, v)
		}
	}
}

// What stays thrown since each attempt to take it back failed is left to a person
// who was paged, and is lost without the page or with an attempt left.
func TestOracleLeavesWhatStaysThrownToAPerson(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	taken := &alert{Name: "a0-0", Target: "a0", Taken: at}
	for _, c := range []struct {
		failed int
		page   string
		lost   int
	}{{attempts, "page-1", 0}, {attempts, "", 1}, {attempts - 1, "page-1", 1}} {
		b := booksOf(at, append([]string{"i-0 done a0"}, slices.Repeat([]string{"i-u failed a0"}, c.failed)...)...)
		inc := &signalbox.Incident{Page: c.page, Actions: []signalbox.ActionID{"i-0"}}
		for i, a := range b.order[1:] {
			a.ID, a.Undoes = signalbox.ActionID(fmt.Sprint("i-", i+1)), "i-0"
			b.actions[a.ID] = a
			inc.Actions = append(inc.Actions, a.ID)
		}
		b.incidents = map[string]*signalbox.Incident{"a0-0": inc}
		v := &verdict{}
		v.alerts(&sender{alerts: []*alert{taken}}, b)
		if v.Lost != c.lost || v.LeftDoubt != 1-c.lost {
			t.Errorf("%d failed attempts, page %q: lost %d, left %d", c.failed, c.page, v.Lost, v.LeftDoubt)
		}
	}
}

// A daemon that lives and never takes an alert again is found, by the judge and
// by who waits for its store.
func TestOracleFindsADaemonThatNeverRecovers(t *testing.T) {
	t.Parallel()
	s := &sender{alerts: []*alert{{Name: "p-0", Target: "page"}, {Name: "p-1", Target: "page"}}}
	v := &verdict{}
	v.alerts(s, &books{})
	if v.Alerts != 0 || v.Lost != 0 || len(v.Wrong) != 1 || !strings.Contains(v.Wrong[0], "2 alerts were never answered 2xx") {
		t.Errorf("got %+v", v)
	}
	if err := s.awaitTaken(time.Millisecond); err == nil || !strings.Contains(err.Error(), "2 alerts") {
		t.Errorf("waited for a 2xx, got %v", err)
	}
	for _, a := range s.alerts {
		a.Taken = time.Now()
	}
	if err := s.awaitTaken(time.Millisecond); err != nil {
		t.Errorf("all have their 2xx, got %v", err)
	}
}

// An alert that was acknowledged and lost, and of which the end came later, is
// lost.
func TestOracleFindsWhatIsLost(t *testing.T) {
	t.Parallel()
	taken := &alert{Name: "p-0", Target: "page", Taken: time.Now()}
	for name, inc := range map[string]*signalbox.Incident{
		"not in the journal":     nil,
		"only its end":           {End: signalbox.Suppressed, EndReason: overUnseen},
		"has not come to an end": {},
	} {
		v, b := &verdict{}, &books{incidents: map[string]*signalbox.Incident{"p-0": inc}}
		v.alerts(&sender{alerts: []*alert{taken}}, b)
		if v.Lost != 1 || !strings.Contains(strings.Join(v.Wrong, ""), name) {
			t.Errorf("%s: lost %d, found %q", name, v.Lost, v.Wrong)
		}
	}
}
