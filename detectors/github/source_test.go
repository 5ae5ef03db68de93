package github

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/github"
)

var moment = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const token = "ghp_hunter2hunter2"

// contract is the path of the vendor's description; "" where it is absent.
func contract(t testing.TB) string {
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

// hub is a stand-in with a workflow Deploy (7, deploy.yml), and a source on it
// whose clock is *now.
func hub(t testing.TB, now *time.Time, change func(*standin.Options)) (*standin.Server, *Source) {
	t.Helper()
	o := standin.Options{Token: token, Spec: contract(t), Reset: now.Add(20 * time.Minute), Now: func() time.Time { return *now }}
	if change != nil {
		change(&o)
	}
	s, err := standin.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.SetWorkflows("acme/shop", standin.Workflow{ID: 7, Name: "Deploy", File: "deploy.yml"})
	server := httptest.NewServer(s)
	t.Cleanup(func() {
		server.Close()
		if got := s.Violations(); len(got) > 0 {
			t.Errorf("violations of the contract: %q", got)
		}
	})
	return s, source(t, server.URL, now)
}

func source(t testing.TB, address string, now *time.Time) *Source {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSettings()
	s.URL, s.HTTP.Authorization = address, &promconfig.Authorization{CredentialsFile: "token"}
	s.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
	opened, err := Kind().Open("actions", s, kind.Env{ConfigDir: dir, Agent: "signalbox/test", Now: func() time.Time { return *now }})
	if err != nil {
		t.Fatal(err)
	}
	return opened.(*Source)
}

func ask(t testing.TB, s *Source, w watched, now time.Time) signalbox.Answer {
	t.Helper()
	answers := s.Ask(t.Context(), []signalbox.Question{{Source: "actions", Query: w.query()}}, now)
	if len(answers) != 1 || answers[0].Question.Query != w.query() || !answers[0].At.Equal(now) {
		t.Fatalf("got %+v", answers)
	}
	return answers[0]
}

var deploy = watched{owner: "acme", repository: "shop", workflow: "deploy.yml"}

func ids(samples []signalbox.Sample) string {
	var list []string
	for _, s := range samples {
		list = append(list, s.Labels["run_id"])
	}
	return strings.Join(list, " ")
}

func TestAsk(t *testing.T) {
	now := moment
	stand, s := hub(t, &now, nil)
	stand.SetRuns(
		7,
		standin.Run{ID: 1, Number: 1, Conclusion: "success", Branch: "main", Created: now.Add(-3 * time.Hour)},
		standin.Run{ID: 2, Number: 2, Attempt: 3, Conclusion: "failure", Branch: "main", Event: "schedule", SHA: "abc", Created: now.Add(-2 * time.Hour), Started: now.Add(-time.Minute)},
		standin.Run{ID: 3, Number: 3, Status: "in_progress", Branch: "dev", Created: now.Add(-time.Hour)},
		standin.Run{ID: 4, Number: 4, Conclusion: "failure", Branch: "main", Created: now, Fork: true},
	)
	for _, c := range []struct{ workflow, branch, event, want string }{
		{"deploy.yml", "", "", "3 2 1"},
		{"7", "", "", "3 2 1"},
		{"Deploy", "", "", "3 2 1"},
		{"deploy.yml", "main", "", "2 1"},
		{"deploy.yml", "main", "schedule", "2"},
		{"deploy.yml", "gone", "", ""},
	} {
		w := deploy
		w.workflow, w.branch, w.event = c.workflow, c.branch, c.event
		if a := ask(t, s, w, now); a.Err != nil || ids(a.Samples) != c.want || len(a.Warnings) > 0 {
			t.Errorf("%+v: got %q, %v", c, ids(a.Samples), a.Err)
		}
	}
	got := ask(t, s, deploy, now).Samples[1]
	for name, want := range map[string]string{
		"run_id": "2", "run_number": "2", "attempt": "3", "status": "completed", "conclusion": "failure", "branch": "main", "event": "schedule", "head_sha": "abc",
		"link": "https://github.com/acme/shop/actions/runs/2", "created": "2026-03-01T10:00:00Z", "started": "2026-03-01T11:59:00Z",
	} {
		if got.Labels[name] != want {
			t.Errorf("%s is %q, want %q", name, got.Labels[name], want)
		}
	}
	if !got.At.Equal(moment) || s.Origin() != "github:"+s.client.Base().Host {
		t.Errorf("got %+v of %s", got, s.Origin())
	}
}

// A list is asked for once in the refresh, and one that has not changed is not
// sent again; it is as fresh as when that was said.
func TestAskIsPolite(t *testing.T) {
	now := moment
	stand, s := hub(t, &now, func(o *standin.Options) { o.Limit = 1 })
	stand.SetRuns(7, standin.Run{ID: 1, Conclusion: "success", Created: now.Add(-time.Hour)})
	for range 3 {
		if a := ask(t, s, deploy, now); a.Err != nil || !a.Samples[0].At.Equal(moment) {
			t.Fatalf("got %+v", a)
		}
		now = now.Add(9 * time.Second)
	}
	if all, _ := stand.Requests(); all != 1 {
		t.Errorf("asked %d times within the refresh", all)
	}
}

// With the last request the limit is spent: nothing is asked before the reset.
func TestAskHonoursTheReset(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault *standin.Fault // nil: the limit is spent by what is well
		quiet time.Duration
	}{
		{"the last one is well", nil, 20 * time.Minute},
		{"429 with Retry-After", &standin.Fault{Status: 429, Header: map[string]string{"Retry-After": "120"}}, 2 * time.Minute},
		{"429 without headers", &standin.Fault{Status: 429}, time.Minute},
		{"403, none is left", &standin.Fault{Status: 403, Header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": fmt.Sprint(moment.Add(7 * time.Minute).Unix())}}, 7 * time.Minute},
		{"403, secondary limit", &standin.Fault{Status: 403, Header: map[string]string{"Retry-After": "90", "X-RateLimit-Remaining": "4000"}}, 90 * time.Second},
		{"403 without headers", &standin.Fault{Status: 403}, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			now := moment
			stand, s := hub(t, &now, func(o *standin.Options) {
				if c.fault == nil {
					o.Limit = 1
				}
			})
			stand.SetRuns(7, standin.Run{ID: 1, Conclusion: "success", Created: now.Add(-time.Hour)})
			if c.fault != nil {
				stand.Fail(*c.fault)
			}
			for ; now.Before(moment.Add(c.quiet)); now = now.Add(10 * time.Second) {
				a := ask(t, s, deploy, now)
				if known := c.fault == nil && now.Before(moment.Add(defaultRefresh)); (a.Err == nil) != known {
					t.Fatalf("after %s: got %v", now.Sub(moment), a.Err)
				}
				if r, ok := errors.AsType[*signalbox.RetryAfter](a.Err); ok && r.After > c.quiet {
					t.Fatalf("sent away for %s, want at most %s", r.After, c.quiet)
				}
			}
			if all, _ := stand.Requests(); all != 1 {
				t.Errorf("asked %d times while it was sent away", all)
			}
			if a := ask(t, s, deploy, now); c.fault != nil && a.Err != nil {
				t.Errorf("got %v when the time was over", a.Err)
			}
		})
	}
}

func TestAskRefuses(t *testing.T) {
	run := func(more string) string {
		return `{"total_count":1,"workflow_runs":[{"id":1,"status":"completed","conclusion":"success","created_at":"2026-03-01T10:00:00Z","repository":{"id":1},"head_repository":{"id":1}` + more + `}]}`
	}
	queued := `{"id":1,"status":"queued","created_at":"2026-03-01T10:00:00Z"}`
	many := strings.TrimSuffix(strings.Repeat("{},", runsPerPage+1), ",")
	for _, c := range []struct {
		name, body, want string
		status           int
	}{
		{"good", run(""), "", 0},
		{"null", "null", "neither a list", 0},
		{"an object", "{}", "neither a list", 0},
		{"a list", "[]", "not the JSON", 0},
		{"a list of workflows", `{"workflows":[]}`, "not a list of workflow runs", 0},
		{"no id", run(`,"id":0`), "must have an id", 0},
		{"no status", run(`,"status":""`), "must have a status", 0},
		{"no time", `{"workflow_runs":[{"id":1,"status":"queued"}]}`, "must have created_at", 0},
		{"a time that is none", run(`,"created_at":"yesterday ` + token + `"`), "not the JSON", 0},
		{"one id twice", `{"workflow_runs":[` + queued + "," + queued + `]}`, "an id of its own", 0},
		{"too many", `{"workflow_runs":[` + many + `]}`, "more than was asked for", 0},
		{"404", `{"message":"Not Found"}`, "HTTP 404 Not Found: Not Found", 404},
		{"500 that echoes", `{"message":"you sent Bearer ` + token + `"}`, "you sent (not shown)", 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(max(c.status, 200))
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			now := moment
			a := ask(t, source(t, server.URL, &now), deploy, now)
			if c.want == "" && a.Err != nil || c.want != "" && (a.Err == nil || !strings.Contains(a.Err.Error(), c.want) || a.Samples != nil) {
				t.Errorf("got %+v, want %q", a, c.want)
			}
			if a.Err != nil && (strings.Contains(a.Err.Error(), token) || httpclient.Status(a.Err) != c.status) {
				t.Errorf("got %v", a.Err)
			}
		})
	}
}

func TestWorkflowByName(t *testing.T) {
	for _, c := range []struct {
		name string
		more []standin.Workflow
		want string
	}{
		{"Deploy", nil, ""},
		{"Nothing", nil, `no workflow of the name "Nothing"`},
		{"Deploy", []standin.Workflow{{ID: 8, Name: "Deploy", File: "deploy2.yml"}}, "2 workflows"},
		{"Deploy", []standin.Workflow{{ID: 8, Name: "Deploy", File: "gone.yml", State: "deleted"}}, ""},
	} {
		now := moment
		stand, s := hub(t, &now, nil)
		flows := []standin.Workflow{{ID: 7, Name: "Deploy", File: "deploy.yml"}}
		for i := range 120 { // the one that is meant stands on the second page
			flows = append(flows, standin.Workflow{ID: int64(100 + i), Name: fmt.Sprintf("Other %d", i), File: fmt.Sprintf("o%d.yml", i)})
		}
		flows[0], flows[len(flows)-1] = flows[len(flows)-1], flows[0]
		stand.SetWorkflows("acme/shop", append(flows, c.more...)...)
		stand.SetRuns(7, standin.Run{ID: 1, Conclusion: "success", Created: now.Add(-time.Hour)})
		w := deploy
		w.workflow = c.name
		a := ask(t, s, w, now)
		if c.want == "" && ids(a.Samples) != "1" || c.want != "" && (a.Err == nil || !strings.Contains(a.Err.Error(), c.want)) {
			t.Errorf("%s, %v: got %q, %v", c.name, c.more, ids(a.Samples), a.Err)
		}
	}
}

func FuzzWatched(f *testing.F) {
	f.Add(deploy.query())
	f.Add("repository=..%2F..&workflow=1")
	f.Add("branch=%00&repository=a%2Fb&workflow=x.yml")
	f.Fuzz(func(t *testing.T, query string) {
		w, err := parseWatched(query)
		if err != nil {
			return
		}
		path := w.path("workflows", "x", "runs")
		if parts := strings.Split(path, "/"); len(parts) != 7 || strings.Contains(path, "..") && (w.owner == ".." || w.repository == "..") || strings.ContainsAny(path, "?#\n") {
			t.Errorf("%q became the path %q", query, path)
		}
	})
}
