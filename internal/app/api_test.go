package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/engine"
)

func (h *house) status() engine.Status {
	h.t.Helper()
	got := h.send(h.request(http.MethodGet, h.control+"/api/v1/status", ""))
	var st engine.Status
	if err := json.Unmarshal([]byte(got.body), &st); err != nil || got.status != http.StatusOK {
		h.t.Fatalf("status: %d %s: %v", got.status, got.body, err)
	}
	return st
}

// command posts a control.
func (h *house) command(body string) answered {
	h.t.Helper()
	req := h.request(http.MethodPost, h.control+"/api/v1/control", body)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	return h.send(req)
}

func TestControlIsRefused(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	for _, c := range []struct {
		name, body string
		edit       func(*http.Request)
		status     int
		says       string
	}{
		{"a form of another site", `{"kind":"kill","scope":"all"}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "application/json"},
		{"no content type", `{"kind":"kill","scope":"all"}`, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "application/json"},
		{"another site", `{"kind":"kill","scope":"all"}`, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, ""},
		{"another origin", `{"kind":"kill","scope":"all"}`, func(r *http.Request) { r.Header.Set("Origin", "https://elsewhere.example") }, 403, ""},
		{"read", "", func(r *http.Request) { r.Method = http.MethodGet }, 405, ""},
		{"no JSON", `kill`, nil, 400, "body"},
		{"an unknown field", `{"kind":"kill","scope":"all","force":true}`, nil, 400, "force"},
		{"a bare number for a time", `{"kind":"pause","scope":"all","for":30}`, nil, 400, "body"},
		{"too large", `{"reason":"` + strings.Repeat("x", 1<<17) + `"}`, nil, 400, "too large"},
		{"an unknown kind", `{"kind":"explode","scope":"all"}`, nil, 422, "explode"},
		{"a scope of nothing", `{"kind":"pause","scope":"policy/none"}`, nil, 422, "policy/none"},
		{"no scope", `{"kind":"pause"}`, nil, 422, "scope"},
		{"nothing to resume", `{"kind":"resume","scope":"all"}`, nil, 422, "nothing is paused"},
		{"no such target", `{"kind":"release","scope":"target/none"}`, nil, 422, "none"},
		{"no such incident", `{"kind":"acknowledge","scope":"incident/none"}`, nil, 422, "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := h.request(http.MethodPost, h.control+"/api/v1/control", c.body)
			req.Header.Set("Content-Type", "application/json")
			if c.edit != nil {
				c.edit(req)
			}
			got := h.send(req)
			if got.status != c.status || !strings.Contains(got.body, c.says) {
				t.Errorf("got %d %s, want %d that says %q", got.status, got.body, c.status, c.says)
			}
		})
	}
	if st := h.status(); st.Controls.Killed != nil || len(st.Controls.Pauses) != 0 {
		t.Errorf("a refused control is in force: %+v", st.Controls)
	}
}

func TestControlIsInForceAndTold(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	if got := h.command(`{"kind":"pause","scope":"owner/devops","for":"1h","reason":"migration"}`); got.status != http.StatusOK {
		t.Fatalf("pause: %d %s", got.status, got.body)
	}
	pauses := h.status().Controls.Pauses
	if len(pauses) != 1 || pauses[0].Scope != "owner/devops" || pauses[0].Reason != "migration" || !strings.HasPrefix(pauses[0].Who, "unauthenticated from 127.0.0.1") {
		t.Fatalf("pauses: got %+v", pauses)
	}
	if d := pauses[0].Until.Sub(pauses[0].At); d.Hours() < 0.99 || d.Hours() > 1.01 {
		t.Errorf("the pause lasts %v, want 1h", d)
	}
	for _, body := range []string{`{"kind":"resume","scope":"owner/devops"}`, `{"kind":"kill","scope":"all"}`} {
		if got := h.command(body); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", body, got.status, got.body)
		}
	}
	if c := h.status().Controls; len(c.Pauses) != 0 || c.Killed == nil {
		t.Errorf("controls: got %+v, want killed and not paused", c)
	}
}

// Without the store nothing that needs it is answered as if it was there.
func TestAPIWithoutTheStore(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	h.loseStore()
	if got := h.command(`{"kind":"kill","scope":"all"}`); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, engine.ErrNoTerm.Error()) {
		t.Errorf("kill: got %d %s, want 503", got.status, got.body)
	}
	if got := h.send(h.request(http.MethodGet, h.control+"/api/v1/incidents/0123456789", "")); got.status != http.StatusServiceUnavailable {
		t.Errorf("explain: got %d, want 503", got.status)
	}
	if st := h.status(); st.Leading {
		t.Error("the status says that it leads")
	}
	for _, path := range []string{"/-/healthy", "/metrics"} {
		if got := h.send(h.request(http.MethodGet, h.control+path, "")); got.status != http.StatusOK {
			t.Errorf("%s: got %d, want 200", path, got.status)
		}
	}
}

func TestExplainNamesTheIncident(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	h.send(h.post("/webhooks/am", message("Explained", 0)))
	h.eventually("the incident", func() bool { return len(h.status().Incidents) == 1 })
	id := string(h.status().Incidents[0].ID)
	for _, c := range []struct {
		id     string
		status int
	}{{id, 200}, {id[:6], 200}, {id[:2], 404}, {"none", 404}} {
		got := h.send(h.request(http.MethodGet, h.control+"/api/v1/incidents/"+c.id, ""))
		if got.status != c.status || (c.status == 200) != strings.Contains(got.body, `"Explained"`) {
			t.Errorf("%s: got %d %s, want %d", c.id, got.status, got.body, c.status)
		}
	}
}
