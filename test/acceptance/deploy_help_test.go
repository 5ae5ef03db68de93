package acceptance

import (
	"context"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/standin/github"
	"github.com/signalbox/signalbox/test/standin/slack"
)

const (
	deployRepository = "acme/shop"
	deployHubToken   = "ghp_a-token-that-only-the-hub-has"
	deployBotToken   = "xoxb-a-token-that-only-the-bot-has"
	deployChannel    = "C024BE91L"
	deployProd       = 7 // ids of the workflows
	deploySmoke      = 8
	deployMigrate    = 9
)

// deployHub is GitHub with the handbook's repository, and the runners that carry
// out what is dispatched there.
type deployHub struct {
	*github.Server
	t    *testing.T
	url  string
	door *deployDoor

	mu       sync.Mutex
	released string // the tag in production
	smokes   string // how smoke tests end
	waiting  bool   // no runner takes what is dispatched
}

// newDeployHub has v1.2.0 in production for days. What was newer was there for
// too short a time, or had smoke tests that failed.
func newDeployHub(t *testing.T) *deployHub {
	t.Helper()
	server, err := github.New(github.Options{Token: deployHubToken, Spec: contractOf(t, filepath.Join("github", "actions.trim.json")), Reset: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	h := &deployHub{Server: server, t: t, released: "v1.2.3", smokes: "success"}
	input := []string{"signalbox_action"}
	h.SetWorkflows(
		deployRepository,
		github.Workflow{ID: deployProd, Name: "deploy-prod", File: "deploy-prod.yml", Inputs: input, RunName: input[0]},
		github.Workflow{ID: deploySmoke, Name: "smoke", File: "smoke.yml", Inputs: input, RunName: input[0]},
		github.Workflow{ID: deployMigrate, Name: "migrate-prod", File: "migrate-prod.yml"},
	)
	h.SetRuns(deployProd, h.deploys()...)
	h.SetRuns(
		deploySmoke,
		deployRun(201, "v1.2.0", "success", 200*time.Hour), deployRun(202, "v1.2.1", "failure", 80*time.Hour),
		deployRun(203, "v1.2.2", "success", 39*time.Hour), deployRun(204, "v1.2.3", "success", 19*time.Hour),
	)
	h.SetRuns(deployMigrate, deployRun(301, "main", "success", 300*time.Hour))
	for _, tag := range []string{"v1.2.0", "v1.2.1", "v1.2.2", "v1.2.3", "v1.3.0"} {
		h.SetTag(tag, deploySHA(tag))
	}
	h.SetDiff(deploySHA("v1.2.0"), deploySHA("v1.3.0"), github.Diff{Status: "ahead", Files: []string{"cmd/shop/main.go"}})
	h.SetDeployments(github.Deployment{ID: 5, SHA: deploySHA("v1.2.0"), Environment: "production", Success: time.Now().Add(-201 * time.Hour), Left: time.Now().Add(-81 * time.Hour)})
	h.door = &deployDoor{to: server}
	listening, done := httptest.NewServer(h.door), make(chan struct{})
	h.url = listening.URL
	go h.run(t.Context(), done)
	t.Cleanup(func() {
		<-done
		listening.Close()
		if got := h.Violations(); len(got) > 0 {
			t.Errorf("GitHub's contract was broken: %q", got)
		}
	})
	return h
}

// deploys are those of before: v1.2.0 is the last one that was there for a day and
// passed its smoke tests.
func (h *deployHub) deploys() []github.Run {
	return []github.Run{
		deployRun(101, "v1.2.0", "success", 201*time.Hour), deployRun(102, "v1.2.1", "success", 81*time.Hour),
		deployRun(103, "v1.2.2", "success", 40*time.Hour), deployRun(104, "v1.2.3", "success", 20*time.Hour),
	}
}

func deployRun(id int64, tag, conclusion string, ago time.Duration) github.Run {
	return github.Run{ID: id, Number: id, Conclusion: conclusion, Branch: tag, SHA: deploySHA(tag), Event: "push", Created: time.Now().Add(-ago)}
}

// deploySHA is the commit of a tag.
func deploySHA(tag string) string {
	return strings.Repeat(fmt.Sprintf("%x", tag[len(tag)-3:]), 7)[:40]
}

// release deploys v1.3.0, the one that is broken.
func (h *deployHub) release() {
	h.SetRuns(deployProd, append(h.deploys(), deployRun(105, "v1.3.0", "success", time.Minute))...)
	h.put("v1.3.0")
}

func (h *deployHub) put(tag string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.released = tag
}

// queue says whether what is dispatched waits for a runner.
func (h *deployHub) queue(waiting bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = waiting
}

func (h *deployHub) queues() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.waiting
}

// production is the tag that production runs.
func (h *deployHub) production() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.released
}

// run carries out each run that was dispatched, in about a second: a deploy puts
// its tag into production.
func (h *deployHub) run(ctx context.Context, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, r := range h.Dispatched() {
			if r.Status == "completed" || time.Since(r.Created) < time.Second || h.queues() {
				continue
			}
			conclusion := "success"
			if strings.HasPrefix(r.Title, "smoke ") {
				conclusion = h.smokes
			} else {
				h.put(r.Branch)
			}
			h.Finish(r.ID, conclusion)
		}
	}
}

// dispatched asserts what was dispatched, each with its tag, by GitHub's own
// record, and that nothing else was written there.
func (h *deployHub) dispatched(want ...string) func() error {
	return func() error {
		var got []string
		for _, r := range h.Dispatched() {
			flow, _, _ := strings.Cut(r.Title, " ")
			got = append(got, flow+" "+r.Branch)
		}
		if writes := h.Writes(); !slices.Equal(got, want) || len(writes) != len(want) {
			return fmt.Errorf("dispatched: got %q by %q, want %q", got, writes, want)
		}
		return nil
	}
}

// deployDesk is Slack with the channel #ops-alerts.
type deployDesk struct {
	*slack.Server
	url  string
	door *deployDoor
}

func newDeployDesk(t *testing.T) *deployDesk {
	t.Helper()
	server, err := slack.New(slack.Options{Token: deployBotToken, Channels: []string{deployChannel}, Spec: contractOf(t, filepath.Join("slack", "slack.trim.json"))})
	if err != nil {
		t.Fatal(err)
	}
	door := &deployDoor{to: server}
	listening := httptest.NewServer(door)
	t.Cleanup(func() {
		listening.Close()
		if got := server.Violations(); len(got) > 0 {
			t.Errorf("Slack's contract was broken: %q", got)
		}
	})
	return &deployDesk{Server: server, url: listening.URL + "/api", door: door}
}

// threads are the messages that began a thread in #ops-alerts.
func (d *deployDesk) threads() (roots []slack.Message) {
	for _, m := range d.Messages() {
		if m.Channel == deployChannel && m.Thread == "" {
			roots = append(roots, m)
		}
	}
	return roots
}

// announced waits for as many threads, each of which says one of the texts.
func (d *deployDesk) announced(want ...string) func() error {
	return func() error {
		roots := d.threads()
		if len(roots) != len(want) {
			return fmt.Errorf("threads: got %d, want %d: %+v", len(roots), len(want), roots)
		}
		for _, text := range want {
			if !slices.ContainsFunc(roots, func(m slack.Message) bool { return strings.Contains(m.Text, text) }) {
				return fmt.Errorf("nothing says %q: %+v", text, roots)
			}
		}
		return nil
	}
}

// ended reports whether all threads were brought to their end in place.
func (d *deployDesk) ended() error {
	for _, m := range d.threads() {
		if m.Edits != 1 || !strings.HasPrefix(m.Text, "Over: ") {
			return fmt.Errorf("not over: %+v", m)
		}
	}
	return nil
}

// deployStaff are those of the handbook's people who answer for deploys, with
// their rights.
func (b *box) deployStaff() {
	b.t.Helper()
	b.staff()
	b.write("people.yaml", `
people:
  sre-lead: {token_file: secrets/token-sre-lead, may: [{do: [view, control, kill, approve, reload]}]}
  be-lead: {token_file: secrets/token-be-lead, may: [{do: [view]}, {do: [control, approve], on: [owner/backend]}]}
`)
}

// deploySources are the sources and the announcements of the handbook's stories
// of deploys.
func (b *box) deploySources(h *deployHub, d *deployDesk) {
	b.t.Helper()
	b.secret("github", deployHubToken)
	b.secret("slack-bot", deployBotToken)
	b.write("deploy.yaml", fmt.Sprintf(`
sources:
  actions: {kind: github, url: %q, authorization: {credentials_file: secrets/github}, refresh: 5s}
tools:
  ops-alerts:
    slack:
      channel: ops-alerts
      channel_id: %s
      token_file: secrets/slack-bot
      api_url: %q
      links:
        - {text: new ticket, url: "https://jira.example/secure/CreateIssueDetails!init.jspa?summary={{subject}}"}
`, h.url, deployChannel, d.url))
}

// deployExplained is what explain says of the open incident of a detector.
func (b *box) deployExplained(detector string) string {
	for _, inc := range b.status().Incidents {
		if inc.Reading.Detector == detector {
			said, _ := b.operate("explain", string(inc.ID))
			return said
		}
	}
	return "nothing: no incident is open"
}
