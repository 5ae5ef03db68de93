package pagerduty

import (
	"crypto/hmac"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// house is a stand-in and a client of it.
type house struct {
	*Server
	t   *testing.T
	url string
}

func newHouse(t *testing.T, o Options) *house {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); srv.Close() })
	return &house{Server: s, t: t, url: srv.URL}
}

func (h *house) ask(method, path, body string, edit ...func(*http.Request)) (int, map[string]any) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/vnd.pagerduty+json;version=2")
	req.Header.Set("Authorization", "Token token=k")
	req.Header.Set("From", "a@x.example")
	for _, f := range edit {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	var out map[string]any
	b, _ := io.ReadAll(resp.Body)
	_ = json.Unmarshal(b, &out)
	return resp.StatusCode, out
}

const opens = `{"incident":{"type":"incident","title":"t","service":{"id":"P1","type":"service_reference"},"incident_key":"k"}}`

// Every answer of the REST API is one of PagerDuty's description.
func TestRESTContract(t *testing.T) {
	h := newHouse(t, Options{RESTSpec: filepath.Join(filepath.Dir(spec(t)), "rest.trim.json"), Services: []Service{{ID: "P1", EscalationPolicy: "PE"}}})
	target := `{"message":"m","requester_id":"PU","responder_request_targets":[{"responder_request_target":{"id":"PT","type":"user_reference"}}]}`
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/incidents", opens, 201},
		{"POST", "/incidents", opens, 400}, // one is open
		{"POST", "/incidents", strings.Replace(opens, `"P1"`, `"P2"`, 1), 400},
		{"GET", "/incidents?incident_key=k&statuses[]=triggered&statuses[]=acknowledged&date_range=all&sort_by=created_at:desc", "", 200},
		{"PUT", "/incidents/Q000000000001", `{"incident":{"type":"incident_reference","status":"acknowledged"}}`, 200},
		{"GET", "/incidents/Q000000000001", "", 200},
		{"GET", "/incidents/Q000000000009", "", 404},
		{"POST", "/incidents/Q000000000001/notes", `{"note":{"content":"n"}}`, 200},
		{"GET", "/incidents/Q000000000001/notes", "", 200},
		{"POST", "/incidents/Q000000000001/status_updates", `{"message":"m"}`, 200},
		{"POST", "/incidents/Q000000000001/responder_requests", target, 200},
		{"GET", "/incidents/Q000000000001/log_entries", "", 200},
		{"GET", "/incidents", "", 200},
		{"GET", "/services", "", 200},
		{"GET", "/webhook_subscriptions", "", 200},
	} {
		if status, answer := h.ask(c.method, c.path, c.body); status != c.status {
			t.Errorf("%s %s: got %d %v, want %d", c.method, c.path, status, answer, c.status)
		}
	}
	if v := h.Violations(); len(v) != 0 {
		t.Errorf("got %q", v)
	}
	h.ask("POST", "/incidents", `{"incident":{"title":"t"}}`)
	if !slices.ContainsFunc(h.Violations(), func(v string) bool { return strings.HasPrefix(v, "contract: ") && strings.Contains(v, "type") }) {
		t.Errorf("the contract refused nothing: %q", h.Violations())
	}
}

func TestRESTRefuses(t *testing.T) {
	h := newHouse(t, Options{APIKeys: []string{"k"}})
	for name, c := range map[string]struct {
		edit   func(*http.Request)
		status int
	}{
		"no key":       {func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"another key":  {func(r *http.Request) { r.Header.Set("Authorization", "Token token=x") }, 401},
		"nobody":       {func(r *http.Request) { r.Header.Del("From") }, 400},
		"no such path": {func(r *http.Request) { r.URL.Path = "/users" }, 404},
	} {
		if status, answer := h.ask("POST", "/incidents", opens, c.edit); status != c.status || answer["error"] == nil {
			t.Errorf("%s: got %d %v", name, status, answer)
		}
	}
	if len(h.Incidents()) != 0 {
		t.Error("a refused request opened an incident")
	}
}

// An event and a request meet in one incident, and what was doubled is counted.
func TestEventsAreIncidents(t *testing.T) {
	h := newHouse(t, Options{Services: []Service{{ID: "P1", EscalationPolicy: "PE", Keys: []string{keyA}}}})
	for range 2 {
		if status, _ := h.ask("POST", "/v2/enqueue", trigger(keyA, "k", "")); status != 202 {
			t.Fatalf("got %d", status)
		}
	}
	h.AcknowledgeAs("k", "Ann")
	_, list := h.ask("GET", "/incidents?incident_key=k&statuses[]=acknowledged", "")
	all, _ := list["incidents"].([]any)
	if len(all) != 1 {
		t.Fatalf("got %v", list)
	}
	in := all[0].(map[string]any)
	acks, _ := in["acknowledgements"].([]any)
	if in["incident_key"] != "k" || len(acks) != 1 || acks[0].(map[string]any)["acknowledger"].(map[string]any)["summary"] != "Ann" {
		t.Errorf("got %v", in)
	}
	h.ask("POST", "/incidents", opens) // refused: it is open on that service
	if c := h.Counts()["k"]; c != (Count{Incidents: 1, Triggers: 3}) {
		t.Errorf("got %+v", c)
	}
	h.ResolveAs("k", "Ann")
	h.ask("POST", "/incidents", opens)
	if c := h.Counts()["k"]; c != (Count{Incidents: 2, Triggers: 4}) {
		t.Errorf("got %+v", c)
	}
}

func TestOutage(t *testing.T) {
	h := newHouse(t, Options{})
	h.Outage(Fault{Status: 503})
	for range 3 {
		if status, _ := h.ask("POST", "/v2/enqueue", trigger(keyA, "k", "")); status != 503 {
			t.Errorf("got %d", status)
		}
	}
	h.Outage(Fault{Reset: true})
	if status, _ := h.ask("GET", "/incidents", ""); status != 0 {
		t.Errorf("got %d", status)
	}
	h.Mend()
	if status, _ := h.ask("POST", "/v2/enqueue", trigger(keyA, "k", "")); status != 202 || len(h.Incidents()) != 1 {
		t.Errorf("got %d, %+v", status, h.Incidents())
	}
}

// receiver answers webhooks with a status of the test's.
type receiver struct {
	status atomic.Int64
	got    chan *http.Request
	bodies chan []byte
}

func receive(t *testing.T) (*receiver, string) {
	r := &receiver{got: make(chan *http.Request, 100), bodies: make(chan []byte, 100)}
	r.status.Store(200)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b, _ := io.ReadAll(req.Body)
		r.got <- req
		r.bodies <- b
		w.WriteHeader(int(r.status.Load()))
	}))
	t.Cleanup(srv.Close)
	return r, srv.URL
}

func TestWebhooks(t *testing.T) {
	h := newHouse(t, Options{Retry: time.Millisecond})
	r, url := receive(t)
	h.Subscribe(url, "secret", "incident.acknowledged")
	r.status.Store(500)
	h.ask("POST", "/v2/enqueue", trigger(keyA, "signalbox-1", ""))
	h.AcknowledgeAs("signalbox-1", "Ann")
	first, body := <-r.got, <-r.bodies
	r.status.Store(200)
	again := <-r.got
	<-r.bodies
	if first.Header.Get("X-Webhook-Id") == "" || first.Header.Get("X-Webhook-Id") != again.Header.Get("X-Webhook-Id") {
		t.Error("an attempt is another webhook than the one before")
	}
	if !hmac.Equal([]byte(first.Header.Get("X-PagerDuty-Signature")), []byte(Sign(body, "secret"))) {
		t.Error("it is not signed")
	}
	var m struct {
		Event struct {
			Type  string `json:"event_type"`
			Agent struct{ Summary, Type string }
			Data  struct {
				Key string `json:"incident_key"`
			}
		}
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Event.Type != "incident.acknowledged" || m.Event.Agent.Summary != "Ann" || m.Event.Agent.Type != "user_reference" || m.Event.Data.Key != "signalbox-1" {
		t.Errorf("got %s, %v", body, err)
	}
}

// Three refusals in a row disable a subscription; 5xx never do.
func TestRefusalsDisableASubscription(t *testing.T) {
	h := newHouse(t, Options{Retry: time.Hour})
	r, url := receive(t)
	h.Subscribe(url, "secret")
	r.status.Store(401)
	for i := range 4 {
		h.ask("POST", "/v2/enqueue", trigger(keyA, "k"+string(rune('a'+i)), ""))
		h.sending.Wait()
	}
	if d := h.Deliveries(); len(d) != 3 || !h.Subscriptions()[0].Disabled {
		t.Errorf("got %+v, %+v", d, h.Subscriptions())
	}
}
