package pipeline

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
)

// What can't be seen is an error, what is answered for sure is a refusal, and
// neither tells the token.
func TestReads(t *testing.T) {
	s := onStage(t)
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for spaces := []byte(strings.Repeat(" ", 1<<16)); r.Context().Err() == nil; {
			if _, err := w.Write(spaces); err != nil {
				return
			}
		}
	}
	says := func(code int, kind, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(code)
			fmt.Fprint(w, strings.ReplaceAll(body, "TOKEN", r.Header.Get("Authorization")))
		}
	}
	const j = "application/json"
	for name, c := range map[string]struct {
		serve    http.HandlerFunc
		definite bool
	}{
		"400":             {says(400, j, `{"message":"TOKEN"}`), true},
		"401":             {says(401, j, `{"message":"TOKEN"}`), true},
		"403":             {says(403, j, `{"message":"TOKEN"}`), true},
		"404":             {says(404, j, `{"message":"TOKEN"}`), true},
		"422":             {says(422, j, `{"message":"TOKEN"}`), true},
		"408":             {says(408, j, `{"message":"TOKEN"}`), false},
		"429":             {says(429, j, `{"message":"TOKEN"}`), false},
		"500":             {says(500, j, `{"message":"TOKEN"}`), false},
		"503":             {says(503, "text/html", `TOKEN`), false},
		"204":             {says(204, j, ""), false},
		"HTML":            {says(200, "text/html", "<html>TOKEN"), false},
		"no JSON":         {says(200, j, "TOKEN"), false},
		"null":            {says(200, j, "null"), false},
		"another":         {says(200, j, "{}"), false},
		"a list":          {says(200, j, "[]"), false},
		"a run of no one": {says(200, j, `{"id":1,"path":".github/workflows/d.yml","state":"active","workflow_runs":[{"id":0}]}`), false},
		"hung up":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
		"endless":         {endless, false},
	} {
		server := httptest.NewServer(c.serve)
		settings := s.settings()
		settings.URL, settings.HTTP.Authorization = server.URL, &promconfig.Authorization{CredentialsFile: "token"}
		step := s.step(movePrevious, settings)
		f, err := s.r.Preview(t.Context(), step)
		if (err == nil && f.Refused != "") != c.definite || (err != nil) == c.definite || strings.Contains(fmt.Sprint(f, err), token) {
			t.Errorf("%s: got %+v, %v", name, f, err)
		}
		p, err := s.r.Probe(t.Context(), signalbox.Action{ID: "inc-4-1", Step: step, Stage: signalbox.Started, Receipt: signalbox.Receipt{Version: "9000"}})
		if err == nil && p.Phase != signalbox.InDoubt || strings.Contains(fmt.Sprint(p, err), token) {
			t.Errorf("%s to a probe: got %+v, %v", name, p, err)
		}
		server.CloseClientConnections()
		server.Close()
	}
	if f := s.preview(s.step(movePrevious, s.settings())); f.Refused != "" {
		t.Errorf("got %+v", f)
	}
}
