package alertmanager

import (
	"net/url"
	"time"

	"github.com/prometheus/common/config"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is the line of the table of sources.
func Kind() kind.Source {
	return kind.Source{
		Name:     "alertmanager",
		Settings: func() kind.Settings { return defaults() },
		Detector: func() kind.DetectorSettings { return &DetectorSettings{} },
		Open:     open,
		Receives: func(s kind.Settings) string { return s.(*Settings).Receive },
		Door:     func(s kind.Settings) *kind.Door { return s.(*Settings).Auth.Door() },
	}
}

// Settings is what the configuration says to a source of this kind.
type Settings struct {
	// Base URL of the Alertmanager whose API v2 is asked. Name one process, not a balancer in front of several: each holds its own alerts.
	URL string `yaml:"url" json:"url,omitempty" jsonschema:"format=uri"`
	// Path at which Alertmanager posts its webhooks, below /webhooks/.
	Receive string `yaml:"receive" json:"receive" jsonschema:"required,pattern=^/webhooks/[A-Za-z0-9._~/-]+$"`
	// Deadline of reading the present state.
	Timeout kind.Duration `yaml:"timeout" json:"timeout,omitempty" jsonschema:"default=10s"`
	// What it has in common with all sources that post alerts.
	alerts.Settings `yaml:",inline" json:",inline"`
	// How API v2 is reached: Prometheus' own HTTP client settings.
	HTTP config.HTTPClientConfig `yaml:",inline" json:",inline"`
}

func defaults() *Settings {
	return &Settings{
		Timeout:  kind.Duration(10 * time.Second),
		Settings: alerts.Defaults(),
		HTTP:     config.DefaultHTTPClientConfig,
	}
}

// SetDirectory makes the relative paths of credentials begin at dir. They are
// absolute then, so that a second call changes nothing.
func (s *Settings) SetDirectory(dir string) {
	dir = alerts.Absolute(dir)
	s.Settings.SetDirectory(dir)
	s.HTTP.SetDirectory(dir)
}

// Validate checks the settings.
func (s *Settings) Validate(fail kind.Fail) {
	alerts.ValidatePath(fail, "receive", s.Receive)
	s.validateURL(fail)
	s.Settings.Validate(fail)
	if s.Timeout <= 0 || s.Timeout.Std() > 5*time.Minute {
		fail("timeout", "must be above 0 and at most 5m", s.Timeout)
	}
	validateHTTP(&s.HTTP, fail)
}

func (s *Settings) validateURL(fail kind.Fail) {
	if s.URL == "" {
		if s.Reconcile != 0 {
			fail("url", "is needed to reconcile; without it say reconcile: 0, and lost resolves stay unnoticed and truncated messages are refused", s.URL)
		}
		return
	}
	u, err := url.Parse(s.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fail("url", "must be an http or https URL with a host", "(not shown: it may hold a credential)")
	case u.User != nil:
		fail("url", "must not hold a credential; use basic_auth with password_file", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		fail("url", "must not have a query or a fragment", u.Scheme+"://"+u.Host+u.Path)
	}
}

// baseURL parses the URL that Validate accepted.
func (s *Settings) baseURL() (*url.URL, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	return u.JoinPath("api", "v2"), nil
}
