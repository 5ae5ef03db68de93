package grafana

import (
	"net/http"
	"strconv"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// defaultRefresh is how long a definition is used before it is read again.
const defaultRefresh = time.Minute

// orgHeader names the organization that a request is meant for.
// See https://grafana.com/docs/grafana/latest/developers/http_api/authentication/.
const orgHeader = "X-Grafana-Org-Id"

// Settings are the keys of a source of this kind. The token of a service
// account is given by authorization.credentials_file.
type Settings struct {
	httpclient.Settings `yaml:",inline" json:",inline"`
	// The organization that is meant, where the credentials know several.
	OrgID int `yaml:"org_id,omitempty" json:"org_id,omitempty" jsonschema:"minimum=0"`
	// How often dashboards, library panels and data sources are read again: a change of a panel is noticed within it.
	Refresh kind.Duration `yaml:"refresh,omitempty" json:"refresh,omitzero" default:"1m"`
	// How Grafana posts its alerts.
	AlertSettings `yaml:",inline" json:",inline"`
}

func newSettings() *Settings {
	return &Settings{Settings: httpclient.Defaults(), Refresh: kind.Duration(defaultRefresh), AlertSettings: defaultAlerts()}
}

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	s.Settings.Validate(fail, "http://grafana:3000")
	if s.Refresh < kind.Duration(time.Second) || s.Refresh > kind.Duration(time.Hour) {
		fail("refresh", "must be at least 1s and at most 1h", s.Refresh)
	}
	s.AlertSettings.Validate(fail)
	if s.OrgID < 0 {
		fail("org_id", "must be at least 1, or absent", s.OrgID)
	}
	if s.OrgID > 0 && s.HTTP.HTTPHeaders != nil {
		for name := range s.HTTP.HTTPHeaders.Headers {
			if http.CanonicalHeaderKey(name) == orgHeader {
				fail("http_headers."+name, "must not be given beside org_id", nil)
			}
		}
	}
}

// client are the settings of the HTTP client, with the organization.
func (s *Settings) client() promconfig.HTTPClientConfig {
	c := httpclient.Clone(s.HTTP)
	if s.OrgID > 0 {
		if c.HTTPHeaders == nil {
			c.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{}}
		}
		c.HTTPHeaders.Headers[orgHeader] = promconfig.Header{Values: []string{strconv.Itoa(s.OrgID)}}
	}
	return c
}
