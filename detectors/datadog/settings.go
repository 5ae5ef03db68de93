package datadog

import (
	"slices"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Settings are the keys of a source of this kind: which of Datadog's sites,
// with which keys, and Prometheus' own HTTP client settings.
type Settings struct {
	// Datadog's site, as it stands in the address of its pages.
	Site string `yaml:"site" json:"site" jsonschema:"required,enum=datadoghq.com,enum=us3.datadoghq.com,enum=us5.datadoghq.com,enum=ap1.datadoghq.com,enum=ap2.datadoghq.com,enum=datadoghq.eu,enum=ddog-gov.com"`
	// The file that holds the API key. It is read at each use.
	APIKeyFile string `yaml:"api_key_file,omitempty" json:"api_key_file,omitempty"`
	// The environment variable that holds the API key.
	APIKeyEnv string `yaml:"api_key_env,omitempty" json:"api_key_env,omitempty"`
	// The file that holds the application key. It is read at each use.
	ApplicationKeyFile string `yaml:"application_key_file,omitempty" json:"application_key_file,omitempty"`
	// The environment variable that holds the application key.
	ApplicationKeyEnv string `yaml:"application_key_env,omitempty" json:"application_key_env,omitempty"`
	// Where the API is reached instead of https://api.SITE, for a gateway before it.
	URL string `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"format=uri"`
	// How long one question may take, with its waits and retries.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" default:"10s"`
	// HTTP holds the client's settings: TLS, proxy, headers.
	HTTP promconfig.HTTPClientConfig `yaml:",inline" json:",inline"`
}

func newSettings() *Settings {
	return &Settings{Timeout: kind.Duration(httpclient.DefaultTimeout), HTTP: promconfig.DefaultHTTPClientConfig}
}

// sites are the sites of Datadog, each with the address of its pages.
// See https://docs.datadoghq.com/getting_started/site/.
var sites = []struct{ name, pages string }{
	{"datadoghq.com", "https://app.datadoghq.com"},
	{"us3.datadoghq.com", "https://us3.datadoghq.com"},
	{"us5.datadoghq.com", "https://us5.datadoghq.com"},
	{"ap1.datadoghq.com", "https://ap1.datadoghq.com"},
	{"ap2.datadoghq.com", "https://ap2.datadoghq.com"},
	{"datadoghq.eu", "https://app.datadoghq.eu"},
	{"ddog-gov.com", "https://app.ddog-gov.com"},
}

// pagesOf is the address of a site's pages; "" for what is no site.
func pagesOf(site string) string {
	for _, s := range sites {
		if s.name == site {
			return s.pages
		}
	}
	return ""
}

func siteNames() string {
	names := make([]string, len(sites))
	for i, s := range sites {
		names[i] = s.name
	}
	return strings.Join(names, ", ")
}

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	if pagesOf(s.Site) == "" {
		fail("site", "must be one of "+siteNames(), s.Site)
	}
	oneKey(fail, "api_key", s.APIKeyFile, s.APIKeyEnv)
	oneKey(fail, "application_key", s.ApplicationKeyFile, s.ApplicationKeyEnv)
	if s.URL != "" {
		httpclient.ValidateURL(fail, "url", s.URL)
	} else {
		s.noGateway(fail)
	}
	if s.Timeout <= 0 || s.Timeout.Std() > 5*time.Minute {
		fail("timeout", "must be greater than 0 and at most 5m", s.Timeout)
	}
	httpclient.Validate(fail, &s.HTTP)
}

// noGateway refuses credentials of another kind than Datadog's where nothing
// stands between that would want them.
func (s *Settings) noGateway(fail kind.Fail) {
	const rule = "is for a gateway before the API, so url must be given too: Datadog itself takes api_key_file and application_key_file"
	for _, given := range []struct {
		path string
		is   bool
	}{
		{"authorization", s.HTTP.Authorization != nil},
		{"basic_auth", s.HTTP.BasicAuth != nil},
		{"oauth2", s.HTTP.OAuth2 != nil},
		{"bearer_token_file", s.HTTP.BearerTokenFile != ""},
	} {
		if given.is {
			fail(given.path, rule, nil)
		}
	}
}

// oneKey holds a credential to one place. Of a name that may be the key itself
// nothing is repeated.
func oneKey(fail kind.Fail, name, file, env string) {
	switch {
	case (file == "") == (env == ""):
		fail(name+"_file", "exactly one of "+name+"_file and "+name+"_env must be given", nil)
	case strings.ContainsFunc(env, func(r rune) bool { return !slices.Contains(nameRunes, r) }):
		fail(name+"_env", "must be the name of an environment variable", "(not shown: it may be the key itself)")
	}
}

var nameRunes = []rune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
