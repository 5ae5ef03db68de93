package statuspage

import (
	"time"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Settings are the keys of a source of this kind.
type Settings struct {
	httpclient.Settings `yaml:",inline" json:",inline"`
	// The page is read at most so often, whatever its detectors ask: 30s to 2m.
	Refresh kind.Duration `yaml:"refresh,omitempty" json:"refresh,omitzero" default:"1m"`
}

// Bounds of refresh: below, we are a burden to those whose page everybody reads
// when something is wrong; above, readings are too old to act on.
const (
	leastRefresh   = 30 * time.Second
	defaultRefresh = time.Minute
	mostRefresh    = 2 * time.Minute
)

func newSettings() *Settings {
	return &Settings{Settings: httpclient.Defaults(), Refresh: kind.Duration(defaultRefresh)}
}

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	s.Settings.Validate(fail, "https://status.example.com")
	if s.Refresh.Std() < leastRefresh || s.Refresh.Std() > mostRefresh {
		fail("refresh", "must be from 30s to 2m", s.Refresh)
	}
}
