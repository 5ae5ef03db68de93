package alertmanager

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/prometheus/common/config"
	"github.com/signalbox/signalbox/internal/kind"
)

func parse(t *testing.T, text string) (*Settings, []string) {
	t.Helper()
	set := Kind().Settings().(*Settings)
	if err := yaml.NewDecoder(strings.NewReader(text), yaml.Strict()).Decode(set); err != nil {
		return set, []string{err.Error()}
	}
	var got []string
	set.Validate(func(path, rule string, value any) {
		got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
	})
	return set, got
}

func TestSettings(t *testing.T) {
	const ok = "url: http://127.0.0.1:9093\nreceive: /webhooks/am\n"
	for name, c := range map[string]struct{ text, want string }{
		"the least":            {ok, ""},
		"no API":               {"receive: /webhooks/am\nreconcile: 0\n", ""},
		"everything":           {ok + "auth: {bearer_file: a, username: u, password_file: p, client_names: [am]}\nreceiver: r\nreconcile: 30s\nwarm_up: 0s\ntimeout: 5s\nmax_body: 1MiB\nbasic_auth: {username: u, password_file: p}\ntls_config: {ca_file: ca}\n", ""},
		"no url":               {"receive: /webhooks/am\n", "url: is needed to reconcile"},
		"no receive":           {"url: http://a\n", "receive: must be a clean path"},
		"receive elsewhere":    {"url: http://a\nreceive: /-/reload\n", "receive: must be a clean path"},
		"receive bare":         {"url: http://a\nreceive: /webhooks/\n", "receive: must be a clean path"},
		"receive climbs":       {"url: http://a\nreceive: /webhooks/../x\n", "receive: must be a clean path"},
		"receive doubled":      {"url: http://a\nreceive: /webhooks//x\n", "receive: must be a clean path"},
		"receive escaped":      {"url: http://a\nreceive: /webhooks/a%2fb\n", "receive: must be a clean path"},
		"receive pattern":      {"url: http://a\nreceive: \"/webhooks/{x}\"\n", "receive: must be a clean path"},
		"url of a file":        {"url: file:///etc/passwd\nreceive: /webhooks/am\n", "url: must be an http or https URL"},
		"url with credential":  {"url: http://u:" + secret + "@a\nreceive: /webhooks/am\n", "url: must not hold a credential"},
		"url with query":       {"url: http://a?x=" + secret + "\nreceive: /webhooks/am\n", "url: must not have a query"},
		"url broken":           {"url: \"http://u:" + secret + "@[\"\nreceive: /webhooks/am\n", "url: must be an http or https URL"},
		"two bearers":          {ok + "auth: {bearer_file: a, bearer_env: B}\n", "auth.bearer_env: must not be given together"},
		"user alone":           {ok + "auth: {username: a}\n", "auth.password_file: must be given together"},
		"user with colon":      {ok + "auth: {username: \"a:b\", password_file: p}\n", "auth.username: must not contain a colon"},
		"empty client":         {ok + "auth: {client_names: [\"\"]}\n", "auth.client_names: must not hold an empty name"},
		"unknown key":          {ok + "recepti: x\n", "unknown field"},
		"unknown key in auth":  {ok + "auth: {token: x}\n", "unknown field"},
		"hasty":                {ok + "reconcile: 10ms\n", "reconcile: must be at least 1s"},
		"no timeout":           {ok + "timeout: 0s\n", "timeout: must be above 0"},
		"small body":           {ok + "max_body: 1kB\n", "max_body: must be a size"},
		"huge body":            {ok + "max_body: 1TiB\n", "max_body: must be a size"},
		"body in seconds":      {ok + "max_body: 10s\n", "max_body: must be a size"},
		"inline password":      {ok + "basic_auth: {username: u, password: " + secret + "}\n", "basic_auth.password: must not be in the configuration"},
		"inline credentials":   {ok + "authorization: {credentials: " + secret + "}\n", "authorization.credentials: must not be in"},
		"inline bearer":        {ok + "bearer_token: " + secret + "\n", "authorization.credentials: must not be in"},
		"inline key":           {ok + "tls_config: {cert_file: c, key: " + secret + "}\n", "tls_config.key: must not be in"},
		"inline proxy":         {ok + "proxy_url: http://u:" + secret + "@p\n", "proxy_url: must not be in"},
		"inline client secret": {ok + "oauth2: {client_id: c, token_url: http://t, client_secret: " + secret + "}\n", "oauth2.client_secret: must not be in"},
		"secret manager":       {ok + "authorization: {credentials_ref: x}\n", "authorization.credentials_ref: is not supported"},
		"two ways":             {ok + "basic_auth: {username: u, password_file: p}\nauthorization: {credentials_file: c}\n", "at most one of basic_auth"},
	} {
		t.Run(name, func(t *testing.T) {
			_, got := parse(t, c.text)
			if c.want == "" && len(got) != 0 {
				t.Errorf("got %q", got)
			}
			if c.want != "" && !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, c.want) }) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if strings.Contains(strings.Join(got, " "), secret) {
				t.Errorf("a secret is shown: %q", got)
			}
		})
	}
}

func TestSecretInAHeaderIsRefused(t *testing.T) {
	set, _ := parse(t, "url: http://a\nreceive: /webhooks/am\n")
	set.HTTP.HTTPHeaders = &config.Headers{Headers: map[string]config.Header{"X-A": {Secrets: []config.Secret{secret}}}}
	var got []string
	set.Validate(func(path, rule string, value any) { got = append(got, fmt.Sprint(path, rule, value)) })
	if len(got) != 1 || !strings.Contains(got[0], "http_headers.X-A.secrets") || strings.Contains(got[0], secret) {
		t.Errorf("got %q", got)
	}
}

func TestDetectorSettings(t *testing.T) {
	var got []string
	d := Kind().Detector()
	d.(*DetectorSettings).Match = map[string]string{"a": "", "b": "c"}
	d.Validate(func(path, _ string, _ any) { got = append(got, path) })
	if !slices.Equal(got, []string{"match.a"}) || d.Unit() != "" {
		t.Errorf("got %q", got)
	}
}

func TestDoor(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("bearer", "one\n")
	write("password", "pw\n")
	set, _ := parse(t, "receive: /webhooks/am\nreconcile: 0\nauth: {bearer_file: bearer, username: u, password_file: password}\n")
	set.SetDirectory(dir)
	k := Kind()
	if k.Receives(set) != "/webhooks/am" {
		t.Errorf("receives at %q", k.Receives(set))
	}
	src, err := k.Open("alerts", set, kind.Env{ConfigDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for _, door := range []*kind.Door{k.Door(set), src.(*Source).Receiving().Door} {
		write("bearer", "one\n")
		enter := func(authorization string) error {
			r := httptest.NewRequest("POST", "/webhooks/am", nil)
			r.Header.Set("Authorization", authorization)
			return door.Check(r)
		}
		if enter("Bearer one") != nil || enter("Basic dTpwdw==") != nil || enter("Bearer two") == nil || enter("Basic dTp4") == nil || enter("") == nil {
			t.Error("the door is wrong")
		}
		write("bearer", "two\n")
		if enter("Bearer one") == nil || enter("Bearer two") != nil {
			t.Error("a rotated file must count at once")
		}
	}
	t.Setenv("AM_BEARER", "three")
	env, _ := parse(t, "receive: /webhooks/am\nreconcile: 0\nauth: {bearer_env: AM_BEARER}\n")
	if got, err := k.Door(env).Bearer(); got != "three" || err != nil {
		t.Errorf("got %q and %v", got, err)
	}
	t.Setenv("AM_BEARER", "")
	if _, err := k.Door(env).Bearer(); err == nil {
		t.Error("an empty variable must not be a secret")
	}
}

func TestSetDirectoryTwice(t *testing.T) {
	set, _ := parse(t, "receive: /webhooks/am\nreconcile: 0\nauth: {bearer_file: b}\nauthorization: {credentials_file: c}\n")
	set.SetDirectory("conf")
	bearer, credentials := set.Auth.BearerFile, set.HTTP.Authorization.CredentialsFile
	set.SetDirectory("conf")
	if set.Auth.BearerFile != bearer || set.HTTP.Authorization.CredentialsFile != credentials || !filepath.IsAbs(bearer) || !filepath.IsAbs(credentials) {
		t.Errorf("got %s and %s", set.Auth.BearerFile, set.HTTP.Authorization.CredentialsFile)
	}
}

func TestOpenReportsABrokenClient(t *testing.T) {
	set, _ := parse(t, "url: http://127.0.0.1\nreceive: /webhooks/am\ntls_config: {ca_file: gone}\n")
	if _, err := Kind().Open("alerts", set, kind.Env{ConfigDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), `source "alerts"`) {
		t.Errorf("got %v", err)
	}
}
