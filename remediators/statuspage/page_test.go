package statuspage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/standin/statuspage"
)

// The public is told once at each move, and the incident is resolved in the
// end. Components that were better are set, and put back to what was found.
func TestFromInvestigatingToResolved(t *testing.T) {
	r := newRig(t)
	first := r.action(r.step(investigating, nil), "")
	if first.Forecast.NeedsApproval == "" || !strings.Contains(first.Forecast.Reach, "subscribers") {
		t.Errorf("the public is not asked for: %+v", first.Forecast)
	}
	r.do(first)
	r.do(first)
	got := r.Page().Incidents
	if len(got) != 1 || got[0].Status != "investigating" || got[0].Impact != "minor" || got[0].Name != "Payouts are delayed" || !got[0].Notified ||
		!slices.Equal(got[0].Bodies, []string{"We look into delays in EU ‹b›."}) || !slices.Equal(got[0].Components, []string{payouts, cards}) {
		t.Fatalf("got %+v", got)
	}
	if r.status(payouts) != "partial_outage" || r.status(cards) != "major_outage" {
		t.Errorf("got %q and %q: what is worse stays", r.status(payouts), r.status(cards))
	}
	if !strings.Contains(got[0].Metadata, `{"signalbox":{"incident":"00aa11bb22cc33dd","tool":"page","action":"00aa11bb22cc33dd-1"}}`) {
		t.Errorf("got %s", got[0].Metadata)
	}
	second := r.action(r.step(monitoring, nil), "")
	if second.Forecast.Undo != nil {
		t.Error("a later move has nothing of its own to take back")
	}
	r.set(payouts, "degraded_performance") // by a person: a move sets no components
	r.do(second)
	r.do(second)
	if r.status(payouts) != "degraded_performance" {
		t.Error("a move set a component")
	}
	r.set(payouts, "partial_outage")
	end := r.action(*first.Forecast.Undo, first.ID)
	if end.Forecast.NeedsApproval != "" {
		t.Error("what was approved is brought to its end without asking again")
	}
	r.do(end)
	r.do(end)
	got = r.Page().Incidents
	if len(got) != 1 || got[0].Status != "resolved" || !slices.Equal(got[0].Bodies[1:], []string{"It is better.", "Payouts are on time again."}) {
		t.Errorf("got %+v", got)
	}
	if r.status(payouts) != "operational" && r.status(payouts) != "" || r.status(cards) != "major_outage" {
		t.Errorf("got %q and %q", r.status(payouts), r.status(cards))
	}
	if w := r.writes(); len(w) != 3 {
		t.Errorf("it wrote %q", w)
	}
	r.step("investigating", nil)
	if f, err := r.Preview(t.Context(), *first.Forecast.Undo); err != nil || !f.Already {
		t.Errorf("what is resolved: got %+v, %v", f, err)
	}
}

// What a person did to the page since is left alone.
func TestAnothersHand(t *testing.T) {
	r := newRig(t)
	first := r.action(r.step(investigating, nil), "")
	r.do(first)
	r.set(payouts, "major_outage")
	r.do(r.action(*first.Forecast.Undo, first.ID))
	if r.status(payouts) != "major_outage" || r.Page().Incidents[0].Status != "resolved" {
		t.Errorf("got %q, %+v", r.status(payouts), r.Page().Incidents)
	}

	// Between the preview and the start.
	for name, act := range map[string]func(r *rig){
		"a component": func(r *rig) { r.set(payouts, "degraded_performance") },
		"another incident": func(r *rig) {
			p := r.Page()
			p.Incidents = []statuspage.Incident{{ID: "p", Name: "x", Status: "identified", Components: []string{cards}}}
			r.Set(p)
		},
	} {
		r := newRig(t)
		a := r.action(r.step(investigating, nil), "")
		act(r)
		if _, err := r.Start(t.Context(), a); sortOf(err) != "failure" || len(r.writes()) != 0 {
			t.Errorf("%s: got %v, %q", name, err, r.writes())
		}
	}

	// A person resolved it, or moved it on.
	r = newRig(t)
	first = r.action(r.step(identified, nil), "")
	r.do(first)
	end := r.action(*first.Forecast.Undo, first.ID)
	p := r.Page()
	p.Incidents[0].Status = "resolved"
	r.Set(p)
	if _, err := r.Start(t.Context(), end); sortOf(err) != "failure" || len(r.writes()) != 1 {
		t.Errorf("resolved by a person: got %v", err)
	}
	if f, err := r.Preview(t.Context(), r.step(monitoring, nil)); err != nil || !strings.Contains(f.Refused, "someone moved it on") {
		t.Errorf("got %+v, %v", f, err)
	}
}

// What can't be told is refused before anything is done, with what to change.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Page)
		act    func(r *rig, s *signalbox.Step)
		want   string
	}{
		"a label that is missing": {act: func(_ *rig, s *signalbox.Step) { s.About.Labels = nil }, want: "can't be filled in: the incident has no label region"},
		"no incident":             {act: func(_ *rig, s *signalbox.Step) { s.About = nil }, want: "which incident it is about"},
		"no such move":            {act: func(_ *rig, s *signalbox.Step) { s.To = "resolved" }, want: "no message for"},
		"a move without a text":   {change: func(p *Page) { p.Messages = Messages{} }, act: func(_ *rig, s *signalbox.Step) { s.To = monitoring }, want: "no message for"},
		"another version":         {act: func(_ *rig, s *signalbox.Step) { s.Spec = []byte(`{"page":{},"more":1}`) }, want: "not what this version writes"},
		"bad settings":            {act: func(_ *rig, s *signalbox.Step) { s.Spec = []byte(`{"page":{}}`) }, want: "page_id must be"},
		"no key":                  {act: func(r *rig, _ *signalbox.Step) { r.key("") }, want: "must hold one line"},
		"a wrong key":             {act: func(r *rig, _ *signalbox.Step) { r.key("wrong") }, want: "the API key is refused"},
		"another page":            {change: func(p *Page) { p.PageID = "aaaaaaaaaaaa" }, want: "is not there, or is not the key's"},
		"a component":             {change: func(p *Page) { p.Components["Gone"] = "aaaaaaaaaaaa" }, want: "component Gone (aaaaaaaaaaaa) is not on the page"},
		"a group":                 {change: func(p *Page) { p.Components["API"] = "7kbf7d35c072" }, want: "is a group: name its members"},
		"somebody else's": {act: func(r *rig, _ *signalbox.Step) {
			p := r.Page()
			p.Incidents = []statuspage.Incident{{ID: "p31zjtct2jer", Name: "Cards fail", Status: "identified", Components: []string{cards}}}
			r.Set(p)
		}, want: "tells of the same components already: incident p31zjtct2jer, Cards fail"},
	} {
		r := newRig(t)
		s := r.step(investigating, c.change)
		if c.act != nil {
			c.act(r, &s)
		}
		f, err := r.Preview(t.Context(), s)
		if err != nil || !strings.Contains(f.Refused, c.want) || f.Undo != nil || strings.Contains(jsonOf(t, f), token) {
			t.Errorf("%s: got %+v, %v", name, f, err)
		}
		if w := r.writes(); len(w) != 0 {
			t.Errorf("%s: it wrote %q", name, w)
		}
	}
}

// The table of what may be answered to a change: a failure where surely nothing
// was written, else a doubt, which Probe settles.
func TestAnswers(t *testing.T) {
	says := `{"message":"` + token + `"}`
	for name, c := range map[string]struct {
		fault statuspage.Fault
		want  string
	}{
		"made, and the answer lost": {statuspage.Fault{Reset: true, AfterEffect: true}, "doubt"},
		"not made, and lost":        {statuspage.Fault{Reset: true}, "doubt"},
		"made, and 502":             {statuspage.Fault{Status: 502, Body: "<html>", AfterEffect: true}, "doubt"},
		"500":                       {statuspage.Fault{Status: 500, Body: says}, "doubt"},
		"503":                       {statuspage.Fault{Status: 503, Header: map[string]string{"Retry-After": "7"}}, "doubt"},
		"408":                       {statuspage.Fault{Status: 408}, "doubt"},
		"redirect":                  {statuspage.Fault{Status: 302, Header: map[string]string{"Location": "http://169.254.169.254/"}}, "doubt"},
		"garbage":                   {statuspage.Fault{Status: 201, Body: "<html>" + token, AfterEffect: true}, "doubt"},
		"cut off":                   {statuspage.Fault{Status: 201, Body: `{"id":"p3`, AfterEffect: true}, "doubt"},
		"endless":                   {statuspage.Fault{Status: 201, Body: `{"id":"` + strings.Repeat("x", 5<<20), AfterEffect: true}, "doubt"},
		"400":                       {statuspage.Fault{Status: 400, Body: says}, "failure"},
		"401":                       {statuspage.Fault{Status: 401, Body: says}, "failure"},
		"403":                       {statuspage.Fault{Status: 403, Body: says}, "failure"},
		"404":                       {statuspage.Fault{Status: 404, Body: says}, "failure"},
		"409":                       {statuspage.Fault{Status: 409}, "failure"},
		"420":                       {statuspage.Fault{Status: 420, Header: map[string]string{"Retry-After": "7"}}, "failure"},
		"422":                       {statuspage.Fault{Status: 422, Body: says}, "failure"},
		"429":                       {statuspage.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}}, "failure"},
	} {
		r := newRig(t)
		a := r.action(r.step(investigating, nil), "")
		c.fault.On = "POST"
		r.Fail(c.fault)
		_, err := r.Start(t.Context(), a)
		if sortOf(err) != c.want || strings.Contains(fmt.Sprint(err), token) {
			t.Errorf("%s: got %s: %v", name, sortOf(err), err)
		}
		after, told := errors.AsType[*signalbox.RetryAfter](err)
		if c.fault.Header["Retry-After"] != "" && (!told || after.After.Seconds() != 7) {
			t.Errorf("%s: when to come back is lost: %v", name, err)
		}
		if c.fault.AfterEffect {
			r.probe(a, signalbox.Succeeded)
			r.do(a) // and is not told again
		} else {
			r.probe(a, signalbox.InDoubt)
			r.clock = r.clock.Add(sendBound + latency)
			r.probe(a, signalbox.NotStarted)
		}
		if want := map[bool]int{true: 1}[c.fault.AfterEffect]; len(r.Page().Incidents) != want {
			t.Errorf("%s: told %d times, want %d", name, len(r.Page().Incidents), want)
		}
	}
}

// Nothing is written past the last check or the pace; and a read that fails is
// no answer.
func TestHeldBack(t *testing.T) {
	r := newRig(t)
	a := r.action(r.step(investigating, nil), "")
	a.Gate = func() error { return errors.New("killed") }
	if _, err := r.Start(t.Context(), a); sortOf(err) != "failure" || !strings.Contains(err.Error(), "killed") {
		t.Errorf("gate: got %v", err)
	}
	for r.pace.Spend(token, r.clock) == 0 {
	}
	a.Gate = nil
	if _, err := r.Start(t.Context(), a); sortOf(err) != "failure" || !strings.Contains(err.Error(), "one request a second") {
		t.Errorf("pace: got %v", err)
	}
	if _, err := r.Preview(t.Context(), a.Step); err == nil {
		t.Error("a preview that is held back must be an error")
	}
	if len(r.writes()) != 0 {
		t.Errorf("it wrote %q", r.writes())
	}
	r.step(investigating, nil)
	for _, status := range []int{420, 429, 500} {
		r.Fail(statuspage.Fault{Status: status})
		if f, err := r.Preview(t.Context(), a.Step); err == nil {
			t.Errorf("%d: got %+v", status, f)
		}
	}
}

// A page that only your own people see is told without asking.
func TestApproval(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Page)
		asks   bool
	}{
		"by default":      {func(*Page) {}, true},
		"not public":      {func(p *Page) { p.Public = false }, false},
		"nobody is asked": {func(p *Page) { p.Approval = ApprovalNone }, false},
	} {
		r := newRig(t)
		if a := r.action(r.step(investigating, c.change), ""); (a.Forecast.NeedsApproval != "") != c.asks {
			t.Errorf("%s: got %q", name, a.Forecast.NeedsApproval)
		}
	}
}
