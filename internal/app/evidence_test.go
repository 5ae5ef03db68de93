package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/test/standin/github"
)

// What the configuration lists is looked for around a new incident: a source is
// asked, and where the rest is is linked. Both are on the incident.
func TestEvidenceIsOnTheIncident(t *testing.T) {
	hub, err := github.New(github.Options{Token: botToken})
	if err != nil {
		t.Fatal(err)
	}
	hub.SetWorkflows("acme/shop", github.Workflow{ID: 7, Name: "Deploy", File: "deploy.yml"})
	hub.SetRuns(7, github.Run{ID: 1, Number: 12, Conclusion: "success", Branch: "v1.2", Created: time.Now().Add(-5 * time.Minute)})
	server := httptest.NewServer(hub)
	t.Cleanup(server.Close)
	h := newStaffed(t)
	h.write("secrets/github", botToken)
	h.write("evidence.yaml", fmt.Sprintf(`
sources:
  actions: {kind: github, url: %q, authorization: {credentials_file: secrets/github}}
evidence:
  - name: deploys
    source: actions
    repository: acme/shop
    workflow: deploy.yml
    links: [{text: traces, href: "https://traces.example/explore?q={{subject}}"}]
`, server.URL))
	h.open()
	h.alert("PayoutsLate", "eu", "firing", time.Now())
	var st engine.Status
	h.eventually("the evidence", func() bool {
		got := h.as(leadToken, http.MethodGet, "/api/v1/status", "")
		return json.Unmarshal([]byte(got.body), &st) == nil && len(st.Incidents) == 1 && !st.Incidents[0].LookedAt.IsZero()
	})
	found := st.Incidents[0].Evidence
	if len(found) != 2 || found[0].Text != "deploy.yml run 12 of v1.2: success" || found[0].Link == nil ||
		found[1].Link == nil || found[1].Link.Href != "https://traces.example/explore?q=PayoutsLate" {
		t.Errorf("got %+v", found)
	}
	if text := fmt.Sprintf("%+v", found); strings.Contains(text, botToken) {
		t.Errorf("a secret is told: %s", text)
	}
}
