package grafana

import (
	"net/http"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Defaults of the signature, as Grafana's contact point has them.
const (
	defaultSignature = "X-Grafana-Alerting-Signature"
	defaultSkew      = 5 * time.Minute
)

// AlertSettings are the keys of a source by which Grafana posts its alerts.
type AlertSettings struct {
	// Path at which a webhook contact point posts alerts, below /webhooks/; absent: no alerts are taken.
	Receive string `yaml:"receive,omitempty" json:"receive,omitempty" jsonschema:"pattern=^/webhooks/[A-Za-z0-9._~/-]+$"`
	// How the contact point signs its messages; absent: they are not signed.
	HMAC *SignatureSettings `yaml:"hmac,omitempty" json:"hmac,omitempty"`
	// What it has in common with all sources that post alerts.
	alerts.Settings `yaml:",inline" json:",inline"`
}

// SignatureSettings are those of the contact point's HMAC signature.
type SignatureSettings struct {
	// File that holds the secret; read at each use.
	SecretFile string `yaml:"secret_file" json:"secret_file" jsonschema:"required"`
	// Header of the signature.
	Header string `yaml:"header,omitempty" json:"header,omitempty" default:"X-Grafana-Alerting-Signature"`
	// Header of the time of signing, as the contact point has it. Without one an old message passes for a new one.
	TimestampHeader string `yaml:"timestamp_header,omitempty" json:"timestamp_header,omitempty"`
	// How far the time of signing may be from this clock; absent: 5m.
	MaxSkew kind.Duration `yaml:"max_skew,omitempty" json:"max_skew,omitzero" default:"5m"`
}

func defaultAlerts() AlertSettings { return AlertSettings{Settings: alerts.Defaults()} }

// Validate reports every rule that the settings break.
func (s *AlertSettings) Validate(fail kind.Fail) {
	if s.Receive == "" {
		s.validateAbsent(fail)
		return
	}
	alerts.ValidatePath(fail, "receive", s.Receive)
	s.Settings.Validate(fail)
	if s.Reconcile == 0 {
		fail("reconcile", "must be at least 1s: Grafana does not post again what was lost", s.Reconcile)
	}
	if s.WarmUp.Std() < 2*s.Reconcile.Std() {
		fail("warm_up", "must be at least twice reconcile ("+s.Reconcile.String()+"): so long is an alert missed before it is taken as ended", s.WarmUp)
	}
	s.HMAC.validate(fail)
}

// validateAbsent refuses what would have no effect.
func (s *AlertSettings) validateAbsent(fail kind.Fail) {
	a := s.Auth
	for key, given := range map[string]bool{
		"auth": a.BearerFile != "" || a.BearerEnv != "" || a.Username != "" || a.PasswordFile != "" || len(a.ClientNames) > 0,
		"hmac": s.HMAC != nil, "receiver": s.Receiver != "", "watchdog": s.Watchdog != nil,
	} {
		if given {
			fail(key, "must be given together with receive", nil)
		}
	}
}

func (g *SignatureSettings) validate(fail kind.Fail) {
	if g == nil {
		return
	}
	if g.SecretFile == "" {
		fail("hmac.secret_file", "must name the file that holds the secret", nil)
	}
	header := func(key, name string) {
		if strings.Trim(name, headerLetters) != "" {
			fail(key, "must be the name of a header", name)
		}
	}
	header("hmac.header", g.Header)
	header("hmac.timestamp_header", g.TimestampHeader)
	if g.TimestampHeader != "" && http.CanonicalHeaderKey(g.TimestampHeader) == http.CanonicalHeaderKey(g.header()) {
		fail("hmac.timestamp_header", "must not be the header of the signature", g.TimestampHeader)
	}
	switch skew := g.skew(); {
	case skew < time.Second || skew > time.Hour:
		fail("hmac.max_skew", "must be at least 1s and at most 1h", g.MaxSkew)
	case g.MaxSkew != 0 && g.TimestampHeader == "":
		fail("hmac.max_skew", "must be given together with timestamp_header", g.MaxSkew)
	}
}

// headerLetters are what we take in the name of a header.
const headerLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (g *SignatureSettings) header() string {
	if g.Header == "" {
		return defaultSignature
	}
	return g.Header
}

func (g *SignatureSettings) skew() time.Duration {
	if g.MaxSkew == 0 {
		return defaultSkew
	}
	return g.MaxSkew.Std()
}

// door says who may post.
func (s *AlertSettings) door() *kind.Door {
	d := s.Auth.Door()
	d.Signed = s.HMAC != nil
	return d
}

// newPost makes the part of the source that takes alerts. orgID is 0 where any
// organization may post.
func newPost(name string, set AlertSettings, orgID int, timeout time.Duration, client *httpclient.Client, env kind.Env) *post {
	dir := alerts.Absolute(env.ConfigDir)
	set.SetDirectory(dir)
	p := &post{
		source: name, receives: set.Receive != "", origin: "grafana/" + name, receiver: set.Receiver, orgID: int64(orgID), timeout: timeout,
		client: client, ledger: newLedger(set.WarmUp.Std()),
		receiving: alerts.Receiving{
			Door: set.door(), Every: set.Every(), MaxBody: int64(set.MaxBody.Value), Asks: true,
			Watchdog: alerts.NewWatchdog(set.Watchdog),
		},
	}
	if g := set.HMAC; g != nil {
		p.signed = &signature{
			secret: alerts.SecretFile(httpclient.In(dir, g.SecretFile)), header: g.header(), timestamp: g.TimestampHeader, skew: g.skew(),
		}
	}
	return p
}
