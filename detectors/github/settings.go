package github

import (
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Settings are the keys of a source of this kind.
type Settings struct {
	// The address of the REST API; of GitHub Enterprise Server: https://HOST/api/v3
	URL string `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"format=uri" default:"https://api.github.com"`
	// How long one question may take.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" default:"10s"`
	// A list is asked for at most so often: 5s to 5m, and without credentials at least 2m.
	Refresh kind.Duration `yaml:"refresh,omitempty" json:"refresh,omitzero" default:"30s"`
	// HTTP holds the client's settings: credentials, TLS, proxy, headers.
	HTTP promconfig.HTTPClientConfig `yaml:",inline" json:",inline"`
}

const (
	defaultURL     = "https://api.github.com"
	leastRefresh   = 5 * time.Second
	defaultRefresh = 30 * time.Second
	mostRefresh    = 5 * time.Minute
	leastAnonymous = 2 * time.Minute
)

func newSettings() *Settings {
	d := httpclient.Defaults()
	return &Settings{URL: defaultURL, Timeout: d.Timeout, Refresh: kind.Duration(defaultRefresh), HTTP: d.HTTP}
}

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	client := httpclient.Settings{URL: s.URL, Timeout: s.Timeout, HTTP: s.HTTP}
	client.Validate(fail, defaultURL)
	switch {
	case s.Refresh.Std() < leastRefresh || s.Refresh.Std() > mostRefresh:
		fail("refresh", "must be from 5s to 5m", s.Refresh)
	case s.URL == defaultURL && s.anonymous() && s.Refresh.Std() < leastAnonymous:
		fail("refresh", "must be at least 2m without credentials, with which GitHub allows more than 60 requests an hour: give authorization.credentials_file", s.Refresh)
	}
}

// anonymous reports whether requests bear no credentials.
func (s *Settings) anonymous() bool {
	h := s.HTTP
	return h.Authorization == nil && h.BasicAuth == nil && h.OAuth2 == nil && h.BearerTokenFile == "" && h.HTTPHeaders == nil
}

// Connection is how this GitHub is reached, for what else reaches it.
func (s *Settings) Connection() (address string, client promconfig.HTTPClientConfig) {
	return s.URL, httpclient.Clone(s.HTTP)
}
