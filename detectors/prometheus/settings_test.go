package prometheus

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

func problems(s kind.Settings) []string {
	var got []string
	s.Validate(func(path, rule string, value any) {
		got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
	})
	slices.Sort(got)
	return got
}

func TestSettingsRefuse(t *testing.T) {
	proxy, _ := url.Parse("http://user:" + secret + "@proxy:3128")
	for _, c := range []struct {
		name string
		with func(*Settings)
		want string // "": nothing is refused
	}{
		{"good", func(*Settings) {}, ""},
		{"good files", func(s *Settings) {
			s.HTTP.BasicAuth = &promconfig.BasicAuth{Username: "u", PasswordFile: "f"}
			s.HTTP.TLSConfig = promconfig.TLSConfig{CAFile: "ca", CertFile: "c", KeyFile: "k"}
			s.HTTP.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Scope-OrgID": {Values: []string{"prod"}}}}
		}, ""},
		{"no url", func(s *Settings) { s.URL = "" }, "url: must be the address"},
		{"no scheme", func(s *Settings) { s.URL = "prometheus:9090" }, "url: must be an http or https"},
		{"file", func(s *Settings) { s.URL = "file:///etc/passwd" }, "url: must be an http or https"},
		{"password in url", func(s *Settings) { s.URL = "http://u:" + secret + "@p" }, "url: must hold no credentials"},
		{"unparsable url", func(s *Settings) { s.URL = "http://u:" + secret + "@[" }, "url: must be an http or https"},
		{"query", func(s *Settings) { s.URL = "http://p/?a=b" }, "url: must have no query"},
		{"timeout", func(s *Settings) { s.Timeout = 0 }, "timeout: must be greater than 0"},
		{"bearer", func(s *Settings) { s.HTTP.BearerToken = secret }, "bearer_token: must not hold a secret"},
		{"credentials", func(s *Settings) { s.HTTP.Authorization = &promconfig.Authorization{Credentials: secret} }, "authorization.credentials: must not hold a secret: use authorization.credentials_file"},
		{"password", func(s *Settings) { s.HTTP.BasicAuth = &promconfig.BasicAuth{Password: secret} }, "basic_auth.password: must not hold"},
		{"key", func(s *Settings) { s.HTTP.TLSConfig = promconfig.TLSConfig{CertFile: "c", Key: secret} }, "tls_config.key: must not hold"},
		{"reference", func(s *Settings) {
			s.HTTP.Authorization = &promconfig.Authorization{CredentialsRef: "r"}
		}, "authorization.credentials: must not hold"},
		{"proxy", func(s *Settings) { s.HTTP.ProxyURL.URL = proxy }, "proxy_url: must not hold"},
		{"header", func(s *Settings) {
			s.HTTP.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Key": {Secrets: []promconfig.Secret{secret}}}}
		}, "http_headers.X-Key: must not hold"},
		{"oauth2", func(s *Settings) {
			s.HTTP.OAuth2 = &promconfig.OAuth2{ClientID: "a", TokenURL: "http://t", ClientSecret: secret}
		}, "oauth2.client_secret: must not hold"},
		{"two ways", func(s *Settings) {
			s.HTTP.BasicAuth, s.HTTP.Authorization = &promconfig.BasicAuth{PasswordFile: "f"}, &promconfig.Authorization{CredentialsFile: "f"}
		}, ": http client settings: at most one of"},
		{"half a certificate", func(s *Settings) { s.HTTP.TLSConfig.CertFile = "c" }, "tls_config: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSettings()
			s.URL = "http://prometheus:9090"
			c.with(s)
			got := problems(s)
			if c.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || c.want == "" || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("got %q, want one with %q", got, c.want)
			}
			if strings.Contains(strings.Join(got, ""), secret) {
				t.Errorf("%q holds the secret", got)
			}
		})
	}
}

func TestValidateChangesNothing(t *testing.T) {
	s := newSettings()
	s.URL, s.HTTP.BearerTokenFile = "http://p", "token"
	problems(s)
	if s.HTTP.Authorization != nil || s.HTTP.BearerTokenFile != "token" {
		t.Errorf("Validate changed the settings: %+v", s.HTTP)
	}
}

func TestDetectorSettings(t *testing.T) {
	for _, c := range []struct {
		name string
		with func(*DetectorSettings)
		want string
	}{
		{"good", func(*DetectorSettings) {}, ""},
		{"good presence may compare", func(d *DetectorSettings) { d.Presence = `count(up{job="pg"} == 1)` }, ""},
		{"bool comparison", func(d *DetectorSettings) { d.Query = "lag > bool 5" }, ""},
		{"no query", func(d *DetectorSettings) { d.Query = "" }, "query: must be PromQL that gives the value"},
		{"comparison", func(d *DetectorSettings) { d.Query = "lag > 5" }, "query: must not end in a comparison, since its empty answer would not prove health"},
		{"syntax", func(d *DetectorSettings) { d.Query = "max(" }, "query: must be PromQL: 1:5: parse error"},
		{"presence", func(d *DetectorSettings) { d.Presence = "vector(1)" }, "presence: must select a metric"},
		{"thresholds", func(d *DetectorSettings) { d.Breach.Above = kind.Quantity{} }, "breach: must say above or below"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := lagSettings()
			c.with(d)
			got := problems(d)
			if c.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || c.want == "" || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("got %q, want one with %q", got, c.want)
			}
		})
	}
}

func TestBuildRefusesWhatValidateWould(t *testing.T) {
	d := lagSettings()
	d.Query = "max("
	if _, _, err := d.Build(kind.Common{Name: "lag"}, nil); err == nil || !strings.Contains(err.Error(), "detector lag: query must be PromQL") {
		t.Errorf("got %v", err)
	}
}

func TestBuildTellsTimingAndOrigin(t *testing.T) {
	d := lagSettings()
	d.Breach.For, d.Clear.For, d.KeepFiringFor = 1, 2, 3
	s := connect(t, says(200, "application/json", ""), nil)
	det, timing, err := d.Build(kind.Common{Name: "lag", Source: "metrics"}, s)
	if err != nil || timing.For != 1 || timing.ClearFor != 2 || timing.KeepFiringFor != 3 || d.Unit() != signalbox.Seconds {
		t.Fatalf("%+v, %v", timing, err)
	}
	r := det.Judge(nil, nil, moment)[0]
	if r.Origin != "prometheus:"+s.client.Base().Host || !strings.HasPrefix(r.Origin, "prometheus:127.0.0.1:") {
		t.Errorf("origin %q", r.Origin)
	}
}
