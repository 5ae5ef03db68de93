package app

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

const (
	leadToken   = "lead-token-0123456789"
	viewerToken = "viewer-token-0123456789"
	oncallToken = "oncall-token-0123456789"
)

// staffed is a configuration with a lead who may do all, one who only looks,
// and one on call for an owner who is not the incident's.
const staffed = alertsOnly + `
people:
  lead: {token_file: secrets/lead, client_names: [lead@example.org], user: lead, may: [{do: [view, control, kill, approve, reload]}]}
  viewer: {token_file: secrets/viewer, may: [{do: [view]}]}
  oncall: {token_file: secrets/oncall, may: [{do: [view, control, approve], on: [owner/devops]}]}
`

func newStaffed(t *testing.T) *house {
	h := newHouse(t, staffed)
	h.write("secrets/lead", leadToken)
	h.write("secrets/viewer", viewerToken)
	h.write("secrets/oncall", oncallToken)
	return h
}

// as sends a request of a person; an empty token is of nobody.
func (h *house) as(token, method, path, body string, edits ...func(*http.Request)) answered {
	h.t.Helper()
	req := h.request(method, h.control+path, body)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, edit := range edits {
		edit(req)
	}
	return h.send(req)
}

func TestNobodyIsTurnedAway(t *testing.T) {
	h := newStaffed(t).open()
	paths := []struct{ method, path, body string }{
		{"GET", "/api/v1/status", ""},
		{"GET", "/api/v1/policies", ""},
		{"GET", "/api/v1/approvals", ""},
		{"GET", "/api/v1/incidents/0123", ""},
		{"GET", "/api/v1/whynot?incident=0123&policy=x", ""},
		{"POST", "/api/v1/control", `{"kind":"kill","scope":"all"}`},
		{"POST", "/api/v1/approvals/x", `{"answer":"approve"}`},
		{"POST", "/-/reload", ""},
		{"POST", "/api/v1/store/members", `{"do":"remove","name":"a"}`},
		{"GET", "/debug/pprof/", ""},
		{"GET", "/api/v1/none", ""},
		{"GET", "/metrics/../api/v1/status", ""},
		{"GET", "//metrics", ""},
		{"GET", "/-/healthy/", ""},
		{"GET", "/%2e%2e/metrics", ""},
	}
	for _, p := range paths {
		for name, edit := range map[string]func(*http.Request){
			"no token":               func(*http.Request) {},
			"a wrong token":          func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+leadToken+"x") },
			"an empty token":         func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") },
			"a user nobody checked":  func(r *http.Request) { r.SetBasicAuth("lead", "anything") },
			"a token in the address": func(r *http.Request) { r.URL.RawQuery += "&access_token=" + leadToken },
			"a token in a cookie":    func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "token", Value: leadToken}) },
			"a proxy's word": func(r *http.Request) {
				r.Header.Set("X-Forwarded-User", "lead")
				r.Header.Set("X-Forwarded-For", "127.0.0.1")
			},
		} {
			if got := h.as("", p.method, p.path, p.body, edit); got.status != http.StatusUnauthorized {
				t.Errorf("%s %s with %s: got %d %s, want 401", p.method, p.path, name, got.status, got.body)
			}
		}
	}
	for _, path := range []string{"/-/healthy", "/-/ready", "/metrics"} {
		if got := h.as("", "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("%s: got %d, want 200 for a probe", path, got.status)
		}
	}
	if n := testutil.ToFloat64(h.d.metrics.refusals.WithLabelValues("nobody")); n < float64(len(paths)*7) {
		t.Errorf("%v refusals are counted, want at least %d", n, len(paths)*7)
	}
	if strings.Contains(h.log.String(), leadToken) {
		t.Error("the log holds a token")
	}
	if st := h.statusAs(leadToken); st.Controls.Killed != nil {
		t.Error("nobody threw the kill switch")
	}
}

func TestRights(t *testing.T) {
	h := newStaffed(t).open()
	h.send(h.post("/webhooks/am", message("Ill", 0)))
	h.eventually("the incident", func() bool { return len(h.statusAs(leadToken).Incidents) == 1 })
	id := string(h.statusAs(leadToken).Incidents[0].ID)
	control := func(kind, scope string) string {
		return `{"kind":"` + kind + `","scope":"` + scope + `","reason":"a test"}`
	}
	for _, c := range []struct {
		name, token, method, path, body string
		status                          int
		says                            string
	}{
		{"viewer looks", viewerToken, "GET", "/api/v1/status", "", 200, ""},
		{"viewer explains", viewerToken, "GET", "/api/v1/incidents/" + id, "", 200, ""},
		{"viewer pauses", viewerToken, "POST", "/api/v1/control", control("pause", "all"), 403, "control on all"},
		{"viewer kills", viewerToken, "POST", "/api/v1/control", control("kill", "all"), 403, "kill on all"},
		{"viewer approves", viewerToken, "POST", "/api/v1/approvals/none", `{"answer":"approve"}`, 404, "no such approval"},
		{"viewer reloads", viewerToken, "POST", "/-/reload", "", 403, "reload"},
		{"viewer takes", viewerToken, "POST", "/api/v1/control", control("take", "incident/"+id), 403, "owner/devops"},
		{"on call looks at all", oncallToken, "GET", "/api/v1/status", "", 403, "view on all"},
		{"on call explains its own", oncallToken, "GET", "/api/v1/incidents/" + id[:6], "", 200, ""},
		{"on call asks for what is not there", oncallToken, "GET", "/api/v1/incidents/ffff0000", "", 403, "view"},
		{"on call pauses all", oncallToken, "POST", "/api/v1/control", control("pause", "all"), 403, "control on all"},
		{"on call kills", oncallToken, "POST", "/api/v1/control", control("kill", "owner/devops"), 403, "kill on all"},
		{"on call pauses a target", oncallToken, "POST", "/api/v1/control", control("pause", "target/x"), 403, "target/x"},
		{"on call takes its own", oncallToken, "POST", "/api/v1/control", control("take", "incident/"+id[:6]), 200, `"incident/` + id},
		{"on call pauses its own", oncallToken, "POST", "/api/v1/control", control("pause", "owner/devops"), 200, `"who":"oncall"`},
		{"lead kills", leadToken, "POST", "/api/v1/control", control("kill", "all"), 200, `"who":"lead"`},
		{"on call lifts the kill switch", oncallToken, "POST", "/api/v1/control", control("resume", "all"), 403, "kill on all"},
		{"lead lifts it", leadToken, "POST", "/api/v1/control", control("resume", "all"), 200, ""},
		{"lead reloads", leadToken, "POST", "/-/reload", "", 200, "config"},
		{"lead acknowledges as the pager", leadToken, "POST", "/api/v1/control", control("unacknowledge", "incident/"+id), 422, "only the pager"},
		{"an end of a release", leadToken, "POST", "/api/v1/control", `{"kind":"release","scope":"all","for":"1h"}`, 422, "only pause"},
		{"two ends", leadToken, "POST", "/api/v1/control", `{"kind":"eta","scope":"incident/` + id + `","for":"1h","until":"2100-01-01T00:00:00Z"}`, 422, "both"},
		{"an estimate", leadToken, "POST", "/api/v1/control", `{"kind":"eta","scope":"incident/` + id + `","for":"1h"}`, 200, "until"},
		{"why not an unknown policy", leadToken, "GET", "/api/v1/whynot?policy=none&incident=" + id, "", 404, "none"},
		{"why not of nothing", leadToken, "GET", "/api/v1/whynot", "", 400, "incident"},
		{"policies", leadToken, "GET", "/api/v1/policies", "", 200, "[]"},
	} {
		if got := h.as(c.token, c.method, c.path, c.body); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: got %d %s, want %d that says %q", c.name, got.status, got.body, c.status, c.says)
		}
	}
	x := h.as(leadToken, "GET", "/api/v1/incidents/"+id, "")
	for _, want := range []string{`"kind":"take"`, `"pages":[`, `"eta":{`} {
		if !strings.Contains(x.body, want) {
			t.Errorf("the explanation must hold %s: %s", want, x.body)
		}
	}
}

func TestRequestsThatTryTheDoor(t *testing.T) {
	h := newStaffed(t).open()
	kill := `{"kind":"kill","scope":"all","reason":"x"}`
	for name, c := range map[string]struct {
		method, path, body string
		edit               func(*http.Request)
		status             int
	}{
		"another site":        {"POST", "/api/v1/control", kill, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"another origin":      {"POST", "/api/v1/control", kill, func(r *http.Request) { r.Header.Set("Origin", "https://elsewhere.example") }, 403},
		"a form":              {"POST", "/api/v1/control", kill, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"a form of approval":  {"POST", "/api/v1/approvals/x", `{"answer":"approve"}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415},
		"a huge body":         {"POST", "/api/v1/control", `{"reason":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 400},
		"a huge approval":     {"POST", "/api/v1/approvals/x", `{"answer":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 400},
		"an unknown field":    {"POST", "/api/v1/approvals/x", `{"answer":"approve","who":"lead"}`, nil, 400},
		"who, of the body":    {"POST", "/api/v1/control", `{"kind":"kill","scope":"all","who":"other"}`, nil, 400},
		"two bodies":          {"POST", "/api/v1/control", kill + kill, nil, 400},
		"an odd answer":       {"POST", "/api/v1/approvals/x", `{"answer":"yes"}`, nil, 422},
		"deny without reason": {"POST", "/api/v1/approvals/x", `{"answer":"deny","reason":" "}`, nil, 422},
		"no such approval":    {"POST", "/api/v1/approvals/x", `{"answer":"deny","reason":"no"}`, nil, 404},
		"a method override": {"GET", "/api/v1/control", kill, func(r *http.Request) {
			r.Header.Set("X-HTTP-Method-Override", "POST")
			r.Header.Set("X-Method-Override", "POST")
		}, 405},
		"reload by a link": {"GET", "/-/reload", "", func(r *http.Request) { r.Header.Set("X-HTTP-Method-Override", "POST") }, 405},
	} {
		if got := h.as(leadToken, c.method, c.path, c.body, func(r *http.Request) {
			if c.edit != nil {
				c.edit(r)
			}
		}); got.status != c.status {
			t.Errorf("%s: got %d %s, want %d", name, got.status, got.body, c.status)
		}
	}
	if st := h.statusAs(leadToken); st.Controls.Killed != nil {
		t.Error("a refused request threw the kill switch")
	}
}

// asked puts a request for approval into the store, on an open incident whose
// switch was set in motion by trigger, before the daemon begins.
func (h *house) asked(id signalbox.ApprovalID, trigger string) {
	h.t.Helper()
	now := time.Now()
	r := signalbox.Reading{Detector: "alerts", Series: "s", Subject: "s", Episode: "1", Condition: signalbox.Breached, At: now, OnsetAt: now}
	inc := &signalbox.Incident{ID: signalbox.NewIncidentID(r), DedupKey: signalbox.DedupKey(r), Reading: r, Owner: "devops", OnsetAt: now, OpenedAt: now, Trigger: trigger}
	a := &signalbox.Approval{
		ID: id, Incident: inc.ID, Policy: "p", Bound: "x", Why: "a test", Targets: []signalbox.Target{"t"}, AskedAt: now,
		Expires: now.Add(time.Hour), Trigger: trigger, TwoPersons: true, State: signalbox.Asked,
	}
	for _, c := range []journal.Change{journal.PutIncident(inc), journal.PutApproval(a)} {
		if _, err := h.store.Commit(h.t.Context(), store.Txn{Puts: []store.Put{{Key: string(c.Key), Value: c.Value}}}); err != nil {
			h.t.Fatal(err)
		}
	}
}

func TestApprovalAtTheDoor(t *testing.T) {
	h := newStaffed(t)
	h.asked("0123456789ab", "lead")
	h.open()
	const path = "/api/v1/approvals/0123456789ab"
	if got := h.as(viewerToken, "GET", "/api/v1/approvals", ""); got.status != 200 || !strings.Contains(got.body, "0123456789ab") {
		t.Fatalf("list: got %d %s", got.status, got.body)
	}
	for _, c := range []struct {
		name, token, body string
		status            int
		says              string
	}{
		{"a viewer", viewerToken, `{"answer":"approve"}`, 403, "approve on policy/p or owner/devops"},
		{"a viewer denies", viewerToken, `{"answer":"deny","reason":"no"}`, 403, "approve on"},
		{"the one who set it in motion", leadToken, `{"answer":"approve"}`, 422, "two persons"},
		{"another", oncallToken, `{"answer":"approve","reason":"seen"}`, 200, `"who":"oncall"`},
		{"twice", oncallToken, `{"answer":"approve"}`, 422, "already"},
		{"denied afterwards", leadToken, `{"answer":"deny","reason":"no"}`, 422, "already"},
	} {
		if got := h.as(c.token, "POST", path, c.body); got.status != c.status || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: got %d %s, want %d that says %q", c.name, got.status, got.body, c.status, c.says)
		}
	}
	if testutil.ToFloat64(h.d.metrics.refusals.WithLabelValues("approve")) != 2 {
		t.Error("two refusals for the right to approve are to be counted")
	}
}

// Without people nobody has a name: approvals are refused, and nothing else is.
func TestApprovalNeedsPeople(t *testing.T) {
	h := newHouse(t, alertsOnly)
	h.asked("0123456789ab", "")
	h.open()
	got := h.as("", "POST", "/api/v1/approvals/0123456789ab", `{"answer":"approve"}`)
	if got.status != http.StatusForbidden || !strings.Contains(got.body, "no people") {
		t.Errorf("got %d %s, want 403", got.status, got.body)
	}
}

// A reload takes a person's rights away, and a token that was rotated counts
// at once.
func TestRightsFollowTheConfiguration(t *testing.T) {
	h := newStaffed(t).open()
	h.write("secrets/viewer", "another-token-0123456789")
	if got := h.as(viewerToken, "GET", "/api/v1/status", ""); got.status != 401 {
		t.Errorf("an old token: got %d, want 401", got.status)
	}
	h.write("story.yaml", strings.Replace(staffed, "view, control, kill, approve, reload", "view", 1))
	if got := h.as(leadToken, "POST", "/-/reload", ""); got.status != 200 {
		t.Fatalf("reload: %d %s", got.status, got.body)
	}
	if got := h.as(leadToken, "POST", "/-/reload", ""); got.status != 403 {
		t.Errorf("a right that was taken away: got %d, want 403", got.status)
	}
}

func (h *house) statusAs(token string) (st struct {
	Controls  signalbox.Controls
	Incidents []signalbox.Incident
},
) {
	h.t.Helper()
	got := h.as(token, http.MethodGet, "/api/v1/status", "")
	if err := json.Unmarshal([]byte(got.body), &st); err != nil || got.status != http.StatusOK {
		h.t.Fatalf("status: %d %s: %v", got.status, got.body, err)
	}
	return st
}
