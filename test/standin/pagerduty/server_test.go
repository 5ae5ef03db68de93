package pagerduty

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	keyA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	keyB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func start(t *testing.T, o Options) (*Server, func(body string) (int, string)) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(func() { s.Close(); srv.Close() })
	return s, func(body string) (int, string) {
		resp, err := http.Post(srv.URL+"/v2/enqueue", "application/json", strings.NewReader(body))
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
}

func spec(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "contracts")
	}
	path := filepath.Join(dir, "pagerduty", "events-v2.json")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: the vendors' contracts are not there; say where in SIGNALBOX_CONTRACTS: %v", err)
	}
	return path
}

func trigger(key, dedup, more string) string {
	return fmt.Sprintf(`{"routing_key":%q,"event_action":"trigger","dedup_key":%q,"payload":{"summary":"s","source":"db","severity":"critical"%s}}`, key, dedup, more)
}

func end(key, action, dedup string) string {
	return fmt.Sprintf(`{"routing_key":%q,"event_action":%q,"dedup_key":%q}`, key, action, dedup)
}

func TestMeaning(t *testing.T) {
	var seen []Outcome
	s, post := start(t, Options{Seen: func(e Event) { seen = append(seen, e.Outcome) }})
	for _, body := range []string{
		end(keyA, "resolve", "x"),     // dropped
		trigger(keyA, "x", ""),        // opened
		trigger(keyA, "x", ""),        // merged
		trigger(keyB, "x", ""),        // opened: dedup is per routing key
		end(keyA, "acknowledge", "x"), // acknowledged
		trigger(keyA, "x", ""),        // merged
		end(keyA, "resolve", "x"),     // resolved
		end(keyA, "acknowledge", "x"), // dropped
		trigger(keyA, "x", ""),        // opened again
	} {
		if code, answer := post(body); code != 202 || !strings.Contains(answer, `"status":"success"`) {
			t.Fatalf("%s: got %d %s", body, code, answer)
		}
	}
	want := []Outcome{Dropped, Opened, Merged, Opened, Acknowledged, Merged, Resolved, Dropped, Opened}
	if !slices.Equal(seen, want) {
		t.Errorf("got  %v\nwant %v", seen, want)
	}
	var states []string
	for _, i := range s.Incidents() {
		states = append(states, fmt.Sprintf("%c %s %d", i.RoutingKey[0], i.Status, i.Merges()))
	}
	if !slices.Equal(states, []string{"a resolved 2", "b triggered 0", "a triggered 0"}) {
		t.Errorf("got %q", states)
	}
	if len(s.Events()) != 9 || len(s.Violations()) != 0 || s.Requests() != 9 {
		t.Errorf("got %d events, %q, %d requests", len(s.Events()), s.Violations(), s.Requests())
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"not JSON":       {"x", "body must be an event"},
		"unknown field":  {`{"routing":"x"}`, "unknown field"},
		"short key":      {trigger("abc", "x", ""), "routing_key must have 32"},
		"unknown key":    {trigger(strings.Repeat("c", 32), "x", ""), "Invalid routing key"},
		"action":         {end(keyA, "trgger", "x"), "event_action must be"},
		"no dedup":       {end(keyA, "resolve", ""), "dedup_key is required"},
		"long dedup":     {trigger(keyA, strings.Repeat("x", 256), ""), "at most 255"},
		"no payload":     {end(keyA, "trigger", "x"), "payload is required"},
		"long summary":   {strings.Replace(trigger(keyA, "x", ""), `"s"`, `"`+strings.Repeat("é", 1025)+`"`, 1), "1 to 1024 characters, got 1025"},
		"no source":      {strings.Replace(trigger(keyA, "x", ""), `"db"`, `""`, 1), "source is required"},
		"severity":       {strings.Replace(trigger(keyA, "x", ""), `"critical"`, `"page"`, 1), "severity must be"},
		"timestamp":      {trigger(keyA, "x", `,"timestamp":"now"`), "timestamp must be"},
		"too large":      {trigger(keyA, "x", `,"component":"`+strings.Repeat("x", mostBody)+`"`), "512 KB"},
		"link":           {strings.Replace(trigger(keyA, "x", ""), `"payload"`, `"links":[{"href":"x"}],"payload"`, 1), "links[0].href"},
		"insecure image": {strings.Replace(trigger(keyA, "x", ""), `"payload"`, `"images":[{"src":"http://x/y"}],"payload"`, 1), "images[0].src"},
	} {
		t.Run(name, func(t *testing.T) {
			s, post := start(t, Options{Keys: []string{keyA, keyB}})
			code, answer := post(c.body)
			if code != 400 || !json.Valid([]byte(answer)) || !slices.ContainsFunc(s.Violations(), func(v string) bool { return strings.Contains(v, c.want) }) {
				t.Errorf("got %d %s, %q", code, answer, s.Violations())
			}
			if len(s.Incidents()) != 0 {
				t.Error("a refused event opened an incident")
			}
		})
	}
}

func TestFaults(t *testing.T) {
	s, post := start(t, Options{})
	s.Fail(
		Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}},
		Fault{Status: 500, Times: 2},
		Fault{Reset: true},
		Fault{Reset: true, AfterEffect: true},
	)
	for i, want := range []int{429, 500, 500, 0, 0, 202} {
		// A client may send a request again whose connection was reused and closed.
		if code, answer := post(trigger(keyA, "x", "")); code != want {
			t.Errorf("request %d: got %d %s, want %d", i, code, answer, want)
		}
	}
	if in := s.Incidents(); len(in) != 1 || in[0].Merges() != 1 {
		t.Errorf("got %+v", in)
	}
	s.Fail(Fault{Status: 503, Times: -1})
	for range 3 {
		if code, _ := post(trigger(keyA, "x", "")); code != 503 {
			t.Errorf("got %d", code)
		}
	}
	s.Mend()
	if code, _ := post(trigger(keyA, "x", "")); code != 202 {
		t.Errorf("got %d", code)
	}
}

func TestContract(t *testing.T) {
	s, post := start(t, Options{Spec: spec(t)})
	if code, answer := post(trigger(keyA, "x", "")); code != 202 || len(s.Violations()) != 0 {
		t.Errorf("got %d %s, %q", code, answer, s.Violations())
	}
	s.Fail(Fault{Status: 500})
	if code, answer := post(trigger(keyA, "x", "")); code != 500 || len(s.Violations()) != 0 {
		t.Errorf("got %d %s, %q", code, answer, s.Violations())
	}
	post(strings.Replace(trigger(keyA, "x", ""), `"critical"`, `"page"`, 1))
	if !slices.ContainsFunc(s.Violations(), func(v string) bool { return strings.HasPrefix(v, "contract: ") && strings.Contains(v, "severity") }) {
		t.Errorf("the contract refused nothing: %q", s.Violations())
	}
	r := httptest.NewRequest(http.MethodPost, "/v2/enqueue", nil)
	if s.contract.response(r, nil, 202, http.Header{"Content-Type": {"application/json"}}, []byte(`{"message":"x"}`)) == nil {
		t.Error("an answer without its status was accepted")
	}
	if _, err := New(Options{Spec: "gone.json"}); err == nil || !strings.Contains(err.Error(), "gone.json") {
		t.Errorf("got %v", err)
	}
}
