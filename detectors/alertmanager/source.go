package alertmanager

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/config"
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
)

// Source is one Alertmanager that posts to us and that can be asked back. It
// is safe for concurrent use.
type Source struct {
	name      string
	origin    string
	receiver  string
	receiving alerts.Receiving
	warmUp    time.Duration
	timeout   time.Duration
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
		name: name, origin: "alertmanager/" + name, receiver: set.Receiver, warmUp: set.WarmUp.Std(), timeout: set.Timeout.Std(),
		receiving: alerts.Receiving{
			Door: set.Auth.Door(), Every: set.Every(), MaxBody: int64(set.MaxBody.Value), Asks: set.URL != "",
			Watchdog: alerts.NewWatchdog(set.Watchdog),
		},
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

// Receiving says how it posts: its door's relative paths are resolved.
func (s *Source) Receiving() alerts.Receiving { return s.receiving }
