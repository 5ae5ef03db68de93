package pagerduty

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

const (
	maxBody = 1 << 20         // bytes of a webhook
	within  = 4 * time.Second // PagerDuty waits for 5 seconds
	// maxAge is how old a word may be: PagerDuty sends a webhook again for 48
	// hours.
	maxAge = 49 * time.Hour
	// maxAhead is how far its clock may be ahead of ours.
	maxAhead      = 5 * time.Minute
	maxSignatures = 8   // in one header
	maxName       = 255 // characters
	// keyBegins is how the keys of our own pages begin: other incidents of a
	// service are none of ours.
	keyBegins = "signalbox-"
)

// Source is one receiver of webhooks. It is safe for concurrent use.
type Source struct {
	name    string
	secrets func() ([]string, error)
	log     *slog.Logger // nil: none
}

var (
	_ signalbox.Receiver  = (*Source)(nil)
	_ signalbox.Completer = (*Source)(nil)
)

func open(name string, ks kind.Settings, env kind.Env) (any, error) {
	return &Source{name: name, secrets: ks.(*Settings).secrets(env.ConfigDir), log: env.Log}, nil
}

// Receiving says how it posts.
func (s *Source) Receiving() alerts.Receiving {
	return alerts.Receiving{Door: &kind.Door{Signed: true}, MaxBody: maxBody, Within: within}
}

// Present is never called: acknowledgements are read by the owners' pager.
func (s *Source) Present(context.Context, time.Time) (signalbox.Batch, error) {
	return signalbox.Batch{}, errors.New("a source of kind pagerduty can't be asked")
}

var errNoSignature = errors.New("the message has no signature of version 1 (X-PagerDuty-Signature)")

// Verify refuses a message that none of the secrets signed. Signatures are
// compared in constant time. kind.ErrNoSecret is a fault of ours.
func (s *Source) Verify(h http.Header, body []byte, _ time.Time) error {
	secrets, err := s.secrets()
	if err != nil {
		return kind.ErrNoSecret
	}
	given := signatures(h)
	if len(given) == 0 {
		return errNoSignature
	}
	good := false
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(body)
		want := mac.Sum(nil)
		for _, sig := range given {
			good = hmac.Equal(want, sig) || good
		}
	}
	if !good {
		return kind.ErrBadCredential
	}
	return nil
}

// signatures are those of version 1; others may come with later versions.
func signatures(h http.Header) [][]byte {
	var out [][]byte
	for one := range strings.SplitSeq(strings.Join(h.Values("X-PagerDuty-Signature"), ","), ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(one), "v1=")
		if sig, err := hex.DecodeString(text); ok && err == nil && len(sig) == sha256.Size && len(out) < maxSignatures {
			out = append(out, sig)
		}
	}
	return out
}

// message is what is read of a webhook.
type message struct {
	Event struct {
		Type  string `json:"event_type"`
		At    string `json:"occurred_at"`
		Agent *agent `json:"agent"`
		Data  struct {
			Key string `json:"incident_key"`
		} `json:"data"`
	} `json:"event"`
}

// agent is who did it; nil: PagerDuty itself.
type agent struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Summary string `json:"summary"`
}

func (a *agent) person() bool {
	return a != nil && (a.Type == "user_reference" || a.Type == "user")
}

func (a *agent) who() string {
	switch {
	case !a.person():
		return "PagerDuty"
	case httpclient.Plain(a.Summary, maxName) != "":
		return httpclient.Plain(a.Summary, maxName)
	}
	return "PagerDuty user " + httpclient.Plain(a.ID, maxName)
}

// words are the events that say that a person has seen a page, or that nobody
// has it any more.
var words = map[string]struct {
	kind   signalbox.ControlKind
	reason string
	person bool // only a person's counts
}{
	"incident.acknowledged":   {signalbox.Acknowledge, "acknowledged in PagerDuty", true},
	"incident.resolved":       {signalbox.Acknowledge, "resolved in PagerDuty", true},
	"incident.unacknowledged": {signalbox.Unacknowledge, "no longer acknowledged in PagerDuty", false}, // by a person, or when its time ran out
}

// Decode reads a webhook. It never fails: what is signed and can't be read is
// no fault of PagerDuty's that another attempt would mend.
func (s *Source) Decode(_ http.Header, body []byte, at time.Time) (signalbox.Batch, error) {
	b := signalbox.Batch{Source: s.name, At: at}
	var m message
	if err := json.Unmarshal(body, &m); err != nil || m.Event.Type == "" {
		s.passOver("it is signed, and not of version 3", "")
		return b, nil
	}
	e := m.Event
	word, ours := words[e.Type]
	if !ours || !strings.HasPrefix(e.Data.Key, keyBegins) || len(e.Data.Key) > maxName {
		return b, nil
	}
	if word.person && !e.Agent.person() {
		return b, nil // a service: an event of ours, or a timeout
	}
	said, err := time.Parse(time.RFC3339, e.At)
	if err != nil || at.Sub(said) > maxAge || said.Sub(at) > maxAhead {
		s.passOver("it is too old, or of the future", e.Data.Key)
		return b, nil
	}
	b.Words = []signalbox.Control{{Kind: word.kind, Scope: "page/" + e.Data.Key, Reason: word.reason, Who: e.Agent.who(), At: said}}
	return b, nil
}

func (s *Source) passOver(why, key string) {
	if s.log != nil {
		s.log.Warn("webhook of PagerDuty is passed over", "why", why, "source", s.name, "page", httpclient.Plain(key, maxName))
	}
}
