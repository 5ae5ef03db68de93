package prometheus

import (
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Settings are the keys of a source of this kind: where it is, and Prometheus'
// own HTTP client settings.
// See https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config.
type Settings struct {
	httpclient.Settings `yaml:",inline" json:",inline"`
}

func newSettings() *Settings { return &Settings{httpclient.Defaults()} }

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) { s.Settings.Validate(fail, "http://prometheus:9090") }
