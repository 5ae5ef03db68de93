package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/client-go/kubernetes"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/slack"
)

// The policies of the handbook for what leaked.
const (
	leakPolicy   = "leak"
	sealedPolicy = "psp-key-leak"
)

const (
	leakSlack  = "xoxb-a-bot-that-only-tells"
	leakPerson = "a-token-that-only-the-sre-lead-has"
	leakDesks  = "a-token-for-the-tracker-and-the-psp"
)

// leak is a production in whose log a credential stands: a real Loki, a real API
// server with its controllers, Slack, and the desks of the tracker and the
// payment provider. Its policies, detectors and tools are the handbook's.
type leak struct {
	*box
	logs   *servers.LokiServer
	kube   *servers.KubeServer
	admin  kubernetes.Interface
	slack  *slack.Server
	desk   *leakDesk
	api    string // of Slack
	old    string // the value that leaks
	within string // of each step that is bounded; "": the handbook's own
	verify string // how long its effect is awaited
	steps  []map[string]any
	pods   map[string]string // which pod of its consumer each is, by its name

	logged time.Time // when the line was written last; zero: it is not written
}

func newLeak(t *testing.T) *leak {
	t.Helper()
	l := &leak{box: newBox(t), logs: servers.Loki(t, servers.LokiOptions{}), kube: servers.KubeAPI(t), pods: map[string]string{}, verify: "60s"}
	servers.KubeControllers(t, l.kube)
	l.admin = l.kube.Client(servers.Admin)
	stand, err := slack.New(slack.Options{Token: leakSlack, Channels: []string{"C024BE91L"}, Spec: contractOf(t, "slack/slack.trim.json")})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(stand)
	t.Cleanup(server.Close)
	t.Cleanup(func() {
		if v := stand.Violations(); len(v) > 0 {
			t.Errorf("Slack's contract was broken: %q", v)
		}
	})
	l.slack, l.api = stand, server.URL+"/api"
	l.desk = newLeakDesk(l)
	l.cluster()
	l.line("level=info msg=paid id=1")
	return l
}

func (l *leak) mustBe(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// eventually waits while the log is written and the kubelets do their part.
func (l *leak) eventually(what string, check func() error) {
	l.t.Helper()
	l.box.eventually(what, func() error {
		if err := l.live(); err != nil {
			return err
		}
		return check()
	})
}

func (l *leak) steadily(d time.Duration, what string, check func() error) {
	l.t.Helper()
	l.box.steadily(d, what, func() error {
		l.mustBe(l.live())
		return check()
	})
}

// live is what goes on meanwhile: the service that logs the credential does so
// each second, as long as it is not told that all is over.
func (l *leak) live() error {
	if !l.logged.IsZero() && time.Since(l.logged) > time.Second {
		l.line("level=debug msg=signing key=" + l.old)
		l.logged = time.Now()
	}
	return l.kubelets()
}

// leaks has the service begin to log its credential.
func (l *leak) leaks() {
	l.t.Helper()
	l.logged = time.Unix(1, 0)
	l.mustBe(l.live())
}

func (l *leak) line(text string) {
	l.t.Helper()
	l.logs.Push("", map[string]string{"app": "checkout", "env": "prod"}, servers.Line{At: time.Now(), Text: text})
}

// allEnded reports that the incident is over, once nothing logs it any more.
func (l *leak) allEnded() error {
	l.logged = time.Time{}
	if st := l.status(); len(st.Incidents) > 0 || st.Owed > 0 {
		return fmt.Errorf("open: %+v, pages owed: %d", st.Incidents, st.Owed)
	}
	return nil
}

// configure writes the handbook's policy with all that it names, as far as the
// test's servers are elsewhere and quicker.
func (l *leak) configure(policy, autonomy string) {
	l.t.Helper()
	p := leakNamed(l.t, l.handbook("policies.yaml")["policies"], policy)
	p["autonomy"], p["verify"] = autonomy, map[string]any{"within": l.verify}
	for _, s := range p["runbook"].([]any) {
		step := s.(map[string]any)
		if step["within"] != nil && l.within != "" {
			step["within"] = l.within
		}
		l.steps = append(l.steps, step)
	}
	d := leakNamed(l.t, l.handbook("detectors.yaml")["detectors"], p["on"].(string))
	d["interval"], d["clear"], d["logs"] = "1s", map[string]any{"for": "2s"}, map[string]any{"window": "15s", "delay": "1s"}
	tools := l.handbook("switches.yaml")["tools"].(map[string]any)
	used := map[string]any{}
	for _, s := range l.steps {
		for _, name := range s {
			if tool, ok := tools[fmt.Sprint(name)]; ok {
				used[name.(string)] = l.reached(tool.(map[string]any))
			}
		}
	}
	l.file("handbook.yaml", map[string]any{
		"policies": []any{p}, "detectors": []any{d}, "tools": used,
		"sources": map[string]any{
			"logs":    map[string]any{"kind": "loki", "url": l.logs.URL, "timeout": "5s", "unknown_after": "60s"},
			"cluster": map[string]any{"kind": "kubernetes", "kubeconfig": "secrets/kubeconfig"},
		},
		"people": map[string]any{"sre-lead": map[string]any{"token_file": "secrets/sre-lead", "may": []any{map[string]any{"do": []string{"view", "control", "approve"}}}}},
	})
	owner := func(primary, key string) map[string]any {
		return map[string]any{"primary": primary, "escalation": "pagerduty", "pagerduty": map[string]any{"primary_key_file": key, "url": l.pagerURL}}
	}
	l.file("owners.yaml", map[string]any{"default_owner": "devops", "owners": map[string]any{
		"devops": owner("@sre-lead", "secrets/devops"), "payments": owner("@payments-lead", "secrets/backend"),
	}})
	config, err := os.ReadFile(l.kube.Kubeconfig(servers.Daemon))
	l.mustBe(err)
	l.write("secrets/kubeconfig", string(config))
	l.secret("sre-lead", leakPerson)
	l.secret("slack-bot", leakSlack)
	l.secret("tracker", leakDesks)
	l.secret("psp-admin", leakDesks)
}

// reached is a tool of the handbook whose server is the test's.
func (l *leak) reached(tool map[string]any) map[string]any {
	if s, ok := tool["slack"].(map[string]any); ok {
		s["api_url"] = l.api
	}
	if w, ok := tool["webhook"].(map[string]any); ok {
		_, path, _ := strings.Cut(strings.TrimPrefix(w["url"].(string), "https://"), "/")
		w["url"], w["networks"] = l.desk.URL+"/"+path, []string{"127.0.0.0/8"}
	}
	return tool
}

func (l *leak) file(name string, content any) {
	l.t.Helper()
	text, err := yaml.Marshal(content)
	l.mustBe(err)
	l.write(name, string(text))
}

// handbook reads a file of deploy/handbook.
func (l *leak) handbook(name string) map[string]any {
	l.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "handbook", name))
	l.mustBe(err)
	var all map[string]any
	l.mustBe(yaml.Unmarshal(text, &all))
	return all
}

func leakNamed(t *testing.T, list any, name string) map[string]any {
	t.Helper()
	for _, one := range list.([]any) {
		if m := one.(map[string]any); m["name"] == name {
			return m
		}
	}
	t.Fatalf("the handbook has no %s", name)
	return nil
}

// watched waits until Loki was read well, and nothing is wrong.
func (l *leak) watched() {
	l.t.Helper()
	l.eventually("good rounds of Loki", func() error {
		body, err := l.metrics()
		if err == nil && (!strings.Contains(body, `signalbox_poll_last_good_round_timestamp_seconds{source="logs"} `) ||
			strings.Contains(body, `signalbox_poll_last_good_round_timestamp_seconds{source="logs"} 0`+"\n")) {
			err = fmt.Errorf("none yet")
		}
		return err
	})
	l.steadily(2*time.Second, "all is well", func() error {
		if n := len(l.status().Incidents); n > 0 {
			return fmt.Errorf("%d incidents are open", n)
		}
		return nil
	})
}

// ask reads from the daemon as the person.
func (l *leak) ask(path string, out any) {
	l.t.Helper()
	req, err := http.NewRequestWithContext(l.t.Context(), http.MethodGet, l.control+path, http.NoBody)
	l.mustBe(err)
	req.Header.Set("Authorization", "Bearer "+leakPerson)
	resp, err := http.DefaultClient.Do(req)
	l.mustBe(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		l.t.Fatalf("%s: %s", path, resp.Status)
	}
	l.mustBe(json.NewDecoder(resp.Body).Decode(out))
}

func (l *leak) status() (st engine.Status) {
	l.t.Helper()
	l.ask("/api/v1/status", &st)
	return st
}

// approvals are the requests that are open.
func (l *leak) approvals() (open []signalbox.Approval) {
	l.t.Helper()
	var all []signalbox.Approval
	l.ask("/api/v1/approvals", &all)
	for i := range all {
		if all[i].Open(time.Now()) {
			open = append(open, all[i])
		}
	}
	return open
}

// as runs signalboxctl as the person.
func (l *leak) as(args ...string) (string, int) {
	l.t.Helper()
	return l.operate(append([]string{"--token-file", filepath.Join(l.config, "secrets", "sre-lead")}, args...)...)
}

// asked is the open request for a step: by its move, its tool or its kind.
func (l *leak) asked(step string) (signalbox.Approval, error) {
	l.t.Helper()
	all := l.approvals()
	for i := range all {
		s := l.steps[all[i].Index]
		for key, value := range s {
			if key == step && key != "to" || value == step {
				return all[i], nil
			}
		}
	}
	return signalbox.Approval{}, fmt.Errorf("%s is not asked for, but %+v", step, all)
}

func (l *leak) asksFor(step, text string) func() error {
	return func() error {
		a, err := l.asked(step)
		if err == nil && !strings.Contains(a.Why, text) {
			err = fmt.Errorf("it is asked for since %q, which does not name %s", a.Why, text)
		}
		return err
	}
}

// approve waits until a step is asked for, and approves it as a person does.
func (l *leak) approve(step string) { l.answer(step, "approve", "seen") }

func (l *leak) deny(step, why string) { l.answer(step, "deny", why) }

func (l *leak) answer(step, word, why string) {
	l.t.Helper()
	l.eventually("a person to "+word+" "+step, func() error {
		a, err := l.asked(step)
		if err != nil {
			return err
		}
		if said, code := l.as(word, "--reason", why, string(a.ID)); code != 0 {
			return fmt.Errorf("exit code %d: %s", code, said)
		}
		return nil
	})
}

// explained reports that explain says something of an incident.
func (l *leak) explained(text string) func() error {
	return func() error {
		st := l.status()
		for i := range st.Incidents {
			if said, _ := l.as("explain", string(st.Incidents[i].ID)); strings.Contains(said, text) {
				return nil
			}
		}
		return fmt.Errorf("no incident is explained by %q: %+v", text, st.Incidents)
	}
}

// pageSays reports that a page about something was brought up to date with
// words.
func (l *leak) pageSays(about string, words ...string) func() error {
	return func() error {
		var said []string
		for _, inc := range l.pages(about) {
			for _, e := range inc.Events {
				if !slices.ContainsFunc(words, func(w string) bool { return !bytes.Contains(e.Raw, []byte(w)) }) {
					return nil
				}
				said = append(said, string(e.Raw))
			}
		}
		return fmt.Errorf("no page about %s has %q: %q", about, words, said)
	}
}

// paged reports that devops has a page about something.
func (l *leak) paged(about string) func() error {
	return func() error {
		for _, inc := range l.pages(about) {
			if inc.RoutingKey == devopsKey {
				return nil
			}
		}
		return fmt.Errorf("nobody is paged about %s", about)
	}
}

// ready waits for the daemon while the world goes on.
func (l *leak) ready() {
	l.t.Helper()
	l.eventually("the daemon to be ready", func() error { return l.get(context.WithoutCancel(l.t.Context()), "/-/ready", nil) })
}
