package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

const routing = "0123456789abcdef0123456789ABCDEF"

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// pager is a remediator and the stand-in that it sends to.
type pager struct {
	*Remediator
	*pagerduty.Server
	spec  json.RawMessage
	clock time.Time
	url   string
}

func newPager(t *testing.T, more ...func(*pagerduty.Options)) *pager {
	t.Helper()
	p := &pager{clock: now}
	o := pagerduty.Options{Keys: []string{routing}, Now: func() time.Time { return p.clock }}
	for _, f := range more {
		f(&o)
	}
	var err error
	if p.Server, err = pagerduty.New(o); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(p.Server)
	t.Cleanup(func() { p.Server.Close(); srv.Close() })
	r, err := Kind().Open(kind.Env{Now: func() time.Time { return p.clock }, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	p.Remediator = r.(*Remediator)
	p.url = srv.URL
	p.spec = specFor(t, srv.URL, routing)
	return p
}

func specFor(t *testing.T, url, key string) json.RawMessage {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Kind().Spec(kind.SpecInput{Name: "backend", Backend: "pagerduty", Settings: &Settings{PrimaryKeyFile: "key", URL: url + "/"}, ConfigDir: dir})
	if err != nil || strings.Contains(string(b), key) {
		t.Fatalf("%s, %v", b, err)
	}
	return b
}

func (p *pager) trigger(ctx context.Context, key string) error {
	return p.Page(ctx, p.spec, key, signalbox.PageTrigger, body())
}

func body() signalbox.PageBody {
	return signalbox.PageBody{
		Summary: "replication lag is 1.2s", Severity: "critical", Source: "db/eu", At: now,
		Evidence: []string{"value 1.2s, above 100ms", "since 10:00"},
		Done:     []string{"flipped read-endpoint to replica-b"},
		Thrown:   []signalbox.Thrown{{Action: "a1", What: "read-endpoint is at replica-b (was replica-a)", ByHand: "kubectl -n core patch …"}},
		Links:    []signalbox.Link{{Text: "dashboard", Href: "https://grafana.example/d/1"}, {Href: "javascript:alert(1)"}},
		Labels:   map[string]string{"cluster": "eu"},
	}
}

func TestPage(t *testing.T) {
	p := newPager(t, contract(t))
	for _, event := range []signalbox.PageEvent{"trigger", "trigger", "acknowledge", "resolve"} {
		if err := p.Page(t.Context(), p.spec, "signalbox-1", event, body()); err != nil {
			t.Fatal(event, err)
		}
	}
	if v := p.Violations(); len(v) != 0 {
		t.Fatalf("broke PagerDuty's rules: %q", v)
	}
	incidents := p.Incidents()
	if len(incidents) != 1 || incidents[0].Status != "resolved" || incidents[0].Merges() != 1 || incidents[0].DedupKey != "signalbox-1" {
		t.Fatalf("got %+v", incidents)
	}
	e := incidents[0].Events[0]
	if e.Payload.Summary != "replication lag is 1.2s" || e.Payload.Source != "db/eu" || e.Payload.Severity != "critical" || e.Payload.Timestamp != "2026-03-01T10:00:00Z" {
		t.Errorf("got %+v", e.Payload)
	}
	if len(e.Links) != 1 || e.Links[0].Href != "https://grafana.example/d/1" {
		t.Errorf("got %+v", e.Links)
	}
	got, _ := json.Marshal(e.Payload.Details)
	want := `{"done":["flipped read-endpoint to replica-b"],"evidence":["value 1.2s, above 100ms","since 10:00"],"labels":{"cluster":"eu"},` +
		`"thrown_now":[{"take_back_by_hand":"kubectl -n core patch …","what":"read-endpoint is at replica-b (was replica-a)"}]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if last := incidents[0].Events[3]; last.Payload.Summary != "" {
		t.Errorf("a resolve has a body: %s", last.Raw)
	}
}

func TestAnswers(t *testing.T) {
	head := func(name, value string) map[string]string { return map[string]string{name: value} }
	page := "<html>" + routing + "</html>"
	for name, c := range map[string]struct {
		fault pagerduty.Fault
		want  string // failure, retry, or after and its length
		text  string
	}{
		"200":                {pagerduty.Fault{Status: 200}, "retry", "answered status 200"},
		"202 of a proxy":     {pagerduty.Fault{Status: 202, Body: page, Header: head("Content-Type", "text/html")}, "retry", "without the words of an accepted event"},
		"202 cut off":        {pagerduty.Fault{Status: 202, Cut: true}, "retry", "without the words"},
		"202 refused":        {pagerduty.Fault{Status: 202, Body: `{"status":"invalid"}`}, "retry", "without the words"},
		"302":                {pagerduty.Fault{Status: 302, Body: page, Header: head("Location", "http://169.254.169.254/")}, "retry", "answered status 302"},
		"400":                {pagerduty.Fault{Status: 400, Body: `{"status":"invalid event","message":"bad key ` + routing + `","errors":["x\n"]}`}, "failure", "invalid event; bad key [routing key]; x"},
		"401":                {pagerduty.Fault{Status: 401, Body: page}, "retry", "answered status 401 Unauthorized"},
		"403":                {pagerduty.Fault{Status: 403}, "retry", "answered status 403"},
		"404":                {pagerduty.Fault{Status: 404}, "retry", "answered status 404"},
		"408":                {pagerduty.Fault{Status: 408}, "retry", "answered status 408"},
		"413":                {pagerduty.Fault{Status: 413}, "failure", "answered status 413"},
		"429":                {pagerduty.Fault{Status: 429}, "after 15s", "answered status 429"},
		"429 seconds":        {pagerduty.Fault{Status: 429, Header: head("Retry-After", "7")}, "after 7s", "429"},
		"429 zero":           {pagerduty.Fault{Status: 429, Header: head("Retry-After", "0")}, "after 1s", "429"},
		"429 date":           {pagerduty.Fault{Status: 429, Header: head("Retry-After", now.Add(40*time.Second).Format(http.TimeFormat))}, "after 40s", "429"},
		"429 date that went": {pagerduty.Fault{Status: 429, Header: head("Retry-After", now.Add(-time.Hour).Format(http.TimeFormat))}, "after 1s", "429"},
		"429 for ages":       {pagerduty.Fault{Status: 429, Header: head("Retry-After", "4000000000")}, "after 5m0s", "429"},
		"429 nonsense":       {pagerduty.Fault{Status: 429, Header: head("Retry-After", "soon")}, "after 15s", "429"},
		"500":                {pagerduty.Fault{Status: 500}, "retry", "answered status 500"},
		"503":                {pagerduty.Fault{Status: 503, Header: head("Retry-After", "9")}, "after 9s", "503"},
		"502 HTML":           {pagerduty.Fault{Status: 502, Body: page, Header: head("Content-Type", "text/html")}, "retry", "answered status 502"},
		"500 cut off":        {pagerduty.Fault{Status: 500, Cut: true}, "retry", "answered status 500"},
		"reset":              {pagerduty.Fault{Reset: true}, "retry", "EOF"},
		"endless":            {pagerduty.Fault{Status: 202, Body: strings.Repeat(" ", 1<<20)}, "retry", "without the words"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPager(t)
			p.Fail(c.fault)
			err := p.trigger(t.Context(), "k")
			if got := sortOf(err); got != c.want || !strings.Contains(fmt.Sprint(err), c.text) {
				t.Errorf("got %s: %v; want %s: %s", got, err, c.want, c.text)
			}
			if strings.Contains(fmt.Sprint(err), routing) {
				t.Errorf("the routing key is shown: %v", err)
			}
			if p.Requests() != 1 {
				t.Errorf("sent %d times: the caller retries", p.Requests())
			}
			if err := p.trigger(t.Context(), "k"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func sortOf(err error) string {
	if err == nil {
		return "accepted"
	}
	if _, ok := errors.AsType[*signalbox.Failure](err); ok {
		return "failure"
	}
	if ra, ok := errors.AsType[*signalbox.RetryAfter](err); ok {
		return "after " + ra.After.String()
	}
	return "retry"
}

func TestDeadlines(t *testing.T) {
	for name, fault := range map[string]pagerduty.Fault{"no answer": {Hang: true}, "slow body": {Hang: true, Status: 202}, "slow error": {Hang: true, Status: 500}} {
		p := newPager(t)
		p.Fail(fault)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := p.trigger(ctx, "k")
		cancel()
		if err == nil || sortOf(err) != "retry" || ctx.Err() == nil {
			t.Errorf("%s: got %v", name, err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.trigger(gone, "k"); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: cancelled: got %v", name, err)
		}
	}
}

func TestAnswerLostAfterTheEffect(t *testing.T) {
	p := newPager(t)
	p.Fail(pagerduty.Fault{Reset: true, AfterEffect: true})
	if err := p.trigger(t.Context(), "k"); sortOf(err) != "retry" {
		t.Fatalf("got %v", err)
	}
	if err := p.trigger(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	if in := p.Incidents(); len(in) != 1 || in[0].Merges() != 1 {
		t.Errorf("got %+v", in)
	}
}

func TestRate(t *testing.T) {
	p := newPager(t)
	for i := range burst {
		if err := p.trigger(t.Context(), "k"); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := p.trigger(t.Context(), "k"); sortOf(err) != "after 1s" || strings.Contains(err.Error(), routing) {
		t.Fatalf("got %v", err)
	}
	if p.Requests() != burst {
		t.Errorf("sent %d", p.Requests())
	}
	p.clock = p.clock.Add(time.Second)
	if err := p.trigger(t.Context(), "k"); err != nil {
		t.Errorf("a second later: %v", err)
	}
	p.clock = p.clock.Add(-time.Hour) // a clock that jumps back blocks nobody for an hour
	if err := p.trigger(t.Context(), "k"); sortOf(err) != "after 1s" {
		t.Errorf("got %v", err)
	}
	p.clock = p.clock.Add(time.Second)
	if err := p.trigger(t.Context(), "k"); err != nil {
		t.Errorf("after the jump: %v", err)
	}
}

func TestKeysAreReadAtEachUse(t *testing.T) {
	p := newPager(t)
	var a address
	if err := json.Unmarshal(p.spec, &a); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ content, want string }{
		{routing, "accepted"},
		{"", "retry"},
		{"two words", "retry"},
		{routing + "\nsecond line", "retry"},
		{strings.Repeat("x", 129), "retry"},
		{"unknownunknownunknownunknownunkn", "failure"}, // PagerDuty refuses it
		{" " + routing + "\n\n", "accepted"},
	} {
		if err := os.WriteFile(a.KeyFile, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		err := p.trigger(t.Context(), "k")
		if sortOf(err) != c.want {
			t.Errorf("key file %q: got %v", c.content, err)
		}
		if err != nil && c.content != "" && strings.Contains(err.Error(), c.content) {
			t.Errorf("the key is shown: %v", err)
		}
	}
	if err := os.Remove(a.KeyFile); err != nil {
		t.Fatal(err)
	}
	if err := p.trigger(t.Context(), "k"); sortOf(err) != "retry" || !strings.Contains(err.Error(), a.KeyFile) {
		t.Errorf("got %v", err)
	}
	t.Setenv("PD_KEY", routing)
	p.spec, _ = json.Marshal(address{URL: a.URL, KeyEnv: "PD_KEY"})
	if err := p.trigger(t.Context(), "k"); err != nil {
		t.Errorf("from the environment: %v", err)
	}
}

// contract holds the stand-in to PagerDuty's own description, where it is.
func contract(t *testing.T) func(*pagerduty.Options) {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	path := filepath.Join(dir, "pagerduty", "events-v2.json")
	if _, err := os.Stat(path); err != nil {
		t.Logf("NOT HELD to the vendor's contract, only to our own checks; say where it is in SIGNALBOX_CONTRACTS: %v", err)
		return func(*pagerduty.Options) {}
	}
	return func(o *pagerduty.Options) {
		o.Spec, o.RESTSpec = path, filepath.Join(dir, "pagerduty", "rest.trim.json")
	}
}
