package ctl

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/internal/journal"
)

// evil is text from outside that would write to a terminal: it clears the
// screen, sets the title, turns the direction, and moves by C1 codes.
const evil = "x\x1b[2Jy\x1b]0;owned\x07z\u202e\u009b31m\nnext\r\x7f"

func someStatus() engine.Status {
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	inc := signalbox.Incident{ID: "0123456789abcdef", Owner: evil, OnsetAt: at}
	inc.Reading = signalbox.Reading{Detector: "reads-lag", Subject: "db/" + evil, Condition: signalbox.Breached, Summary: evil}
	return engine.Status{
		At: at, Leading: true, KillFile: "the kill file is there", Config: signalbox.ActiveConfig{Hash: "abc"},
		Controls: signalbox.Controls{
			Killed: &signalbox.Control{Kind: signalbox.Kill, Scope: "all", Who: evil, Reason: evil},
			Pauses: []signalbox.Control{
				{Kind: signalbox.Pause, Scope: "owner/backend", Who: "ops", Reason: evil, Until: at.Add(time.Hour)},
				{Kind: signalbox.Pause, Scope: "all", Who: "ops"},
			},
		},
		Incidents: []engine.IncidentStatus{{Incident: inc, Verdict: signalbox.Hold, Because: []signalbox.Reason{
			{Guard: "match", Passed: true, Detail: "it fits"}, {Guard: "cooldown", Detail: "until " + evil},
		}}},
		Thrown:  []signalbox.Thrown{{What: "read-endpoint is at b " + evil, ByHand: "kubectl patch " + evil}},
		Stopped: []signalbox.Target{"configmap core/core-env KEY"},
		Owed:    3,
	}
}

func served(t *testing.T, v any) *fake {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return newFake(t, http.StatusOK, string(body)+"\n")
}

// harmless fails the test when text would do something to a terminal.
func harmless(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%U reaches the terminal in:\n%q", r, text)
			return
		}
	}
}

func TestStatusTable(t *testing.T) {
	f := served(t, someStatus())
	out, errs, code := run(t, "--server", f.URL, "status")
	if code != OK || errs != "" {
		t.Fatalf("got %d %q", code, errs)
	}
	harmless(t, out)
	for _, want := range []string{
		"leads, its store answers", "the kill file is there", "owner/backend until 2026-03-01T11:00:00Z, by ops", "all until resumed",
		"signalboxctl release 'configmap core/core-env KEY'", "read-endpoint is at b", "by hand: kubectl patch", "0123456789abcdef",
		"hold", "cooldown: until x·[2Jy", "pages owed",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the table must tell %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "it fits") {
		t.Errorf("a guard that passed is no reason:\n%s", out)
	}
}

func TestStatusJSON(t *testing.T) {
	want := someStatus()
	f := served(t, want)
	out, _, code := run(t, "--server", f.URL, "-o", "json", "status")
	harmless(t, out)
	var got engine.Status
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != OK {
		t.Fatalf("got %d, %v:\n%s", code, err, out)
	}
	if got.Incidents[0].Reading.Subject != want.Incidents[0].Reading.Subject || got.Owed != want.Owed {
		t.Errorf("JSON must keep what was said, got %q", got.Incidents[0].Reading.Subject)
	}
}

func TestExplain(t *testing.T) {
	inc := someStatus().Incidents[0].Incident
	inc.Reading.HasValue, inc.Reading.Value, inc.Reading.Unit, inc.Reading.Threshold = true, 6.03, signalbox.Seconds, "above 1s"
	x := engine.Explanation{
		Incident: inc,
		Decision: &signalbox.Decision{Verdict: signalbox.Hold, Because: []signalbox.Reason{{Guard: "cooldown", Detail: evil}, {Guard: "match", Passed: true}}},
		Actions:  []signalbox.Action{{ID: "0123-1", Step: signalbox.Step{Name: "read-endpoint", To: evil}, Stage: signalbox.Done, Reason: evil}},
		Entries: []journal.Entry{
			{At: inc.OnsetAt, Kind: journal.Intent},
		},
	}
	f := served(t, x)
	out, errs, code := run(t, "--server", f.URL, "explain", "0123")
	if code != OK {
		t.Fatalf("got %d %q", code, errs)
	}
	harmless(t, out)
	for _, want := range []string{"incident 0123456789abcdef", "6.03s against above 1s", "decided: hold", "HELD    cooldown", "passed  match", "action 0123-1,", "read-endpoint to x·[2J", "intent"} {
		if !strings.Contains(out, want) {
			t.Errorf("it must tell %q:\n%s", want, out)
		}
	}
}

// What the daemon refuses, and what it repeats of a request, comes from outside
// too.
func TestMessagesAreHarmless(t *testing.T) {
	body, err := json.Marshal(map[string]string{"error": "no target " + evil})
	if err != nil {
		t.Fatal(err)
	}
	refused := newFake(t, http.StatusUnprocessableEntity, string(body))
	_, errs, code := run(t, "--server", refused.URL, "release", "x")
	if code != Refused || !strings.Contains(errs, "no target x·[2Jy") {
		t.Errorf("got %d %q", code, errs)
	}
	harmless(t, errs)
	set := served(t, signalbox.Control{Kind: signalbox.Pause, Scope: "all" + evil, Who: evil})
	out, _, _ := run(t, "--server", set.URL, "pause", "--reason", "x", "all")
	harmless(t, out)
	loaded := served(t, map[string]string{"config": evil})
	out, _, _ = run(t, "--server", loaded.URL, "reload")
	harmless(t, out)
}

// Whatever a text is, it is harmless as a line and as JSON, and JSON keeps it.
func TestAnyTextIsHarmless(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.String().Draw(r, "text")
		b, err := json.Marshal(text)
		if err != nil {
			r.Fatal(err)
		}
		for _, shown := range []string{plain(text), escaped(b)} {
			for _, c := range shown {
				if !unicode.IsPrint(c) {
					r.Fatalf("%U reaches the terminal", c)
				}
			}
		}
		var back string
		if err := json.Unmarshal([]byte(escaped(b)), &back); err != nil || back != text {
			r.Fatalf("got %q, want %q: %v", back, text, err)
		}
	})
}
