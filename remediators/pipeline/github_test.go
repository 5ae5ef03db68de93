package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/github"
)

const token = "ghp_hunter2hunter2"

// stage is a stand-in with a deploy and its history, and a remediator on it
// whose clock is now.
type stage struct {
	*standin.Server

	t   *testing.T
	now atomic.Pointer[time.Time] // the stand-in asks for it too
	r   signalbox.Remediator
	url string
	dir string
}

func (s *stage) clock() time.Time { return *s.now.Load() }

func (s *stage) set(at time.Time) { s.now.Store(&at) }

func contract(t *testing.T) string {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = "../../../shared/contracts"
	}
	path := filepath.Join(dir, "github", "actions.trim.json")
	if _, err := os.Stat(path); err != nil {
		t.Log("SKIPPED: the checks against the contract, which is absent: set SIGNALBOX_CONTRACTS")
		return ""
	}
	return path
}

func ago(hours int) time.Time { return moment.Add(-time.Duration(hours) * time.Hour) }

func onStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	s.set(moment)
	hub, err := standin.New(standin.Options{Token: token, Spec: contract(t), Reset: moment.Add(20 * time.Minute), Now: s.clock})
	must(t, err)
	s.Server = hub
	hub.SetWorkflows(
		"acme/shop",
		standin.Workflow{ID: 7, Name: "Deploy", File: "deploy-prod.yml", Inputs: []string{defaultActionInput, "reason"}, RunName: defaultActionInput},
		standin.Workflow{ID: 8, Name: "Smoke", File: "smoke.yml", Inputs: []string{defaultActionInput}, RunName: defaultActionInput},
	)
	a, b, c := strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("c", 40)
	hub.SetRuns(
		7,
		standin.Run{ID: 101, Conclusion: "success", Branch: "v1.1", SHA: a, Created: ago(200)},
		standin.Run{ID: 102, Conclusion: "success", Branch: "v1.2", SHA: b, Created: ago(90)},
		standin.Run{ID: 103, Conclusion: "failure", Branch: "v1.3", SHA: c, Created: ago(1)},
	)
	hub.SetRuns(8, standin.Run{ID: 111, Conclusion: "success", Branch: "v1.1", SHA: a, Created: ago(199)}, standin.Run{ID: 112, Conclusion: "success", Branch: "v1.2", SHA: b, Created: ago(89)})
	hub.SetTag("v1.1", a)
	hub.SetTag("v1.2", b)
	hub.SetDiff(b, c, standin.Diff{Status: "ahead", Files: []string{"cmd/shop/main.go"}})
	hub.SetDiff(a, c, standin.Diff{Status: "ahead", Files: []string{"cmd/shop/main.go"}})
	hub.SetDeployments(standin.Deployment{ID: 5, SHA: b, Environment: "production", Success: ago(90), Left: ago(1)})
	server := httptest.NewServer(hub)
	t.Cleanup(func() {
		server.Close()
		if got := hub.Violations(); len(got) > 0 {
			t.Errorf("violations of the contract: %q", got)
		}
	})
	s.url = server.URL
	must(t, os.WriteFile(filepath.Join(s.dir, "token"), []byte(token+"\n"), 0o600))
	s.r, err = Kind().Open(kind.Env{Now: s.clock, Agent: "signalbox/test"})
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// settings are those of the documentation's deploy.
func (s *stage) settings() *Settings {
	c := newSettings()
	c.URL, c.Repository, c.Workflow, c.Ref = s.url, "acme/shop", "deploy-prod.yml", "main"
	c.HTTP.Authorization = &promconfig.Authorization{CredentialsFile: "token"}
	c.Inputs = map[string]string{"reason": "signalbox"}
	c.Stable = &Stable{TagPattern: `v\d+\.\d+`, SmokeWorkflow: "smoke.yml", Environment: "production", Migrations: []string{"db/migrations/**"}}
	c.Cancel = &Cancel{NeverDuring: []string{"apply"}}
	return c
}

func (s *stage) step(to string, c *Settings) signalbox.Step {
	s.t.Helper()
	c.Validate(func(path, rule string, value any) { s.t.Errorf("%s: %s, got %v", path, rule, value) })
	raw, err := Kind().Spec(kind.SpecInput{Name: "deploy", Backend: "github", Settings: c, ConfigDir: s.dir})
	must(s.t, err)
	return signalbox.Step{Kind: "pipeline", Name: "deploy", To: to, Spec: raw, Tool: true}
}

func (s *stage) preview(step signalbox.Step) signalbox.Forecast {
	s.t.Helper()
	f, err := s.r.Preview(s.t.Context(), step)
	must(s.t, err)
	return f
}

// action is one that was claimed now.
func (s *stage) action(step signalbox.Step) signalbox.Action {
	s.t.Helper()
	f := s.preview(step)
	if f.Refused != "" {
		s.t.Fatalf("refused: %s", f.Refused)
	}
	return signalbox.Action{ID: "inc-4-1", Step: step, Forecast: f, Stage: signalbox.Claimed, ClaimedAt: s.clock(), Gate: func() error { return nil }}
}

func (s *stage) probe(a signalbox.Action, want signalbox.Phase, with string) signalbox.Progress {
	s.t.Helper()
	p, err := s.r.Probe(s.t.Context(), a)
	if err != nil || p.Phase != want || !strings.Contains(p.Reason+p.Receipt.Detail, with) {
		s.t.Fatalf("got %+v, %v; want %s with %q", p, err, want, with)
	}
	return p
}

func TestPreviousStableTag(t *testing.T) {
	s := onStage(t)
	step := s.step(movePrevious, s.settings())
	f := s.preview(step)
	if f.Class != signalbox.ClassC || fmt.Sprint(f.Targets) != "[workflow acme/shop deploy-prod.yml]" || f.Refused != "" || f.NeedsApproval != "" || f.Undo != nil {
		t.Fatalf("got %+v", f)
	}
	for _, want := range []string{"tag v1.2", "run 102", "run 112", "88h59m"} {
		if !strings.Contains(f.Reach, want) {
			t.Errorf("%q does not say %q", f.Reach, want)
		}
	}
	if !strings.Contains(f.Found, "run 103 of v1.3 (failure") || f.ByHand != "gh workflow run deploy-prod.yml -R acme/shop --ref v1.3" {
		t.Errorf("found %q, by hand %q", f.Found, f.ByHand)
	}
	if w := s.Writes(); len(w) > 0 {
		t.Fatalf("a preview wrote: %q", w)
	}
	a := s.action(step)
	receipt, err := s.r.Start(t.Context(), a)
	must(t, err)
	a.Receipt, a.Stage = receipt, signalbox.Started
	made := s.Dispatched()
	if len(made) != 1 || made[0].Branch != "v1.2" || made[0].Inputs["reason"] != "signalbox" || made[0].Inputs[defaultActionInput] != "inc-4-1" || receipt.Version != fmt.Sprint(made[0].ID) {
		t.Fatalf("got %+v, %+v", made, receipt)
	}
	s.probe(a, signalbox.Running, "queued")
	s.Finish(made[0].ID, "success")
	s.probe(a, signalbox.Succeeded, "https://github.com/acme/shop/actions/runs/")
}

func TestPreviousIsRefused(t *testing.T) {
	b, c := strings.Repeat("b", 40), strings.Repeat("c", 40)
	for _, tc := range []struct {
		name    string
		change  func(*stage, *Settings)
		refused string
		asks    string
	}{
		{"a migration", func(s *stage, _ *Settings) {
			s.SetDiff(b, c, standin.Diff{Status: "ahead", Files: []string{"db/migrations/2026/7.sql"}})
		}, "", "1 schema migrations lie between v1.2 and v1.3: db/migrations/2026/7.sql"},
		{"diverged", func(s *stage, _ *Settings) {
			s.SetDiff(b, c, standin.Diff{Status: "diverged", Files: []string{"x"}})
		}, "", "diverged"},
		{"too many files", func(s *stage, _ *Settings) {
			s.SetDiff(b, c, standin.Diff{Status: "ahead", Files: make([]string, mostFiles)})
		}, "", "more than 299 files"},
		{"the tag was moved", func(s *stage, _ *Settings) { s.SetTag("v1.2", c) }, "it was moved since", ""},
		{"no deployment", func(s *stage, _ *Settings) { s.SetDeployments() }, "no deployment of v1.2", ""},
		{"too short by its deployments", func(s *stage, _ *Settings) {
			s.SetDeployments(standin.Deployment{ID: 5, SHA: b, Environment: "production", Success: ago(20), Left: ago(1)})
		}, "was in environment production for 19h0m0s", ""},
		{"under way", func(s *stage, _ *Settings) {
			s.SetRuns(7, standin.Run{ID: 104, Status: "waiting", Branch: "v1.4", Created: ago(0)})
		}, "a deploy is under way", ""},
		{"disabled", func(s *stage, _ *Settings) {
			s.SetWorkflows("acme/shop", standin.Workflow{ID: 7, File: "deploy-prod.yml", State: "disabled_manually"})
		}, "disabled_manually: enable it", ""},
		{"no such workflow", func(_ *stage, c *Settings) { c.Workflow = "none.yml" }, "it is not there", ""},
		{"the token", func(s *stage, _ *Settings) { s.Fail(standin.Fault{Status: 403, Body: `{"message":"` + token + `"}`}) }, "it needs Actions (read and write)", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := onStage(t)
			settings := s.settings()
			tc.change(s, settings)
			f := s.preview(s.step(movePrevious, settings))
			if (f.Refused == "") != (tc.refused == "") || !strings.Contains(f.Refused, tc.refused) || !strings.Contains(f.NeedsApproval, tc.asks) || tc.asks == "" && f.NeedsApproval != "" || strings.Contains(f.Refused, token) {
				t.Errorf("refused %q, asks %q", f.Refused, f.NeedsApproval)
			}
			if len(f.Targets) != 1 {
				t.Errorf("targets %q", f.Targets)
			}
		})
	}
}

// Whatever happens to the answer, one action makes at most one run, and Probe
// tells the truth of it.
func TestAnswerLost(t *testing.T) {
	s := onStage(t)
	s.SetLag(10 * time.Minute) // slower than our recovery
	settings := s.settings()
	settings.Latency = kind.Duration(12 * time.Minute)
	a := s.action(s.step(moveRun, settings))
	s.Fail(standin.Fault{Late: true, Cut: true})
	_, err := s.r.Start(t.Context(), a)
	if failure := (*signalbox.Failure)(nil); err == nil || errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
	a.Stage = signalbox.Doubt
	if _, err := s.r.Start(t.Context(), a); err == nil || !strings.Contains(err.Error(), "not sent twice") {
		t.Errorf("got %v", err)
	}
	s.probe(a, signalbox.InDoubt, "may be 12m behind")
	s.set(s.clock().Add(11 * time.Minute))
	s.probe(a, signalbox.Running, "queued")
	a.Stage = signalbox.Claimed // as it was, for a process that knows no better
	if receipt, err := s.r.Start(t.Context(), a); err != nil || !strings.Contains(receipt.Detail, "dispatched before") {
		t.Errorf("got %+v, %v", receipt, err)
	}
	if made := s.Dispatched(); len(made) != 1 {
		t.Errorf("%d runs were made", len(made))
	}
}

func TestNotTaken(t *testing.T) {
	s := onStage(t)
	a := s.action(s.step(moveRun, s.settings()))
	s.Fail(standin.Fault{Cut: true, Late: true}) // for the dispatch of another
	other := a
	other.ID = "inc-5-1"
	s.probe(a, signalbox.InDoubt, "behind")
	a.Stage = signalbox.Doubt
	s.set(s.clock().Add(time.Hour))
	s.probe(a, signalbox.NotStarted, "no run was dispatched")
	s.set(moment)
	_, _ = s.r.Start(t.Context(), other)
	s.set(s.clock().Add(time.Hour))
	s.probe(a, signalbox.InDoubt, "whether it is this one can't be told")
}

// What GitHub answers to the dispatch means one thing.
func TestDispatchAnswers(t *testing.T) {
	for _, c := range []struct {
		fault   standin.Fault
		failure bool
		with    string
	}{
		{standin.Fault{Status: 400}, true, "GitHub refused"},
		{standin.Fault{Status: 401}, true, "the token is not accepted"},
		{standin.Fault{Status: 403, Body: `{"message":"Bearer ` + token + `"}`}, true, "the token is not accepted"},
		{standin.Fault{Status: 403, Header: map[string]string{"Retry-After": "60"}}, true, "rate limit"},
		{standin.Fault{Status: 404}, true, "not there"},
		{standin.Fault{Status: 409}, true, "GitHub refused"},
		{standin.Fault{Status: 422, Body: `{"message":"Unexpected inputs provided: [x] ` + token + `"}`}, true, "Unexpected inputs provided"},
		{standin.Fault{Status: 429, Header: map[string]string{"X-RateLimit-Reset": fmt.Sprint(moment.Add(time.Minute).Unix())}}, true, "rate limit"},
		{standin.Fault{Status: 307, Header: map[string]string{"Location": "http://localhost/"}}, true, "has moved"},
		{standin.Fault{Status: 408}, false, "408"},
		{standin.Fault{Status: 500}, false, "500"},
		{standin.Fault{Status: 502, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}, false, "502"},
		{standin.Fault{Status: 503, Header: map[string]string{"Retry-After": "5"}}, false, "503"},
		{standin.Fault{Late: true, Cut: true}, false, ""},
	} {
		s := onStage(t)
		a := s.action(s.step(moveRun, s.settings()))
		gated := 0
		a.Gate = func() error { gated++; s.Fail(c.fault); return nil }
		_, err := s.r.Start(t.Context(), a)
		var failure *signalbox.Failure
		if err == nil || errors.As(err, &failure) != c.failure || !strings.Contains(err.Error(), c.with) || strings.Contains(err.Error(), token) || gated != 1 {
			t.Errorf("%+v: got %v, the gate was asked %d times", c.fault, err, gated)
		}
		var later *signalbox.RetryAfter
		if wants := c.fault.Header["Retry-After"] != "" || c.fault.Status == 429; errors.As(err, &later) != wants {
			t.Errorf("%+v: when to come back: %v", c.fault, err)
		}
	}
}

// A dispatch that was taken stays taken, whatever its answer's body is.
func TestDispatchTaken(t *testing.T) {
	for _, body := range []string{"", "{", "null", `{"workflow_run_id":"x"}`, `[]`} {
		s := onStage(t)
		a := s.action(s.step(moveRun, s.settings()))
		a.Gate = func() error { s.Fail(standin.Fault{Status: 200, Late: true, Body: body}); return nil }
		receipt, err := s.r.Start(t.Context(), a)
		if err != nil || receipt.Version != "" || len(s.Dispatched()) != 1 {
			t.Fatalf("%q: got %+v, %v", body, receipt, err)
		}
		a.Stage, a.Receipt = signalbox.Started, receipt
		s.probe(a, signalbox.Running, "queued")
	}
	s := onStage(t)
	settings := s.settings()
	settings.ReturnRunDetails = false
	if receipt, err := s.r.Start(t.Context(), s.action(s.step(moveRun, settings))); err != nil || receipt.Version != "" {
		t.Errorf("204: got %+v, %v", receipt, err)
	}
}

func TestNothingIsSent(t *testing.T) {
	s := onStage(t)
	for name, change := range map[string]func(*signalbox.Action) context.Context{
		"the gate": func(a *signalbox.Action) context.Context {
			a.Gate = func() error { return errors.New("paused") }
			return t.Context()
		},
		"ctx": func(a *signalbox.Action) context.Context {
			ctx, cancel := context.WithCancel(t.Context())
			a.Gate = func() error { cancel(); return nil }
			return ctx
		},
		"another choice": func(a *signalbox.Action) context.Context {
			a.Forecast.Version = "v1.1@x after 103.1"
			return t.Context()
		},
		"a spec that is none": func(a *signalbox.Action) context.Context {
			a.Step.Spec = json.RawMessage(`{"url":"http://localhost","more":1}`)
			return t.Context()
		},
	} {
		a := s.action(s.step(movePrevious, s.settings()))
		ctx := change(&a)
		var failure *signalbox.Failure
		if _, err := s.r.Start(ctx, a); !errors.As(err, &failure) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if w := s.Writes(); len(w) > 0 {
		t.Errorf("sent %q", w)
	}
}

func TestRunEnds(t *testing.T) {
	s := onStage(t)
	a := s.action(s.step(moveRun, s.settings()))
	receipt, err := s.r.Start(t.Context(), a)
	must(t, err)
	a.Receipt, a.Stage = receipt, signalbox.Started
	id := s.Dispatched()[0].ID
	s.SetJobs(id, standin.Job{ID: 1, Name: "build", Status: "completed", Conclusion: "success"}, standin.Job{ID: 2, Name: "deploy", Status: "completed", Conclusion: "failure", Steps: []standin.JobStep{{Name: "roll out", Status: "completed", Conclusion: "failure"}}})
	for _, conclusion := range []string{"failure", "cancelled", "timed_out", "skipped", "neutral", "action_required", "stale", "startup_failure"} {
		s.Finish(id, conclusion)
		s.probe(a, signalbox.Fell, "job deploy ended with failure (https://github.com/acme/shop/job/2), in step roll out")
	}
	s.Fail(standin.Fault{Status: 404})
	s.probe(a, signalbox.InDoubt, "not there")
	s.Fail(standin.Fault{Status: 500})
	if p, err := s.r.Probe(t.Context(), a); err == nil {
		t.Errorf("got %+v", p)
	}
}
