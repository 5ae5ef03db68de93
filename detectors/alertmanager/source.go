package alertmanager

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/config"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

// Source is one Alertmanager that posts to us and that can be asked back. It
// is safe for concurrent use.
type Source struct {
	name      string
	origin    string
	receiver  string
	maxBody   int64
	reconcile time.Duration
	warmUp    time.Duration
	timeout   time.Duration
	door      *kind.Door
	base      *url.URL // of API v2; nil: there is none
	client    *http.Client
}

var (
	_ signalbox.Receiver  = (*Source)(nil)
	_ signalbox.Completer = (*Source)(nil)
)

// open reads the TLS files of the settings, and connects to nothing yet.
func open(name string, ks kind.Settings, env kind.Env) (any, error) {
	set := *ks.(*Settings)
	set.SetDirectory(env.ConfigDir)
	s := &Source{
		name: name, origin: "alertmanager/" + name, receiver: set.Receiver, maxBody: int64(set.MaxBody.Value),
		reconcile: set.Reconcile.Std(), warmUp: set.WarmUp.Std(), timeout: set.Timeout.Std(), door: set.Auth.door(),
	}
	if set.URL == "" {
		return s, nil
	}
	base, err := set.baseURL()
	if err != nil {
		return nil, fmt.Errorf("source %q: url: not a URL", name)
	}
	client, err := config.NewClientFromConfig(set.HTTP, "alertmanager_"+name, config.WithUserAgent(env.Agent))
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", name, err)
	}
	client.CheckRedirect = stayOn(set.HTTP.FollowRedirects)
	s.base, s.client = base, client
	return s, nil
}

// stayOn follows redirects within one host only: the client's credentials go
// with every request that it makes.
func stayOn(follow bool) func(*http.Request, []*http.Request) error {
	return func(next *http.Request, via []*http.Request) error {
		first := via[0].URL
		switch {
		case !follow:
			return http.ErrUseLastResponse
		case next.URL.Scheme != first.Scheme || next.URL.Host != first.Host:
			return errors.New("redirected to another host")
		case len(via) >= 5:
			return errors.New("redirected too often")
		}
		return nil
	}
}

// Reconcile is how often Present is to be called; 0: never.
func (s *Source) Reconcile() time.Duration { return s.reconcile }

// MaxBody is the length in bytes of the longest message that Decode takes.
func (s *Source) MaxBody() int64 { return s.maxBody }

// Door says who may post, with relative paths resolved.
func (s *Source) Door() *kind.Door { return s.door }

// Asks reports whether Present can be called: there is a url.
func (s *Source) Asks() bool { return s.base != nil }
