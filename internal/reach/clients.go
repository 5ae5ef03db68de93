package reach

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	promconfig "github.com/prometheus/common/config"
	"k8s.io/client-go/rest"

	"github.com/signalbox/signalbox/internal/cluster"
)

// MaxClients bounds the clients that are kept. There is one for each cluster
// and each HTTP target; more come only with changed configurations.
const MaxClients = 64

// MaxBody bounds an answer, in bytes. A ConfigMap has at most 1 MiB of data.
const MaxBody = 4 << 20

// CallTimeout bounds one request to a target.
const CallTimeout = 10 * time.Second

// ErrTooLong: an answer had no end.
var ErrTooLong = fmt.Errorf("the answer is longer than %d bytes", MaxBody)

// Clients keeps connections, by what they were made of. It is safe for
// concurrent use.
type Clients struct {
	agent string
	log   logr.Logger // takes what client-go says
	mu    sync.Mutex
	kept  map[string]client
}

type client struct {
	http *http.Client
	kube *rest.Config
}

// NewClients keeps none yet. agent is the User-Agent; log may be nil.
func NewClients(agent string, log *slog.Logger) *Clients {
	if agent == "" {
		agent = "signalbox"
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Clients{agent: agent, log: logr.FromSlogHandler(log.Handler()), kept: map[string]client{}}
}

// get returns the client under key, made anew where there is none.
func (c *Clients) get(key string, dial func() (client, error)) (client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.kept[key]; ok {
		return k, nil
	}
	made, err := dial()
	if err != nil {
		return client{}, err
	}
	if len(c.kept) >= MaxClients {
		c.drop()
	}
	c.kept[key] = made
	return made, nil
}

// drop forgets all, with mu held.
func (c *Clients) drop() {
	for k, old := range c.kept {
		old.http.CloseIdleConnections()
		delete(c.kept, k)
	}
}

// Close closes the connections that are idle, and forgets all.
func (c *Clients) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

// Cluster is a connection to a cluster, for the typed clients of any API group.
type Cluster struct {
	HTTP   *http.Client
	Config *rest.Config // for NewForConfigAndClient; not to be changed
	Log    logr.Logger  // where client-go's own words go
}

// Cluster connects to a cluster. The kubeconfig is part of the client's key by
// its content, so that a rotated one counts at once. It has no rate limit of
// its own: a wait in it would come between the last check and the send.
func (c *Clients) Cluster(access cluster.Access) (Cluster, error) {
	key, err := access.Fingerprint()
	if err != nil {
		return Cluster{}, err
	}
	k, err := c.get("cluster "+key, func() (client, error) {
		config, err := access.Config(c.agent)
		if err != nil {
			return client{}, err
		}
		config.Timeout = CallTimeout
		config.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next} })
		h, err := cluster.HTTPClient(config)
		if err != nil {
			return client{}, err
		}
		return client{http: h, kube: config}, nil
	})
	return Cluster{HTTP: k.http, Config: k.kube, Log: c.log}, err
}

// HTTP is the client of an HTTP target, by Prometheus' HTTP client
// configuration as YAML. It follows no redirect, and bounds time and length.
func (c *Clients) HTTP(yaml string) (*http.Client, error) {
	k, err := c.get("http "+yaml, func() (client, error) {
		config, err := promconfig.LoadHTTPConfig(yaml)
		if err != nil {
			return client{}, errors.New("http: the client's settings can't be read")
		}
		h, err := promconfig.NewClientFromConfig(*config, "signalbox", promconfig.WithUserAgent(c.agent))
		if err != nil {
			return client{}, fmt.Errorf("http: %w", err)
		}
		h.CheckRedirect, h.Timeout = refuseRedirect, CallTimeout
		h.Transport = bounded{h.Transport}
		return client{http: h}, nil
	})
	return k.http, err
}

// refuseRedirect hands a redirect back as the answer: credentials follow none.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bounded ends an answer that is longer than MaxBody with an error.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil && resp.Body != nil {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: MaxBody}
	}
	return resp, err
}

func (b bounded) CloseIdleConnections() {
	if c, ok := b.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type boundedBody struct {
	io.ReadCloser
	left int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}
