package alerts

import (
	"path/filepath"
	"time"

	"github.com/prometheus/common/config"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// Settings are the keys of a source that posts alerts, beside the path at
// which it does and how it is asked. A kind embeds them with
// `yaml:",inline" json:",inline"`.
type Settings struct {
	// Who may post there.
	Auth Auth `yaml:"auth" json:"auth,omitzero"`
	// Name of the receiver, or contact point, that posts here. When given, messages of others are refused and only its alerts are read from API v2; otherwise all alerts count.
	Receiver string `yaml:"receiver" json:"receiver,omitempty"`
	// How often the present state is read from API v2, so that lost resolves, silences and inhibitions are noticed. 0 turns it off.
	Reconcile kind.Duration `yaml:"reconcile" json:"reconcile,omitempty" jsonschema:"default=1m"`
	// How long after its start the server may still lack alerts that fire: it forgets them when it stops, and their evaluator sends them again. Until then an alert that it does not name is not taken as ended.
	WarmUp kind.Duration `yaml:"warm_up" json:"warm_up,omitempty" jsonschema:"default=5m"`
	// Longest message and longest answer of API v2.
	MaxBody kind.Quantity `yaml:"max_body" json:"max_body,omitzero" jsonschema:"default=10MiB"`
	// An alert that fires always. When it no longer comes, no other alert would: that is an incident of the source.
	Watchdog *WatchdogSettings `yaml:"watchdog,omitempty" json:"watchdog,omitempty"`
}

// Defaults are the settings that are not given.
func Defaults() Settings {
	return Settings{
		Reconcile: kind.Duration(time.Minute),
		WarmUp:    kind.Duration(5 * time.Minute),
		MaxBody:   kind.Quantity{Value: 10 << 20, Unit: signalbox.Bytes, Text: "10MiB"},
	}
}

// SetDirectory makes the relative paths of secrets begin at dir. They are
// absolute then, so that a second call changes nothing.
func (s *Settings) SetDirectory(dir string) {
	dir = Absolute(dir)
	s.Auth.BearerFile = config.JoinDir(dir, s.Auth.BearerFile)
	s.Auth.PasswordFile = config.JoinDir(dir, s.Auth.PasswordFile)
}

// Absolute is dir as an absolute path, where it can be told.
func Absolute(dir string) string {
	if whole, err := filepath.Abs(dir); err == nil {
		return whole
	}
	return dir
}

// Bounds of max_body: below, a message of one alert may not fit; above, a few
// concurrent messages exhaust memory.
const (
	leastBody = 64 << 10
	mostBody  = 64 << 20
)

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	s.Auth.validate(fail)
	if s.MaxBody.Unit != signalbox.Bytes || s.MaxBody.Value < leastBody || s.MaxBody.Value > mostBody {
		fail("max_body", "must be a size from 64KiB to 64MiB", s.MaxBody)
	}
	if s.Reconcile != 0 && s.Reconcile.Std() < time.Second {
		fail("reconcile", "must be at least 1s, or 0 to turn it off", s.Reconcile)
	}
	s.Watchdog.validate(fail, s.Reconcile.Std())
}

// Every is how often its alerts are read again by themselves; 0: never.
func (s *Settings) Every() time.Duration { return s.Reconcile.Std() }

// Receiving is what the daemon must know of a source that posts alerts.
type Receiving struct {
	Door     *kind.Door
	Every    time.Duration // between two calls of Present; 0: it is never called by itself
	MaxBody  int64         // bytes of the longest message that Decode takes
	Within   time.Duration // for how long its sender waits for an answer; 0: 10s
	Asks     bool          // Present can be called: there is a url
	Watchdog *Watchdog     // nil: there is none
}
