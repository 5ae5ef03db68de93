package app

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// message is a webhook's body with one firing alert.
func message(name string, truncated int) string {
	return fmt.Sprintf(`{"version":"4","groupKey":"{}:{}","receiver":"signalbox","status":"firing","truncatedAlerts":%d,
"groupLabels":{},"commonLabels":{},"commonAnnotations":{},"externalURL":"http://alertmanager:9093",
"alerts":[{"status":"firing","labels":{"alertname":%q},"annotations":{},"startsAt":"2026-03-01T10:00:00Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":""}]}`, truncated, name)
}

// post is the request that Alertmanager would make, with its credential.
func (h *house) post(path, body string) *http.Request {
	h.t.Helper()
	req := h.request(http.MethodPost, h.webhooks+path, body)
	req.Header.Set("Authorization", "Bearer "+postToken)
	req.Header.Set("Content-Type", "application/json")
	return req
}

// Each way to be refused has its status and its count, and leaves nothing
// behind.
func TestWebhookIsRefused(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	good := message("Refused", 0)
	for _, c := range []struct {
		name   string
		path   string
		body   string
		edit   func(*http.Request)
		status int
		result string
	}{
		{"no receiver there", "/webhooks/other", good, nil, 404, "unknown_path"},
		{"an escaped slash", "/webhooks%2Fam", good, nil, 404, "unknown_path"},
		{"a doubled slash", "/webhooks//am", good, nil, 404, "unknown_path"},
		{"a slash too many", "/webhooks/am/", good, nil, 404, "unknown_path"},
		{"an escaped letter", "/webhooks/%61m", good, nil, 404, "unknown_path"},
		{"a way up", "/webhooks/x/../am", good, nil, 404, "unknown_path"},
		{"read", "/webhooks/am", "", func(r *http.Request) { r.Method = http.MethodGet }, 405, "method"},
		{"put", "/webhooks/am", good, func(r *http.Request) { r.Method = http.MethodPut }, 405, "method"},
		{"another method in a header", "/webhooks/am", good, func(r *http.Request) {
			r.Method = http.MethodGet
			r.Header.Set("X-HTTP-Method-Override", "POST")
		}, 405, "method"},
		{"no credential", "/webhooks/am", good, func(r *http.Request) { r.Header.Del("Authorization") }, 401, "credential"},
		{"a wrong credential", "/webhooks/am", good, func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") }, 401, "credential"},
		{"the right one of another scheme", "/webhooks/am", good, func(r *http.Request) { r.SetBasicAuth("x", postToken) }, 401, "credential"},
		{"a form", "/webhooks/am", good, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 415, "shape"},
		{"nearly JSON", "/webhooks/am", good, func(r *http.Request) { r.Header.Set("Content-Type", "application/jsonp") }, 415, "shape"},
		{"packed", "/webhooks/am", good, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }, 415, "shape"},
		{"no JSON", "/webhooks/am", "alert!", nil, 400, "shape"},
		{"nothing", "/webhooks/am", "", nil, 400, "shape"},
		{"another version", "/webhooks/am", strings.Replace(good, `"version":"4"`, `"version":"5"`, 1), nil, 400, "shape"},
		{"too large", "/webhooks/am", strings.Repeat(" ", 1<<20+1), nil, 413, "shape"},
		{"alerts left out", "/webhooks/am", message("Refused", 3), nil, 503, "incomplete"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := h.counted(c.result)
			req := h.post(c.path, c.body)
			if c.edit != nil {
				c.edit(req)
			}
			got := h.send(req)
			if got.status != c.status {
				t.Errorf("status: got %d (%s), want %d", got.status, got.body, c.status)
			}
			if n := h.counted(c.result) - before; n != 1 {
				t.Errorf("count of %s: got %v, want 1", c.result, n)
			}
			if strings.Contains(got.body, postToken) {
				t.Error("the answer holds the secret")
			}
		})
	}
	if n := h.inbox() + len(h.status().Incidents); n != 0 {
		t.Errorf("%d records came of refused webhooks", n)
	}
}

// inbox counts the store's records of webhooks.
func (h *house) inbox() int {
	h.t.Helper()
	kvs, _, err := h.store.List(h.t.Context(), "inbox/")
	if err != nil {
		h.t.Fatal(err)
	}
	return len(kvs)
}

// The connection ends before the body does.
func TestWebhookIsCutOff(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.webhooks, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := message("Cut", 0)
	fmt.Fprintf(conn, "POST /webhooks/am HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		postToken, len(body), body[:len(body)/2])
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	said, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(said), "HTTP/1.1 400 ") || h.counted("cut") != 1 {
		t.Errorf("got %q, cut off %v times, want 400 and once", said, h.counted("cut"))
	}
	if n := len(h.status().Incidents); n != 0 {
		t.Errorf("half a message opened %d incidents", n)
	}
}

// A fault of ours is 503, so that it is sent again; once it is over the same
// message is taken.
func TestWebhookMeetsAFault(t *testing.T) {
	h := newHouse(t, alertsOnly).open()
	secret := filepath.Join(h.dir, "secrets", "am")
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if got := h.send(h.post("/webhooks/am", message("Fault", 0))); got.status != http.StatusServiceUnavailable {
		t.Errorf("without the secret to compare with: got %d, want 503", got.status)
	}
	h.write("secrets/am", postToken)
	h.loseStore()
	if got := h.send(h.post("/webhooks/am", message("Fault", 0))); got.status != http.StatusServiceUnavailable {
		t.Errorf("without the store: got %d, want 503", got.status)
	}
	if n := h.counted("fault"); n != 2 {
		t.Errorf("faults counted: got %v, want 2", n)
	}
	h.store.Mend()
	h.eventually("it is ready", h.ready)
	for range 2 { // a repetition is no other incident
		if got := h.send(h.post("/webhooks/am", message("Fault", 0))); got.status != http.StatusOK {
			t.Fatalf("with the store back: got %d %s, want 200", got.status, got.body)
		}
	}
	h.eventually("one incident", func() bool {
		st := h.status()
		return len(st.Incidents) == 1 && st.Incidents[0].Reading.Subject == "Fault"
	})
}

// What a truncated message leaves out is read from its source; if that can't
// be, nothing is acknowledged.
func TestIncompleteWebhookWithoutItsSource(t *testing.T) {
	h := newHouse(t, strings.Replace(alertsOnly, "reconcile: 0", `reconcile: 0, url: "http://127.0.0.1:1", timeout: 1s`, 1)).open()
	got := h.send(h.post("/webhooks/am", message("Cut", 3)))
	if got.status != http.StatusServiceUnavailable || h.counted("incomplete") != 1 {
		t.Errorf("got %d %s, counted %v, want 503 and 1", got.status, got.body, h.counted("incomplete"))
	}
}
