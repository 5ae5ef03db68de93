package alertmanager

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"

	"github.com/signalbox/signalbox/test/servers"
)

// silencesOf is a source whose Alertmanager answers so.
func silencesOf(t *testing.T, h http.HandlerFunc) *Source {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return opened(t, func(s *Settings) { s.URL = srv.URL })
}

// What we ask, and the answer that our tests understand, are the contract's.
func TestSilencesContract(t *testing.T) {
	router := apiRouter(t)
	body := []byte(fixture(t, "silences.json"))
	src := silencesOf(t, func(w http.ResponseWriter, r *http.Request) {
		in := validRequest(t, router, r)
		err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: http.StatusOK, Header: w.Header(), Body: io.NopCloser(bytes.NewReader(body)),
			Options: &openapi3filter.Options{IncludeResponseStatus: true},
		})
		if err != nil {
			t.Errorf("silences.json is not an answer of the contract: %v", err)
		}
		_, _ = w.Write(body)
	})
	if list, err := src.Silences(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("got %+v and %v", list, err)
	}
}

func TestSilences(t *testing.T) {
	list, err := silencesOf(t, says(fixture(t, "silences.json"))).Silences(t.Context())
	if err != nil || len(list) != 1 { // those that are over or to come are left out
		t.Fatalf("got %+v and %v", list, err)
	}
	s := list[0]
	if s.ID != "4d4b8a2e-5b0f-4d7c-9f83-0a3f2f6f3c11" || s.Who != "sre-lead" || s.Comment != "moving the disks" || !s.Until.Equal(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("got %+v", s)
	}
	for i, values := range []map[string]bool{ // of env, instance, team, zone
		{"prod": true, "prod2": false, "": false},
		{"db-1": true, "db-12": true, "db-1.example": false, "x-db-1": false, "": false}, // as a whole
		{"web": false, "": true, "data": true},
		{"eu-1": false, "us-1": true, "": true},
	} {
		for value, want := range values {
			if got := s.Matchers[i].Matches(value); got != want {
				t.Errorf("matcher of %s, value %q: got %v, want %v", s.Matchers[i].Name, value, got, want)
			}
		}
	}
}

func TestSilencesRefuses(t *testing.T) {
	good := fixture(t, "silences.json")
	for name, c := range map[string]struct{ body, want string }{
		"no list":          {`{}`, "the answer is not a list of silences"},
		"null":             {`null`, "must be a list, got null"},
		"cut off":          {good[:100], "the answer is not a list of silences"},
		"no end":           {strings.Replace(good, `"endsAt"`, `"x"`, 1), "[0]: endsAt: must be given"},
		"no matchers":      {`[{"id":"1","status":{"state":"active"},"endsAt":"2026-03-01T12:00:00Z"}]`, "[0]: matchers: must not be empty"},
		"no expression":    {strings.Replace(good, "db-[0-9]+", "db-[", 1), "[0]: matchers[1]: is no matcher of Alertmanager"},
		"no id":            {strings.Replace(good, `"id"`, `"x"`, 1), "[0]: id: must be given"},
		"a nameless label": {strings.Replace(good, `"name": "env"`, `"name": ""`, 1), "matchers[0]: is no matcher"},
	} {
		list, err := silencesOf(t, says(c.body)).Silences(t.Context())
		if err == nil || list != nil || !strings.Contains(err.Error(), `source "alerts": api v2: silences: `) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v and %v, want %q", name, list, err, c.want)
		}
	}
	if _, err := opened(t, nil).Silences(t.Context()); err == nil || !strings.Contains(err.Error(), "has no url") {
		t.Errorf("without a url: got %v", err)
	}
}

// A real Alertmanager's silence is read, and one that was ended is not.
func TestSilencesOfARealAlertmanager(t *testing.T) {
	am := servers.Alertmanager(t, servers.AlertmanagerOptions{Config: "route: {receiver: r}\nreceivers: [{name: r}]\n"})
	src := opened(t, func(s *Settings) { s.URL = am.URL })
	if list, err := src.Silences(t.Context()); err != nil || len(list) != 0 {
		t.Fatalf("none: got %+v and %v", list, err)
	}
	send := func(method, path string, body any) []byte {
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, am.URL+"/api/v2/"+path, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, got, err)
		}
		return got
	}
	now := time.Now()
	var made struct{ SilenceID string }
	if err := json.Unmarshal(send(http.MethodPost, "silences", map[string]any{
		"matchers": []map[string]any{{"name": "env", "value": "prod|stage", "isRegex": true, "isEqual": true}, {"name": "team", "value": "web", "isRegex": false, "isEqual": false}},
		"startsAt": now, "endsAt": now.Add(time.Hour), "createdBy": "ann", "comment": "a test",
	}), &made); err != nil {
		t.Fatal(err)
	}
	list, err := src.Silences(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != made.SilenceID || list[0].Who != "ann" || list[0].Until.Sub(now.Add(time.Hour)).Abs() > time.Second {
		t.Fatalf("got %+v and %v", list, err)
	}
	for _, m := range list[0].Matchers {
		if m.Name == "env" && (!m.Matches("stage") || m.Matches("stages")) || m.Name == "team" && (m.Matches("web") || !m.Matches("")) {
			t.Errorf("matcher of %s matches otherwise", m.Name)
		}
	}
	send(http.MethodDelete, "silence/"+made.SilenceID, nil)
	if list, err := src.Silences(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("ended: got %+v and %v", list, err)
	}
}
