package page

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

func (p *pager) action() signalbox.Action {
	return signalbox.Action{
		ID: "act1", Incident: "0123456789abcdef", Policy: "failover", Index: 1, ClaimedAt: now,
		Step: signalbox.Step{Kind: "page", Name: "backend", Spec: p.spec},
	}
}

func TestStep(t *testing.T) {
	p := newPager(t)
	a := p.action()
	f, err := p.Preview(t.Context(), a.Step)
	if err != nil || f.Class != signalbox.ClassB || !slices.Equal(f.Targets, []signalbox.Target{"page backend"}) || f.Refused != "" || f.Found != "" || f.Undo != nil || !f.At.Equal(now) {
		t.Fatalf("got %+v and %v", f, err)
	}
	if pr, err := p.Probe(t.Context(), a); err != nil || pr.Phase != signalbox.InDoubt {
		t.Errorf("before: got %+v and %v", pr, err)
	}
	for range 2 { // again, as after a crash
		if a.Receipt, err = p.Start(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if pr, err := p.Probe(t.Context(), a); err != nil || pr.Phase != signalbox.Succeeded || pr.Receipt != a.Receipt {
		t.Errorf("after: got %+v and %v", pr, err)
	}
	in := p.Incidents()
	if len(in) != 1 || in[0].DedupKey != StepKey("act1") || in[0].Merges() != 1 || len(p.Violations()) != 0 {
		t.Fatalf("got %+v, %q", in, p.Violations())
	}
	if s := in[0].Events[0].Payload.Summary; s != "runbook of policy failover pages backend: incident 0123456789abcdef" {
		t.Errorf("got %q", s)
	}
	if err := p.Page(t.Context(), p.spec, StepKey(a.ID), signalbox.PageResolve, signalbox.PageBody{}); err != nil || p.Incidents()[0].Status != "resolved" {
		t.Errorf("got %v and %+v", err, p.Incidents())
	}
}

func TestGateIsAskedLastAndStopsTheSend(t *testing.T) {
	p := newPager(t)
	a, closed := p.action(), errors.New("the lease is lost")
	a.Gate = func() error { return closed }
	_, err := p.Start(t.Context(), a)
	if _, ok := errors.AsType[*signalbox.Failure](err); !ok || !errors.Is(err, closed) || p.Requests() != 0 {
		t.Errorf("got %v after %d requests", err, p.Requests())
	}
	asked := 0
	a.Gate = func() error { asked++; return nil }
	if _, err := p.Start(t.Context(), a); err != nil || asked != 1 {
		t.Errorf("got %v, asked %d times", err, asked)
	}
}

func TestStartReportsWhatPagerDutyAnswers(t *testing.T) {
	p := newPager(t)
	p.Fail(pagerduty.Fault{Status: 400}, pagerduty.Fault{Status: 500})
	if _, err := p.Start(t.Context(), p.action()); sortOf(err) != "failure" {
		t.Errorf("got %v", err)
	}
	if _, err := p.Start(t.Context(), p.action()); sortOf(err) != "retry" {
		t.Errorf("got %v", err)
	}
}

func TestPreviewRefusesWithoutAKey(t *testing.T) {
	p := newPager(t)
	for spec, want := range map[string]string{
		`{"url":"https://events.pagerduty.com","key_file":"/nowhere/key"}`: "/nowhere/key",
		`{"url":"https://events.pagerduty.com","key_env":"NOT_SET_HERE"}`:  "NOT_SET_HERE",
		`{"url":"https://events.pagerduty.com"}`:                           "one absolute key_file or one key_env",
		`{"url":"http://events.pagerduty.com","key_env":"X"}`:              "must be https",
		`[`: "not what this version writes",
	} {
		f, err := p.Preview(t.Context(), signalbox.Step{Name: "backend", Spec: json.RawMessage(spec)})
		if err != nil || !strings.Contains(f.Refused, want) {
			t.Errorf("%s: got %q and %v", spec, f.Refused, err)
		}
	}
}

func TestSettings(t *testing.T) {
	for name, c := range map[string]struct {
		s    Settings
		want string
	}{
		"a file":         {Settings{PrimaryKeyFile: "secrets/pd"}, ""},
		"a variable":     {Settings{PrimaryKeyEnv: "PD"}, ""},
		"EU":             {Settings{PrimaryKeyEnv: "PD", URL: "https://events.eu.pagerduty.com"}, ""},
		"this machine":   {Settings{PrimaryKeyEnv: "PD", URL: "http://127.0.0.1:8080"}, ""},
		"neither":        {Settings{}, "primary_key_file: exactly one"},
		"both":           {Settings{PrimaryKeyFile: "a", PrimaryKeyEnv: "B"}, "primary_key_file: exactly one"},
		"odd variable":   {Settings{PrimaryKeyEnv: "A=" + routing}, "primary_key_env: must be the name"},
		"a policy":       {Settings{Service: "P1", EscalationPolicy: "P2", From: "a@x.example", APIKeyEnv: "K"}, ""},
		"two ways":       {Settings{Service: "P1", EscalationPolicy: "P2", From: "a@x.example", APIKeyEnv: "K", PrimaryKeyEnv: "PD"}, "service: service and escalation_policy must not be given together with a routing key"},
		"half a policy":  {Settings{Service: "P1", From: "a@x.example", APIKeyEnv: "K"}, "escalation_policy: must be an id"},
		"no id":          {Settings{Service: "https://x/P1", EscalationPolicy: "P2", From: "a@x.example", APIKeyEnv: "K"}, "service: must be an id"},
		"no API key":     {Settings{Service: "P1", EscalationPolicy: "P2"}, "service: needs api_key_file"},
		"no from":        {Settings{PrimaryKeyEnv: "PD", APIKeyEnv: "K"}, "from: must be the e-mail address"},
		"from injects":   {Settings{PrimaryKeyEnv: "PD", APIKeyEnv: "K", From: "a@x.example\r\nX: y"}, "from: must be the e-mail address"},
		"named from":     {Settings{PrimaryKeyEnv: "PD", APIKeyEnv: "K", From: "A <a@x.example>"}, "from: must be the e-mail address"},
		"two API keys":   {Settings{PrimaryKeyEnv: "PD", APIKeyEnv: "K", APIKeyFile: "k", From: "a@x.example"}, "api_key_file: at most one"},
		"API in clear":   {Settings{PrimaryKeyEnv: "PD", APIKeyEnv: "K", From: "a@x.example", APIURL: "http://api.pagerduty.com"}, "api_url: must be https"},
		"a backup":       {Settings{PrimaryKeyEnv: "PD", BackupKeyEnv: "PB"}, ""},
		"same backup":    {Settings{PrimaryKeyEnv: "PD", BackupKeyEnv: "PD"}, "backup_key_env: must be another"},
		"same file":      {Settings{PrimaryKeyFile: "pd", BackupKeyFile: "pd"}, "backup_key_file: must be another"},
		"two backups":    {Settings{PrimaryKeyEnv: "PD", BackupKeyEnv: "PB", BackupKeyFile: "pb"}, "backup_key_file: at most one"},
		"both escalate":  {Settings{Service: "P1", EscalationPolicy: "P2", From: "a@x.example", APIKeyEnv: "K", BackupKeyEnv: "PB"}, "backup_key_file: must not be given together with escalation_policy"},
		"help":           {Settings{PrimaryKeyEnv: "PD", APIKeyEnv: "K", From: "a@x.example", Requester: "P1", Responders: []Responder{{User: "P2"}, {EscalationPolicy: "P3"}}}, ""},
		"help by nobody": {Settings{PrimaryKeyEnv: "PD", APIKeyEnv: "K", From: "a@x.example", Responders: []Responder{{User: "P2"}}}, "requester: must be given together"},
		"help of both":   {Settings{PrimaryKeyEnv: "PD", APIKeyEnv: "K", From: "a@x.example", Requester: "P1", Responders: []Responder{{User: "P2", EscalationPolicy: "P3"}}}, "responders[0]: must have exactly one"},
		"help by no API": {Settings{PrimaryKeyEnv: "PD", Requester: "P1", Responders: []Responder{{User: "P2"}}}, "responders: needs api_key_file"},
		"plain http":     {Settings{PrimaryKeyEnv: "PD", URL: "http://events.pagerduty.com"}, "url: must be https"},
		"no host":        {Settings{PrimaryKeyEnv: "PD", URL: "https://"}, "url: must be an https URL"},
		"a credential":   {Settings{PrimaryKeyEnv: "PD", URL: "https://u:" + routing + "@x"}, "url: must not have a credential"},
		"a key in a URL": {Settings{PrimaryKeyEnv: "PD", URL: "https://x/?k=" + routing}, "url: must not have a credential, a query"},
	} {
		var got []string
		c.s.Validate(func(path, rule string, value any) {
			got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
		})
		text := strings.Join(got, "\n")
		if (c.want == "") != (text == "") || !strings.Contains(text, c.want) || strings.Contains(text, routing) {
			t.Errorf("%s: got %q", name, text)
		}
	}
}

func TestSpec(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		s    Settings
		want address
	}{
		{Settings{PrimaryKeyFile: "secrets/pd"}, address{URL: DefaultURL, KeyFile: filepath.Join(dir, "secrets/pd")}},
		{Settings{PrimaryKeyFile: "/etc/pd", URL: "https://x.example/"}, address{URL: "https://x.example", KeyFile: "/etc/pd"}},
		{Settings{PrimaryKeyEnv: "PD"}, address{URL: DefaultURL, KeyEnv: "PD"}},
	} {
		b, err := Kind().Spec(kind.SpecInput{Name: "o", Settings: &c.s, ConfigDir: dir})
		var got address
		if err != nil || json.Unmarshal(b, &got) != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("got %s and %v, want %+v", b, err, c.want)
		}
	}
	if _, err := Kind().Spec(kind.SpecInput{Name: "o"}); err == nil {
		t.Error("an owner without settings has a spec")
	}
}
