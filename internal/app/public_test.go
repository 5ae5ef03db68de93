package app

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/test/standin/slack"
	"github.com/signalbox/signalbox/test/standin/statuspage"
)

const (
	botToken = "xoxb-not-a-real-token"
	pageKey  = "not-a-real-key"
	pageID   = "kctbh9vrtdwd"
	payouts  = "8kbf7d35c070"
)

// publicStory tells of alerts in a channel and, once that is approved, to the
// public.
const publicStory = `
tools:
  incidents:
    slack: {channel: incidents, channel_id: C024BE91L, token_file: secrets/slack, api_url: %q, incident_channel: {prefix: inc, invite: [U0LEAD]}}
  public:
    statuspage:
      page_id: kctbh9vrtdwd
      token_file: secrets/statuspage
      url: %q
      components: {Payouts: 8kbf7d35c070}
      labels: [region]
      name: Payouts are late
      message: "We look into payouts that are late in {{labels.region}}."
      resolved_message: Payouts are on time again.
policies:
  - name: tell
    on: alerts
    autonomy: auto
    runbook:
      - announce: incidents
      - {statuspage: public, to: investigating, promise: 15m}
`

// contractOf is a vendor's description; "": it is not there.
func contractOf(t *testing.T, path ...string) string {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		t.Log("SKIPPED: the checks against the vendors' contracts: set SIGNALBOX_CONTRACTS")
		return ""
	}
	return filepath.Join(append([]string{dir}, path...)...)
}

// publicHouse is a daemon with that configuration, and where it tells.
func publicHouse(t *testing.T) (*house, *slack.Server, *statuspage.Server) {
	t.Helper()
	chat, err := slack.New(slack.Options{Token: botToken, Channels: []string{"C024BE91L"}, Spec: contractOf(t, "slack", "slack.trim.json")})
	if err != nil {
		t.Fatal(err)
	}
	page, err := statuspage.New(statuspage.Options{Token: pageKey, Spec: contractOf(t, "statuspage", "statuspage.trim.json")})
	if err != nil {
		t.Fatal(err)
	}
	page.Set(statuspage.Page{ID: pageID, Name: "Payments", Components: []statuspage.Component{{ID: payouts, Name: "Payouts", Status: "operational"}}})
	chatServer, pageServer := httptest.NewServer(chat), httptest.NewServer(page)
	t.Cleanup(func() {
		chatServer.Close()
		pageServer.Close()
		for _, v := range append(chat.Violations(), page.Violations()...) {
			t.Errorf("violation: %s", v)
		}
	})
	h := newStaffed(t)
	h.write("secrets/slack", botToken)
	h.write("secrets/statuspage", pageKey)
	h.write("public.yaml", fmt.Sprintf(publicStory, chatServer.URL+"/api", pageServer.URL+"/v1"))
	h.write("story.yaml", strings.Replace(staffed, "labels: [alertname]", "labels: [alertname, region]", 1))
	return h, chat, page
}

// alert posts one alert of Alertmanager.
func (h *house) alert(name, region, status string, since time.Time) {
	h.t.Helper()
	ends := "0001-01-01T00:00:00Z"
	if status == "resolved" {
		ends = time.Now().UTC().Format(time.RFC3339Nano)
	}
	body := fmt.Sprintf(`{"version":"4","groupKey":"{}:{}","receiver":"signalbox","status":%[3]q,"truncatedAlerts":0,
"groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://alertmanager:9093",
"alerts":[{"status":%[3]q,"labels":{"alertname":%[1]q,"region":%[2]q},"annotations":{},"startsAt":%[4]q,"endsAt":%[5]q,"generatorURL":""}]}`,
		name, region, status, since.UTC().Format(time.RFC3339Nano), ends)
	if got := h.send(h.post("/webhooks/am", body)); got.status != http.StatusOK {
		h.t.Fatalf("webhook: got %+v", got)
	}
}

// asks are the ids of the approvals that are waited for.
func (h *house) asks() (ids []string) {
	h.t.Helper()
	var list []struct{ ID, State string }
	got := h.as(leadToken, http.MethodGet, "/api/v1/approvals", "")
	if err := json.Unmarshal([]byte(got.body), &list); err != nil {
		h.t.Fatalf("approvals: %+v: %v", got, err)
	}
	for _, a := range list {
		ids = append(ids, a.ID)
	}
	return ids
}

// An alert is announced at once, in one thread and with a channel of its own.
// The public is told once a person has approved it, and nothing before. When
// the alert is over, both say so in place, and the component is well again.
func TestPeopleAndThePublicAreTold(t *testing.T) {
	h, chat, page := publicHouse(t)
	h.open()
	h.eventually("the configuration to be active", func() bool {
		var st engine.Status
		got := h.as(leadToken, http.MethodGet, "/api/v1/status", "")
		return json.Unmarshal([]byte(got.body), &st) == nil && !st.Config.At.IsZero() && st.At.Sub(st.Config.At) > time.Second // an alert's own time is of that precision
	})
	since := time.Now()
	h.alert("PayoutsLate", "EU <!channel>", "firing", since)
	h.eventually("the announcement", func() bool { return len(chat.Messages()) == 1 })
	if m := chat.Messages()[0]; !strings.Contains(m.Text, "*PayoutsLate*") || !strings.Contains(m.Text, "<#C0ROOM") {
		t.Errorf("got %q", m.Text)
	}
	h.eventually("the question", func() bool { return len(h.asks()) == 1 })
	if n := len(page.Page().Incidents); n != 0 {
		t.Fatalf("the public was told %d times before it was approved", n)
	}
	if got := h.as(leadToken, http.MethodPost, "/api/v1/approvals/"+h.asks()[0], `{"answer":"approve","reason":"seen"}`); got.status != http.StatusOK {
		t.Fatalf("approval: got %+v", got)
	}
	h.eventually("the public", func() bool { return len(page.Page().Incidents) == 1 })
	told := page.Page()
	if i := told.Incidents[0]; i.Status != "investigating" || i.Bodies[0] != "We look into payouts that are late in EU ‹!channel›." || told.Components[0].Status != "degraded_performance" {
		t.Errorf("got %+v", told)
	}
	h.alert("PayoutsLate", "EU <!channel>", "resolved", since)
	h.eventually("the end on the page", func() bool { return page.Page().Incidents[0].Status == "resolved" })
	h.eventually("the end in the thread", func() bool { return len(chat.Messages()) == 2 })
	h.eventually("the end of the incident", func() bool { return len(h.statusAs(leadToken).Incidents) == 0 })
	all, last := chat.Messages(), page.Page()
	if all[0].Edits != 1 || all[1].Thread != all[0].TS || !strings.HasPrefix(all[0].Text, "Over: *PayoutsLate*") {
		t.Errorf("got %+v", all)
	}
	if len(last.Incidents) != 1 || last.Components[0].Status != "operational" || last.Incidents[0].Bodies[1] != "Payouts are on time again." {
		t.Errorf("got %+v", last)
	}
	h.stop()
	for _, secret := range []string{botToken, pageKey} {
		if strings.Contains(h.log.String(), secret) {
			t.Error("the log holds a secret")
		}
	}
}
