package pagerduty

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/pagerduty"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func source(t testing.TB, secrets string) *Source {
	t.Helper()
	t.Setenv("PD_WEBHOOK", secrets)
	s, err := open("pd", &Settings{Receive: "/webhooks/pagerduty", SecretEnv: "PD_WEBHOOK"}, kind.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*Source)
}

func signed(values ...string) http.Header {
	return http.Header{"X-Pagerduty-Signature": values}
}

func TestVerify(t *testing.T) {
	body := []byte(`{"event":{}}`)
	sign := func(secrets ...string) string { return standin.Sign(body, secrets...) }
	for name, c := range map[string]struct {
		secrets string
		header  http.Header
		want    error
	}{
		"one":                  {"one", signed(sign("one")), nil},
		"several of theirs":    {"one", signed(sign("x", "one", "y")), nil},
		"several headers":      {"one", signed(sign("x"), sign("one")), nil},
		"several of ours":      {"old\none\n", signed(sign("one")), nil},
		"spaces":               {" one ", signed(" " + sign("x") + " , " + sign("one")), nil},
		"a later version":      {"one", signed("v2=abc," + sign("one")), nil},
		"another secret":       {"one", signed(sign("two")), kind.ErrBadCredential},
		"only a later version": {"one", signed("v2=" + strings.TrimPrefix(sign("one"), "v1=")), errNoSignature},
		"none":                 {"one", nil, errNoSignature},
		"half":                 {"one", signed(sign("one")[:40]), errNoSignature},
		"nothing":              {"one", signed("v1="), errNoSignature},
		"no secret":            {"", signed(sign("")), kind.ErrNoSecret},
		"too many":             {"one", signed(sign("a", "b", "c", "d", "e", "f", "g", "h", "one")), kind.ErrBadCredential},
	} {
		t.Run(name, func(t *testing.T) {
			if err := source(t, c.secrets).Verify(c.header, body, now); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	changed := []byte(`{"event":{"x":1}}`)
	if err := source(t, "one").Verify(signed(sign("one")), changed, now); !errors.Is(err, kind.ErrBadCredential) {
		t.Errorf("a changed body: got %v", err)
	}
}

// The vector is PagerDuty's own.
func TestRecordedSignature(t *testing.T) {
	var v struct {
		Secret, Body    string
		Valid, Mismatch []string
	}
	if err := json.Unmarshal(recorded(t, "v3_signature_vector.json"), &v); err != nil {
		t.Fatal(err)
	}
	s := source(t, v.Secret)
	if err := s.Verify(signed(strings.Join(append(v.Mismatch, v.Valid...), ",")), []byte(v.Body), now); err != nil {
		t.Errorf("got %v", err)
	}
	if err := s.Verify(signed(v.Mismatch...), []byte(v.Body), now); !errors.Is(err, kind.ErrBadCredential) {
		t.Errorf("got %v", err)
	}
	if b, err := s.Decode(nil, []byte(v.Body), now); err != nil || len(b.Words) != 0 {
		t.Errorf("got %+v, %v", b, err)
	}
}

func recorded(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	raw, err := os.ReadFile(filepath.Join(dir, "recorded", "pagerduty", name))
	if err != nil {
		t.Skipf("SKIPPED: the recorded payloads are absent: set SIGNALBOX_CONTRACTS: %v", err)
	}
	return raw
}

// Whatever the documents show is taken without a fault, and an incident as they
// show it, acknowledged, is a word.
func TestRecordedPayloads(t *testing.T) {
	s := source(t, "one")
	first := recorded(t, "v3_docs/02_webhook_payload.json")
	files, err := filepath.Glob(filepath.Join(os.Getenv("SIGNALBOX_CONTRACTS"), "recorded", "pagerduty", "v3_docs", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := s.Decode(nil, recorded(t, "v3_docs/"+filepath.Base(f)), now); err != nil || len(b.Words) != 0 {
			t.Errorf("%s: got %+v, %v", f, b, err)
		}
	}
	text := strings.NewReplacer("incident.priority_updated", "incident.acknowledged", "d3640fbd41094207a1c11e58e46b1662", "signalbox-1",
		"2020-10-02T18:45:22.169Z", "2026-03-01T09:59:58.169Z").Replace(string(first))
	b, err := s.Decode(nil, []byte(text), now)
	want := signalbox.Control{
		Kind: signalbox.Acknowledge, Scope: "page/signalbox-1", Reason: "acknowledged in PagerDuty", Who: "Tenex Engineer",
		At: time.Date(2026, 3, 1, 9, 59, 58, 169e6, time.UTC),
	}
	if err != nil || len(b.Words) != 1 || b.Words[0] != want || b.Source != "pd" {
		t.Errorf("got %+v, %v", b, err)
	}
}

func TestDecode(t *testing.T) {
	event := func(kind, agent, key string, at time.Time) string {
		return fmt.Sprintf(`{"event":{"event_type":%q,"occurred_at":%q,"agent":%s,"data":{"type":"incident","incident_key":%q}}}`, kind, at.Format(time.RFC3339), agent, key)
	}
	const person, svc, nameless = `{"id":"P1","type":"user_reference","summary":"Ann\nB"}`, `{"id":"P2","type":"service_reference","summary":"API"}`, `{"id":"P1","type":"user_reference"}`
	for name, c := range map[string]struct{ body, who, reason string }{
		"acknowledged":            {event("incident.acknowledged", person, "signalbox-1", now), "Ann B", "acknowledged in PagerDuty"},
		"resolved":                {event("incident.resolved", person, "signalbox-1", now), "Ann B", "resolved in PagerDuty"},
		"two days late":           {event("incident.acknowledged", nameless, "signalbox-1", now.Add(-48*time.Hour)), "PagerDuty user P1", "acknowledged in PagerDuty"},
		"by an event of ours":     {event("incident.acknowledged", svc, "signalbox-1", now), "", ""},
		"by nobody":               {event("incident.resolved", "null", "signalbox-1", now), "", ""},
		"replayed much later":     {event("incident.acknowledged", person, "signalbox-1", now.Add(-50*time.Hour)), "", ""},
		"of the future":           {event("incident.acknowledged", person, "signalbox-1", now.Add(time.Hour)), "", ""},
		"of another tool":         {event("incident.acknowledged", person, "nagios-1", now), "", ""},
		"an endless key":          {event("incident.acknowledged", person, "signalbox-"+strings.Repeat("x", 300), now), "", ""},
		"unacknowledged":          {event("incident.unacknowledged", person, "signalbox-1", now), "Ann B", "no longer acknowledged in PagerDuty"},
		"its time ran out":        {event("incident.unacknowledged", "null", "signalbox-1", now), "PagerDuty", "no longer acknowledged in PagerDuty"},
		"escalated":               {event("incident.escalated", person, "signalbox-1", now), "", ""},
		"a ping":                  {`{"event":{"event_type":"pagey.ping","occurred_at":"2026-03-01T10:00:00Z","agent":null,"data":{"message":"Hello from your friend Pagey!","type":"ping"}}}`, "", ""},
		"an event yet to come":    {event("incident.sung", person, "signalbox-1", now), "", ""},
		"no JSON":                 {"ping", "", ""},
		"nothing":                 {"", "", ""},
		"a list":                  {"[]", "", ""},
		"a number where a key is": {`{"event":{"event_type":"incident.acknowledged","data":{"incident_key":1}}}`, "", ""},
	} {
		b, err := source(t, "one").Decode(nil, []byte(c.body), now)
		if err != nil {
			t.Errorf("%s: a signed message is never refused: %v", name, err)
		}
		if c.who == "" != (len(b.Words) == 0) {
			t.Errorf("%s: got %+v", name, b.Words)
		} else if c.who != "" && (b.Words[0].Who != c.who || b.Words[0].Reason != c.reason || b.Words[0].Scope != "page/signalbox-1" || (b.Words[0].Kind == signalbox.Unacknowledge) != strings.HasPrefix(c.reason, "no longer")) {
			t.Errorf("%s: got %+v", name, b.Words)
		}
	}
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		s    Settings
		want string
	}{
		"a file":       {Settings{Receive: "/webhooks/pd", SecretFile: "secrets/pd"}, ""},
		"a variable":   {Settings{Receive: "/webhooks/pd", SecretEnv: "PD"}, ""},
		"no path":      {Settings{SecretEnv: "PD"}, "receive: must be a clean path"},
		"no secret":    {Settings{Receive: "/webhooks/pd"}, "secret_file: exactly one"},
		"both":         {Settings{Receive: "/webhooks/pd", SecretFile: "a", SecretEnv: "B"}, "secret_file: exactly one"},
		"odd variable": {Settings{Receive: "/webhooks/pd", SecretEnv: "x=y"}, "secret_env: must be the name"},
	} {
		var got []string
		c.s.Validate(func(path, rule string, _ any) { got = append(got, path+": "+rule) })
		text := strings.Join(got, "\n")
		if (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %q", name, text)
		}
	}
	dir := t.TempDir()
	s, _ := open("pd", &Settings{Receive: "/webhooks/pd", SecretFile: "secret"}, kind.Env{ConfigDir: dir})
	body := []byte("{}")
	if err := s.(*Source).Verify(signed(standin.Sign(body, "one")), body, now); !errors.Is(err, kind.ErrNoSecret) {
		t.Errorf("a secret that is not there yet: got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("old\none\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.(*Source).Verify(signed(standin.Sign(body, "one")), body, now); err != nil {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"event":{"event_type":"incident.acknowledged","occurred_at":"2026-03-01T10:00:00Z","agent":{"type":"user","summary":"A"},"data":{"incident_key":"signalbox-1"}}}`))
	s := &Source{name: "pd"}
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := s.Decode(nil, body, now)
		if err != nil || len(b.Readings) != 0 || len(b.Words) > 1 {
			t.Fatalf("got %+v, %v", b, err)
		}
		for _, w := range b.Words {
			if w.Kind != signalbox.Acknowledge && w.Kind != signalbox.Unacknowledge || !strings.HasPrefix(w.Scope, "page/signalbox-") || w.Who == "" || w.At.IsZero() {
				t.Fatalf("got %+v", w)
			}
		}
	})
}
