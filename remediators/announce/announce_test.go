package announce

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/standin/slack"
)

// One thread an incident: the first message, a reply of a later step, and at
// the end the first message in place and a reply. Each action is said once,
// however often it is started.
func TestOneThreadAnIncident(t *testing.T) {
	r := newRig(t, 1)
	r.Say(channel, "hello")
	step := r.step(func(s *Slack) {
		s.Links = []Link{{"new ticket", "https://jira.example/create?summary={{subject}}&in={{labels.cluster}}"}}
	})
	first := r.action(step, "")
	r.do(first)
	r.do(first)
	r.Say(channel, "what is it?")
	second := r.action(step, "")
	if second.Forecast.Undo != nil {
		t.Error("a reply has nothing of its own to bring to an end")
	}
	r.do(second)
	r.do(second)
	r.clock = r.clock.Add(time.Hour)
	end := r.action(undo(t, first), first.ID)
	r.do(end)
	r.do(end)
	all := slices.DeleteFunc(r.Messages(), func(m slack.Message) bool { return m.Foreign })
	if len(all) != 3 || all[1].Thread != all[0].TS || all[2].Thread != all[0].TS || all[0].Edits != 1 {
		t.Fatalf("got %+v", all)
	}
	const link = "\n<https://jira.example/create?summary=db%2Feu&amp;in=eu|new ticket>"
	if want := "Over: *db/eu*, lag. Incident 00aa11bb22cc33dd." + link; all[0].Text != want || all[2].Text != want {
		t.Errorf("got %q and %q, want %q", all[0].Text, all[2].Text, want)
	}
	if want := "*db/eu*: lag since 2026-03-01T10:00:00Z. Incident 00aa11bb22cc33dd, of backend." + link; all[1].Text != want || all[1].Blocks[0] != want {
		t.Errorf("got %q", all[1].Text)
	}
	if f, err := r.Preview(t.Context(), undo(t, first)); err != nil || !f.Already {
		t.Errorf("what is at its end: got %+v, %v", f, err)
	}
	again := end
	again.ID, again.ClaimedAt = "00aa11bb22cc33dd-9", r.clock
	if _, err := r.Start(t.Context(), again); sortOf(err) != "failure" || !strings.Contains(err.Error(), string(end.ID)) {
		t.Errorf("an end after the end: got %v", err)
	}
	// Another incident has a thread of its own, and holds nobody up.
	other := r.step(nil)
	other.About.Incident, other.About.OpenedAt = "ffffffffffffffff", first.ClaimedAt
	if a := r.action(other, ""); a.Forecast.Targets[0] == first.Forecast.Targets[0] || a.Forecast.Found != noThread {
		t.Errorf("got %+v", a.Forecast)
	}
}

// What can't be told is refused before anything is done, with what to change.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(r *rig, s *signalbox.Step)
		want   string
	}{
		"a label that is missing": {func(_ *rig, s *signalbox.Step) { s.About.Labels = nil }, "text can't be filled in: the incident has no label cluster"},
		"no incident":             {func(_ *rig, s *signalbox.Step) { s.About = nil }, "which incident it is about"},
		"another version":         {func(_ *rig, s *signalbox.Step) { s.Spec = []byte(`{"slack":{},"more":1}`) }, "not what this version writes"},
		"bad settings":            {func(_ *rig, s *signalbox.Step) { s.Spec = []byte(`{"slack":{}}`) }, "channel must be"},
		"no token":                {func(r *rig, _ *signalbox.Step) { r.token("") }, "must hold one line"},
		"a wrong token":           {func(r *rig, _ *signalbox.Step) { r.token("xoxb-wrong") }, "refused (invalid_auth): write a good one"},
		"not a member":            {func(r *rig, _ *signalbox.Step) { r.SetRoom(slack.Room{ID: channel, Name: "incidents"}) }, "invite it"},
		"archived": {func(r *rig, _ *signalbox.Step) {
			r.SetRoom(slack.Room{ID: channel, Name: "incidents", Member: true, Archived: true})
		}, "is archived"},
		"no such channel": {func(r *rig, s *signalbox.Step) {
			s.Spec = []byte(strings.ReplaceAll(string(s.Spec), channel, "C0NOTTHERE"))
		}, "is not there, or is private"},
		"a scope": {func(r *rig, _ *signalbox.Step) {
			r.Fail(slack.Fault{Status: 200, Body: `{"ok":false,"error":"missing_scope"}`})
		}, "lacks a scope"},
	} {
		r := newRig(t, 0)
		s := r.step(func(s *Slack) { s.Text = "{{labels.cluster}}" })
		c.change(r, &s)
		f, err := r.Preview(t.Context(), s)
		if err != nil || !strings.Contains(f.Refused, c.want) || f.Undo != nil || strings.Contains(jsonOf(t, f), "xoxb") {
			t.Errorf("%s: got %+v, %v", name, f, err)
		}
		if w := r.writes(); len(w) != 0 {
			t.Errorf("%s: it wrote %q", name, w)
		}
	}
}

// The table of what may be answered to a message: a failure where surely
// nothing was said, else a doubt, which Probe settles.
func TestAnswers(t *testing.T) {
	word := func(why string) slack.Fault {
		return slack.Fault{Status: 200, Body: `{"ok":false,"error":"` + why + `"}`}
	}
	for name, c := range map[string]struct {
		fault slack.Fault
		want  string
	}{
		"taken, and the answer lost": {slack.Fault{Reset: true, AfterEffect: true}, "doubt"},
		"not taken, and lost":        {slack.Fault{Reset: true}, "doubt"},
		"taken, and 500":             {slack.Fault{Status: 500, AfterEffect: true}, "doubt"},
		"500":                        {slack.Fault{Status: 500}, "doubt"},
		"502 of a proxy":             {slack.Fault{Status: 502, Body: "<html>"}, "doubt"},
		"503":                        {slack.Fault{Status: 503, Header: map[string]string{"Retry-After": "7"}}, "doubt"},
		"garbage":                    {slack.Fault{Status: 200, Body: "<html>" + token, AfterEffect: true}, "doubt"},
		"cut off":                    {slack.Fault{Status: 200, Body: `{"ok":tr`, AfterEffect: true}, "doubt"},
		"endless":                    {slack.Fault{Status: 200, Body: `{"ok":true,"x":"` + strings.Repeat("x", 5<<20), AfterEffect: true}, "doubt"},
		"fatal_error":                {word("fatal_error"), "doubt"},
		"redirect":                   {slack.Fault{Status: 302, Header: map[string]string{"Location": "http://169.254.169.254/"}}, "doubt"},
		"429":                        {slack.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}}, "failure"},
		"ratelimited":                {word("ratelimited"), "failure"},
		"invalid_auth":               {word("invalid_auth " + token), "failure"},
		"is_archived":                {word("is_archived"), "failure"},
		"msg_too_long":               {word("msg_too_long"), "failure"},
		"400":                        {slack.Fault{Status: 400, Body: `{"ok":false,"error":"invalid_form_data"}`}, "failure"},
	} {
		r := newRig(t, 0)
		a := r.action(r.step(nil), "")
		c.fault.On = "chat.postMessage"
		r.Fail(c.fault)
		_, err := r.Start(t.Context(), a)
		if sortOf(err) != c.want || strings.Contains(fmt.Sprint(err), token) {
			t.Errorf("%s: got %s: %v", name, sortOf(err), err)
		}
		if c.fault.AfterEffect {
			r.probe(a, signalbox.Succeeded)
			r.do(a) // and is not said again
		} else {
			r.probe(a, signalbox.InDoubt)
			r.clock = r.clock.Add(sendBound + latency)
			r.probe(a, signalbox.NotStarted)
		}
		if want := map[bool]int{true: 1}[c.fault.AfterEffect]; len(r.Messages()) != want {
			t.Errorf("%s: said %d times, want %d", name, len(r.Messages()), want)
		}
	}
}

// Nothing is written past the last check, the end of the time, or the pace.
func TestHeldBack(t *testing.T) {
	for name, hold := range map[string]func(r *rig, a *signalbox.Action) context.Context{
		"gate": func(_ *rig, a *signalbox.Action) context.Context {
			a.Gate = func() error { return errors.New("killed") }
			return t.Context()
		},
		"pace": func(r *rig, a *signalbox.Action) context.Context {
			for r.slack.Told.Spend(channel+"\x00"+token, r.clock) == 0 {
			}
			return t.Context()
		},
	} {
		for _, room := range []*Room{nil, {Prefix: "inc"}} {
			r := newRig(t, 0)
			a := r.action(r.step(func(s *Slack) { s.IncidentChannel = room }), "")
			ctx := hold(r, &a)
			_, err := r.Start(ctx, a)
			wrote := slices.Contains(r.writes(), "conversations.create")
			if want := map[bool]string{false: "failure", true: "doubt"}[wrote]; sortOf(err) != want || len(r.Messages()) != 0 {
				t.Errorf("%s: got %v", name, err)
			}
			if name == "gate" && len(r.writes()) != 0 {
				t.Errorf("%s: it wrote %q", name, r.writes())
			}
		}
	}
	r := newRig(t, 0)
	a, calls := r.action(r.step(func(s *Slack) { s.IncidentChannel = &Room{Prefix: "inc", Invite: []string{"U1A"}} }), ""), 0
	a.Gate = func() error { calls++; return nil }
	r.do(a)
	if calls != len(r.writes()) || calls != 4 {
		t.Errorf("the last check was asked %d times for %q", calls, r.writes())
	}
}

// What a person did to the thread is left as it is.
func TestAnothersHand(t *testing.T) {
	r := newRig(t, 0)
	first := r.action(r.step(nil), "")
	changed := r.action(r.step(nil), "")
	root := r.do(first)
	if _, err := r.Start(t.Context(), changed); sortOf(err) != "failure" || !strings.Contains(err.Error(), "not as the preview found it") {
		t.Errorf("a thread since the preview: got %v", err)
	}
	end := r.action(undo(t, first), first.ID)
	r.Delete(root.Version)
	if f, err := r.Preview(t.Context(), undo(t, first)); err != nil || !f.Already {
		t.Errorf("deleted: got %+v, %v", f, err)
	}
	if _, err := r.Start(t.Context(), end); sortOf(err) != "failure" {
		t.Errorf("deleted since the preview: got %v", err)
	}
	if w := r.writes(); !slices.Equal(w, []string{"chat.postMessage"}) {
		t.Errorf("it wrote %q", w)
	}
}

// A reply that can't be posted at the end changes nothing of the end.
func TestEndWithoutItsReply(t *testing.T) {
	r := newRig(t, 0)
	first := r.action(r.step(nil), "")
	r.do(first)
	end := r.action(undo(t, first), first.ID)
	r.Fail(slack.Fault{On: "chat.postMessage", Status: 500})
	if got := r.do(end); !strings.Contains(got.Detail, "not in a reply") {
		t.Errorf("got %+v", got)
	}
}

// A channel that is too busy to be read back is said to be so.
func TestTooMuchWasSaid(t *testing.T) {
	r := newRig(t, 1)
	first := r.action(r.step(nil), "")
	r.do(first)
	for i := range mostPages {
		r.Say(channel, fmt.Sprint(i))
	}
	if _, err := r.Probe(t.Context(), first); !errors.Is(err, errTooMuch) {
		t.Errorf("got %v", err)
	}
	if _, err := r.Preview(t.Context(), first.Step); !errors.Is(err, errTooMuch) {
		t.Errorf("got %v", err)
	}
}
