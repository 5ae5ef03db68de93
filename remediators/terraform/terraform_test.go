package terraform

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/terraform"
)

const token = "hunter2-team-token"

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// good is a plan that touches what it may.
const good = `{"plan_format_version":"1.2","resource_changes":[{"address":"module.cdn.dns_record.main","change":{"actions":["update"]}},{"address":"null_resource.x","change":{"actions":["no-op"]}}]}`

var oneChange = [4]int{0, 1, 0, 0}

func TestThrowsAndTakesBack(t *testing.T) {
	b := newBench(t)
	a := b.action(t, "i1-1", b.step(t, "spare"))
	if a.Forecast.Position != "main" || a.Forecast.Undo == nil || a.Forecast.Undo.To != "main" || a.Forecast.Takes == 0 {
		t.Fatalf("forecast: %+v", a.Forecast)
	}
	for range 2 { // the same id twice is one effect
		if _, err := b.r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	b.is(t, a, "running", "pending")
	b.Move("a_state_of_tomorrow", "", [4]int{})
	b.is(t, a, "running", "a_state_of_tomorrow")
	b.Move("policy_checked", good, oneChange)
	b.is(t, a, "running+", "the plan is checked")
	for range 2 {
		if err := b.r.Continue(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	b.is(t, a, "running", "confirmed")
	b.Move("applied", "", [4]int{})
	b.is(t, a, "done", "applied by")
	s := b.State()
	if len(s.Runs) != 1 || s.Runs[0].AutoApply || strings.Join(s.Applied, " ") != "cloudflare" || len(b.Writes()) != 3 {
		t.Errorf("state %+v, writes %q", s, b.Writes())
	}
	back := b.action(t, "i1-2", *a.Forecast.Undo)
	back.Undoes = a.ID
	if back.Forecast.Undo != nil {
		t.Error("an undo has an undo")
	}
	if _, err := b.r.Start(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	b.Move("cost_estimated", good, oneChange)
	if err := b.r.Continue(t.Context(), back); err != nil {
		t.Fatal(err)
	}
	if got := b.State(); strings.Join(got.Applied, " ") != "cloudflare fastly" || got.Value != "fastly" {
		t.Errorf("after the undo: %+v", got)
	}
}

// What was not done when Start ended is done by Continue, once.
func TestKilledBetweenTheWrites(t *testing.T) {
	lost := func(on string, after bool) standin.Fault {
		return standin.Fault{On: on, Reset: true, AfterEffect: after}
	}
	for name, c := range map[string]struct {
		fault standin.Fault
		phase string
	}{
		"before the variable": {lost("PATCH", false), "unknown"},
		"after the variable":  {lost("PATCH", true), "running+"},
		"before the run":      {lost("POST /runs", false), "running+"},
		"after the run":       {lost("POST /runs", true), "running"},
		"run refused":         {standin.Fault{On: "POST /runs", Status: 422, Body: `{"errors":[{"title":"no ` + token + `"}]}`}, "running+"},
		"run limited":         {standin.Fault{On: "POST /runs", Status: 429}, "running+"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			a := b.action(t, "i1-1", b.step(t, "spare"))
			b.Fail(c.fault)
			_, err := b.r.Start(t.Context(), a)
			var failure *signalbox.Failure
			if err == nil || errors.As(err, &failure) || strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("got %v, want a doubt", err)
			}
			b.is(t, a, c.phase, "")
			if c.phase == "unknown" {
				b.after(2 * time.Minute)
				b.is(t, a, "not_started", "no run was made")
				return
			}
			for range 2 {
				if err := b.r.Continue(t.Context(), a); err != nil {
					t.Fatal(err)
				}
			}
			if s := b.State(); len(s.Runs) != 1 || s.Value != "cloudflare" {
				t.Errorf("got %+v", s)
			}
			b.is(t, a, "running", "pending")
		})
	}
}

func TestGateBeforeEachWrite(t *testing.T) {
	b := newBench(t)
	open := 0
	b.gate = func() error {
		if open--; open < 0 {
			return errors.New("paused")
		}
		return nil
	}
	a := b.action(t, "i1-1", b.step(t, "spare"))
	var failure *signalbox.Failure
	if _, err := b.r.Start(t.Context(), a); !errors.As(err, &failure) || len(b.Writes()) != 0 {
		t.Fatalf("got %v, %q", err, b.Writes())
	}
	open = 1
	if _, err := b.r.Start(t.Context(), a); err == nil || errors.As(err, &failure) || len(b.Writes()) != 1 {
		t.Fatalf("got %v, %q", err, b.Writes())
	}
	if err := b.r.Continue(t.Context(), a); err == nil || len(b.Writes()) != 1 {
		t.Fatalf("got %v, %q", err, b.Writes())
	}
	open = 1
	if err := b.r.Continue(t.Context(), a); err != nil || len(b.Writes()) != 2 {
		t.Fatalf("got %v, %q", err, b.Writes())
	}
	b.Move("planned", good, oneChange)
	if err := b.r.Continue(t.Context(), a); err == nil || len(b.Writes()) != 2 {
		t.Fatalf("got %v, %q", err, b.Writes())
	}
}

// A plan that touches more than it may is discarded, and it is said why.
func TestPlansThatAreStopped(t *testing.T) {
	change := func(address, actions string) string {
		return `{"format_version":"1.2","resource_changes":[{"address":"` + address + `","change":{"actions":[` + actions + `]}}]}`
	}
	for want, plan := range map[string]string{
		"does not list: module.db.x":     change("module.db.x", `"update"`),
		"destroys or replaces":           change("module.cdn.x", `"delete","create"`),
		"counts more changes":            `{"format_version":"1.2"}`,
		"ended with an error":            `{"format_version":"1.2","errored":true}`,
		"invokes actions":                `{"format_version":"1.2","action_invocations":[{}]}`,
		"format \"2.0\" is not known":    `{"format_version":"2.0"}`,
		"not the JSON":                   `[` + token,
		"touches what only_resources do": `{"format_version":"1.2","resource_changes":[{"address":"a.b","change":{"actions":["no-op"],"importing":{"id":"x"}}}]}`,
	} {
		b := newBench(t)
		a := b.action(t, "i1-1", b.step(t, "spare"))
		if _, err := b.r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		b.Move("planned", plan, oneChange)
		b.is(t, a, "running+", want)
		if err := b.r.Continue(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		b.is(t, a, "failed", want)
		if s := b.State(); len(s.Applied) > 0 || s.Runs[0].Status != "discarded" {
			t.Errorf("%s: %+v", want, s)
		}
	}
}

func TestEndsOfARun(t *testing.T) {
	for status, want := range map[string]string{
		"applied": "done", "planned_and_finished": "done", "errored": "failed", "canceled": "failed", "force_canceled": "failed", "discarded": "failed",
		"policy_soft_failed": "failed", "policy_override": "running+", "planning": "running", "applying": "running", "post_plan_running": "running",
	} {
		b := newBench(t)
		a := b.action(t, "i1-1", b.step(t, "spare"))
		if _, err := b.r.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		b.Edit(func(s *standin.State) { s.Runs[0].Status, s.Runs[0].Applying = status, status == "errored" })
		got, why := b.probe(t, a)
		if got != want || !strings.Contains(why, "/app/acme/workspaces/edge/runs/run-1") {
			t.Errorf("%s: got %s %q, want %s with a link", status, got, why, want)
		}
		if want == "failed" && !strings.Contains(why, `stands at "cloudflare"`) || status == "errored" && !strings.Contains(why, "a part of it") {
			t.Errorf("%s: %q does not say what is left", status, why)
		}
	}
}

func TestWithoutAutoApplyAPersonConfirms(t *testing.T) {
	b := newBench(t)
	b.s.AutoApply = false
	a := b.action(t, "i1-1", b.step(t, "spare"))
	if _, err := b.r.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b.Move("planned", good, oneChange)
	b.is(t, a, "running", "a person must confirm the plan")
	if err := b.r.Continue(t.Context(), a); err != nil || len(b.Writes()) != 2 {
		t.Errorf("got %v, %q", err, b.Writes())
	}
}

func TestAPersonsHand(t *testing.T) {
	b := newBench(t)
	a := b.action(t, "i1-1", b.step(t, "spare"))
	if _, err := b.r.Start(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	b.Move("planned", good, oneChange)
	b.Edit(func(s *standin.State) { s.Value = "fastly" })
	b.is(t, a, "running+", "someone else changed the variable")
	if err := b.r.Continue(t.Context(), a); err != nil || len(b.State().Applied) > 0 {
		t.Errorf("got %v, %+v", err, b.State())
	}
}

func TestRefused(t *testing.T) {
	for want, change := range map[string]func(*standin.State){
		"another's hand: the workspace is locked by users": func(s *standin.State) { s.Locked = "maintenance" },
		"another's hand: run run-9 is planning":            func(s *standin.State) { s.Runs = []standin.Run{{ID: "run-9", Status: "planning"}} },
		"run run-9 is tomorrows":                           func(s *standin.State) { s.Runs = []standin.Run{{ID: "run-9", Status: "tomorrows"}} },
		"is sensitive":                                     func(s *standin.State) { s.Sensitive = true },
		"has hcl: true":                                    func(s *standin.State) { s.HCL = true },
		"is not one of the listed positions":               func(s *standin.State) { s.Value = "akamai" },
		"lacks the permission can-queue-apply":             func(s *standin.State) { s.Denied = []string{"can-queue-apply"} },
		"structured run output off":                        func(s *standin.State) { s.Unavailable = true },
		"execution mode local":                             func(s *standin.State) { s.Local = true },
	} {
		b := newBench(t)
		step := b.step(t, "spare")
		a := b.action(t, "i1-1", step)
		b.Edit(change)
		f, err := b.r.Preview(t.Context(), step)
		if err != nil || !strings.Contains(f.Refused, want) || f.Undo != nil {
			t.Errorf("got %q, %v, want %q", f.Refused, err, want)
		}
		// What came between the preview and the start is seen too.
		var failure *signalbox.Failure
		if _, err := b.r.Start(t.Context(), a); !errors.As(err, &failure) || len(b.Writes()) > 0 {
			t.Errorf("%s: start: %v, %q", want, err, b.Writes())
		}
	}
}

// Each answer to the first write is a failure where the variable was surely not
// set, else a doubt.
func TestAnswers(t *testing.T) {
	for status, sure := range map[int]bool{400: true, 401: true, 403: true, 404: true, 408: false, 409: true, 412: true, 422: true, 429: true, 500: false, 502: false, 503: false} {
		b := newBench(t)
		a := b.action(t, "i1-1", b.step(t, "spare"))
		b.Fail(standin.Fault{On: "PATCH", Status: status, Header: map[string]string{"Retry-After": "7"}, Body: `{"errors":[{"title":"` + token + `"}]}`})
		_, err := b.r.Start(t.Context(), a)
		var failure *signalbox.Failure
		if err == nil || errors.As(err, &failure) != sure || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%d: got %v, want a failure: %t", status, err, sure)
		}
		b.Fail(standin.Fault{On: "GET", Status: status})
		f, err := b.r.Preview(t.Context(), b.step(t, "spare"))
		if seen := err == nil && f.Refused != ""; seen != (sure && status != 429) {
			t.Errorf("%d: preview: %q, %v", status, f.Refused, err)
		}
	}
	b := newBench(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	a := b.action(t, "i1-1", b.step(t, "spare"))
	var failure *signalbox.Failure
	if _, err := b.r.Start(ended, a); !errors.As(err, &failure) || len(b.Writes()) > 0 {
		t.Errorf("ended: %v", err)
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Settings){
		"url: must be https":           func(s *Settings) { s.URL = "http://tfe.example" },
		"token_file: must name":        func(s *Settings) { s.TokenFile = "" },
		"organization: must be":        func(s *Settings) { s.Organization = "a/b" },
		"workspace: must be the name":  func(s *Settings) { s.Workspace = "ws-123" },
		"variable: must be":            func(s *Settings) { s.Variable = "a b" },
		"category: must be":            func(s *Settings) { s.Category = "x" },
		"hcl: must be false":           func(s *Settings) { s.HCL, s.Category = true, "env" },
		"only_resources: is required":  func(s *Settings) { s.OnlyResources = nil },
		"only_resources[0]: must be":   func(s *Settings) { s.OnlyResources = []string{"*"} },
		"timeout: must be above 0":     func(s *Settings) { s.Timeout = 0 },
		"latency: must be above 0 and": func(s *Settings) { s.Latency = kind.Duration(2 * time.Hour) },
	} {
		b := newBench(t)
		change(b.s)
		var got []string
		b.s.Validate(func(path, rule string, value any) { got = append(got, fmt.Sprintf("%s: %s", path, rule)) })
		if len(got) != 1 || !strings.HasPrefix(got[0], want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzMatches(f *testing.F) {
	f.Add("module.cdn.*", `module.cdn.x["a.b"]`)
	f.Fuzz(func(t *testing.T, pattern, address string) {
		got := matches(pattern, address)
		if !strings.Contains(pattern, "*") && got != (pattern == address) {
			t.Errorf("%q and %q: %t", pattern, address, got)
		}
		head, _, starred := strings.Cut(pattern, "*")
		if got && starred && !strings.HasPrefix(address, head) {
			t.Errorf("%q matched %q", pattern, address)
		}
	})
}
