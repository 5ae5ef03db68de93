package datadog

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/datadog"
)

func TestLookAtLogs(t *testing.T) {
	s, source := site(t)
	at := time.Now().UTC().Truncate(time.Second)
	asked := ""
	log := func(ago time.Duration, service string, attributes map[string]any) map[string]any {
		return map[string]any{"id": "x", "type": "log", "attributes": map[string]any{
			"service": service, "status": "error", "host": "h", "message": "password=hunter2", "timestamp": at.Add(-ago).Format(time.RFC3339Nano), "attributes": attributes,
		}}
	}
	s.Set("/api/v2/logs/events/search", standin.Answer{Build: func(_ *http.Request, body []byte) any {
		var in struct {
			Filter struct{ Query, From, To string }
		}
		if json.Unmarshal(body, &in) != nil {
			return nil
		}
		asked = in.Filter.Query
		return map[string]any{"meta": map[string]any{"status": "done"}, "data": []any{
			log(time.Minute, "core-api", map[string]any{"http": map[string]any{"status_code": 500}, "flow.id": "f-1"}),
			log(2*time.Minute, "core-api", map[string]any{"http": map[string]any{"status_code": 500}, "flow.id": "f-1"}),
			log(3*time.Minute, "core-db", map[string]any{"http": []any{"x"}}),
		}}
	}})
	settings := &LookSettings{Query: "service:core-* status:error", Fields: []string{"service", "@http.status_code", "@flow.id"}}
	settings.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
	view, err := settings.Build("logs", source)
	if err != nil {
		t.Fatal(err)
	}
	around := kind.Around{Same: map[string]string{"@env": `a" OR service:*\`}, From: at.Add(-time.Hour), To: at, Most: 5}
	found, err := view.Look(t.Context(), around)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range found {
		got = append(got, fmt.Sprintf("%s %s", f.At.Sub(at), f.Text))
	}
	if want := "-1m0s service=core-api @http.status_code=500 @flow.id=f-1 (2 times), -3m0s service=core-db"; strings.Join(got, ", ") != want {
		t.Errorf("got %s", strings.Join(got, ", "))
	}
	if want := `(service:core-* status:error) @env:"a\" OR service:*\\"`; asked != want {
		t.Errorf("asked %s", asked)
	}
	for name, c := range map[string]struct {
		body any
		want string
	}{
		"partial":  {map[string]any{"meta": map[string]any{"status": "done", "warnings": []any{map[string]any{"title": "cut"}}}, "data": []any{}}, "may be partial"},
		"not done": {map[string]any{"meta": map[string]any{"status": "timeout"}, "data": []any{}}, "did not finish"},
	} {
		s.Set("/api/v2/logs/events/search", standin.Answer{Body: c.body})
		if _, err := view.Look(t.Context(), around); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, ok := range map[string]bool{"service": true, "@a.b": true, "message": false, "": false, "@a b": false, "service:x": false} {
		if (settings.Field(name) == "") != ok {
			t.Errorf("field %q", name)
		}
	}
}
