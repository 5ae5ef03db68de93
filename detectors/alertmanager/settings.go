package alertmanager

import (
	"net/url"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	signalbox "github.com/signalbox/signalbox"
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
		Door:     func(s kind.Settings) *kind.Door { return s.(*Settings).Auth.door() },
	}
}

// Settings is what the configuration says to a source of this kind.
type Settings struct {
	// Base URL of the Alertmanager whose API v2 is asked. Name one process, not a balancer in front of several: each holds its own alerts.
	URL string `yaml:"url" json:"url,omitempty" jsonschema:"format=uri"`
	// Path at which Alertmanager posts its webhooks, below /webhooks/.
	Receive string `yaml:"receive" json:"receive" jsonschema:"required,pattern=^/webhooks/[A-Za-z0-9._~/-]+$"`
	// Who may post there.
	Auth Auth `yaml:"auth" json:"auth,omitzero"`
	// Name of the receiver in Alertmanager's configuration that posts here. When given, messages of other receivers are refused and only its alerts are read from API v2; otherwise all alerts of that Alertmanager count.
	Receiver string `yaml:"receiver" json:"receiver,omitempty"`
	// How often the present state is read from API v2, so that lost resolves, silences and inhibitions are noticed. 0 turns it off.
	Reconcile kind.Duration `yaml:"reconcile" json:"reconcile,omitempty" jsonschema:"default=1m"`
	// How long after its start Alertmanager may still lack alerts that fire: it forgets them when it stops, and Prometheus sends them again. Until then an alert that it does not name is not taken as ended.
	WarmUp kind.Duration `yaml:"warm_up" json:"warm_up,omitempty" jsonschema:"default=5m"`
	// Deadline of reading the present state.
	Timeout kind.Duration `yaml:"timeout" json:"timeout,omitempty" jsonschema:"default=10s"`
	// Longest message and longest answer of API v2.
	MaxBody kind.Quantity `yaml:"max_body" json:"max_body,omitzero" jsonschema:"default=10MiB"`
	// How API v2 is reached: Prometheus' own HTTP client settings.
	HTTP config.HTTPClientConfig `yaml:",inline" json:",inline"`
}

func defaults() *Settings {
	return &Settings{
		Reconcile: kind.Duration(time.Minute),
		WarmUp:    kind.Duration(5 * time.Minute),
		Timeout:   kind.Duration(10 * time.Second),
		MaxBody:   kind.Quantity{Value: 10 << 20, Unit: signalbox.Bytes, Text: "10MiB"},
		HTTP:      config.DefaultHTTPClientConfig,
	}
}

// SetDirectory makes the relative paths of credentials begin at dir. They are
// absolute then, so that a second call changes nothing.
func (s *Settings) SetDirectory(dir string) {
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	s.Auth.BearerFile = config.JoinDir(dir, s.Auth.BearerFile)
	s.Auth.PasswordFile = config.JoinDir(dir, s.Auth.PasswordFile)
	s.HTTP.SetDirectory(dir)
}

// Bounds of max_body: below, a message of one alert may not fit; above, a few
// concurrent messages exhaust memory.
const (
	leastBody = 64 << 10
	mostBody  = 64 << 20
)

// Validate checks the settings.
func (s *Settings) Validate(fail kind.Fail) {
	s.validateReceive(fail)
	s.validateURL(fail)
	s.Auth.validate(fail)
	if s.Timeout <= 0 || s.Timeout.Std() > 5*time.Minute {
		fail("timeout", "must be above 0 and at most 5m", s.Timeout)
	}
	if s.MaxBody.Unit != signalbox.Bytes || s.MaxBody.Value < leastBody || s.MaxBody.Value > mostBody {
		fail("max_body", "must be a size from 64KiB to 64MiB", s.MaxBody)
	}
	if s.Reconcile != 0 && s.Reconcile.Std() < time.Second {
		fail("reconcile", "must be at least 1s, or 0 to turn it off", s.Reconcile)
	}
	validateHTTP(&s.HTTP, fail)
}

func (s *Settings) validateReceive(fail kind.Fail) {
	const rule = "must be a clean path below /webhooks/, of letters, digits and . _ ~ - /"
	rest, below := strings.CutPrefix(s.Receive, "/webhooks/")
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-/"
	odd := strings.ContainsFunc(s.Receive, func(c rune) bool { return !strings.ContainsRune(plain, c) })
	if !below || rest == "" || odd || path.Clean(s.Receive) != s.Receive {
		fail("receive", rule, s.Receive)
	}
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

// Auth says who may post: the bearer of a token, a user with a password, or a
// client certificate that the server's TLS has verified. One is enough. With
// none of them nobody is turned away, which the daemon accepts on loopback only.
type Auth struct {
	// File that holds the bearer token; read at each use.
	BearerFile string `yaml:"bearer_file" json:"bearer_file,omitempty"`
	// Environment variable that holds the bearer token.
	BearerEnv string `yaml:"bearer_env" json:"bearer_env,omitempty"`
	// User name of basic authentication.
	Username string `yaml:"username" json:"username,omitempty"`
	// File that holds the password of basic authentication; read at each use.
	PasswordFile string `yaml:"password_file" json:"password_file,omitempty"`
	// Common or DNS names of client certificates that may post.
	ClientNames []string `yaml:"client_names" json:"client_names,omitempty"`
}

func (a *Auth) validate(fail kind.Fail) {
	if a.BearerFile != "" && a.BearerEnv != "" {
		fail("auth.bearer_env", "must not be given together with bearer_file", a.BearerEnv)
	}
	if (a.Username == "") != (a.PasswordFile == "") {
		fail("auth.password_file", "must be given together with username", a.PasswordFile)
	}
	if strings.Contains(a.Username, ":") {
		fail("auth.username", "must not contain a colon", a.Username)
	}
	for _, name := range a.ClientNames {
		if strings.TrimSpace(name) == "" {
			fail("auth.client_names", "must not hold an empty name", name)
		}
	}
}

func (a *Auth) door() *kind.Door {
	d := &kind.Door{Username: a.Username, ClientNames: a.ClientNames}
	switch {
	case a.BearerFile != "":
		d.Bearer = secretFile(a.BearerFile)
	case a.BearerEnv != "":
		d.Bearer = secretEnv(a.BearerEnv)
	}
	if a.PasswordFile != "" {
		d.Password = secretFile(a.PasswordFile)
	}
	return d
}

// baseURL parses the URL that Validate accepted.
func (s *Settings) baseURL() (*url.URL, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, err
	}
	return u.JoinPath("api", "v2"), nil
}

// Every is how often its alerts are read again by themselves; 0: never.
func (s *Settings) Every() time.Duration { return s.Reconcile.Std() }
