package channel

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

var now = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// rig is a remediator with its clock.
type rig struct {
	*Remediator
	clock time.Time
	dir   string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{clock: now, dir: t.TempDir()}
	opened, err := Kind().Open(kind.Env{Now: func() time.Time { return r.clock }, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	r.Remediator = opened.(*Remediator)
	return r
}

// file writes a secret and returns its name.
func (r *rig) file(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func (r *rig) spec(t *testing.T, s kind.Settings) json.RawMessage {
	t.Helper()
	s.Validate(func(path, rule string, value any) { t.Fatalf("%s: %s, got %v", path, rule, value) })
	b, err := Kind().Spec(kind.SpecInput{Name: "backend", Settings: s, ConfigDir: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func body() signalbox.PageBody {
	return signalbox.PageBody{
		Summary: "lag is 1.2s", Severity: "critical", Source: "db/eu", At: now,
		Evidence: []string{"value 1.2s, above 100ms"}, Plan: []string{"flip to b"},
		Links:  []signalbox.Link{{Text: "dashboard", Href: "https://grafana.example/d/1"}},
		Labels: map[string]string{"cluster": "eu"},
	}
}

// nasty is text that people, or attackers, put into labels.
const nasty = "<!channel> @here <https://evil.example|click>\r\nBcc: x@evil.example & \x00"

func nastyBody() signalbox.PageBody {
	b := body()
	b.Summary, b.Source, b.Severity = nasty, nasty, nasty
	b.Evidence, b.Plan, b.Done = []string{nasty}, []string{nasty}, []string{nasty}
	b.Thrown = []signalbox.Thrown{{What: nasty, ByHand: nasty}}
	b.Links = append(b.Links, signalbox.Link{Text: nasty, Href: "https://x.example/<!channel>|y"})
	b.Labels = map[string]string{nasty: nasty}
	return b
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

func TestNoStep(t *testing.T) {
	r := newRig(t)
	if f, err := r.Preview(t.Context(), signalbox.Step{}); err != nil || f.Refused == "" {
		t.Errorf("got %+v, %v", f, err)
	}
	if _, err := r.Start(t.Context(), signalbox.Action{}); sortOf(err) != "failure" {
		t.Errorf("got %v", err)
	}
	for spec, want := range map[string]string{
		`{}`: "not what this version writes", `[`: "not what this version writes", `{"owner":"x","slack":{},"email":{}}`: "not what this version writes",
		`{"owner":"x","slack":{}}`: "webhook_file exactly one", `{"owner":"x","email":{"to":["a@x.example\r\nBcc: b@x.example"],"from":"a@x.example","smarthost":"x:25"}}`: "to must be an e-mail address",
	} {
		if err := r.Page(t.Context(), json.RawMessage(spec), "k", "trigger", body()); sortOf(err) != "failure" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", spec, err)
		}
	}
	good := r.spec(t, &Slack{WebhookEnv: "X"})
	for _, err := range []error{r.Page(t.Context(), good, "", "trigger", body()), r.Page(t.Context(), good, "k", "sing", body())} {
		if sortOf(err) != "failure" {
			t.Errorf("got %v", err)
		}
	}
}

func TestSettings(t *testing.T) {
	mail := func(change func(*Email)) *Email {
		s := &Email{To: []string{"a@x.example"}, From: "s@x.example", Smarthost: "smtp.x.example:587"}
		change(s)
		return s
	}
	for name, c := range map[string]struct {
		s    kind.Settings
		want string
	}{
		"a webhook":         {&Slack{WebhookFile: "w"}, ""},
		"a token":           {&Slack{TokenEnv: "T", Channel: "C024BE91L"}, ""},
		"neither":           {&Slack{}, "webhook_file: exactly one"},
		"both":              {&Slack{WebhookFile: "w", TokenFile: "t", Channel: "C024BE91L"}, "webhook_file: exactly one"},
		"a name":            {&Slack{TokenFile: "t", Channel: "#oncall"}, "channel: must be the id"},
		"a webhook's":       {&Slack{WebhookFile: "w", Channel: "C024BE91L"}, "channel: needs token_file"},
		"a URL as variable": {&Slack{WebhookEnv: "https://hooks.slack.example/x"}, "webhook_env: must be the name"},
		"plain http":        {&Slack{TokenFile: "t", Channel: "C024BE91L", APIURL: "http://slack.example"}, "api_url: must be https"},
		"mail":              {mail(func(*Email) {}), ""},
		"a login":           {mail(func(s *Email) { s.Username, s.PasswordFile = "u", "p" }), ""},
		"half a login":      {mail(func(s *Email) { s.Username = "u" }), "username: must be given together"},
		"two passwords":     {mail(func(s *Email) { s.Username, s.PasswordFile, s.PasswordEnv = "u", "p", "P" }), "password_file: at most one"},
		"nobody":            {mail(func(s *Email) { s.To = nil }), "to: must name 1 to 20"},
		"a header":          {mail(func(s *Email) { s.To = []string{"a@x.example\r\nBcc: b@x.example"} }), "to: must be an e-mail address"},
		"a name too":        {mail(func(s *Email) { s.From = "S <s@x.example>" }), "from: must be an e-mail address"},
		"no port":           {mail(func(s *Email) { s.Smarthost = "smtp.x.example" }), "smarthost: must be a host with its port"},
		"a scheme":          {mail(func(s *Email) { s.Smarthost = "smtp://x.example:25" }), "smarthost: must be a host with its port"},
	} {
		var got []string
		c.s.Validate(func(path, rule string, _ any) { got = append(got, path+": "+rule) })
		text := strings.Join(got, "\n")
		if (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
			t.Errorf("%s: got %q", name, text)
		}
	}
}
