package endpoint

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"

	"github.com/go-logr/logr"
	promconfig "github.com/prometheus/common/config"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"

	"github.com/signalbox/signalbox/internal/cluster"
)

// maxClients bounds the clients that are kept. There is one for each cluster
// and each HTTP setting; more come only with changed configurations.
const maxClients = 64

// maxBody bounds an answer, in bytes. A ConfigMap has at most 1 MiB of data.
const maxBody = 4 << 20

// errTooLong: an answer had no end.
var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxBody)

// clients keeps connections, by what they were made of. It is safe for
// concurrent use.
type clients struct {
	agent string
	log   logr.Logger // takes what client-go says
	mu    sync.Mutex
	kept  map[string]client
}

type client struct {
	http          *http.Client
	core          coreclient.CoreV1Interface
	authorization authorizationclient.AuthorizationV1Interface
}

func newClients(agent string, log *slog.Logger) *clients {
	if agent == "" {
		agent = "signalbox"
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &clients{agent: agent, log: logr.FromSlogHandler(log.Handler()), kept: map[string]client{}}
}

// get returns the client under key, made anew where there is none.
func (c *clients) get(key string, dial func() (client, error)) (client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.kept[key]; ok {
		return k, nil
	}
	made, err := dial()
	if err != nil {
		return client{}, err
	}
	if len(c.kept) >= maxClients {
		for k, old := range c.kept {
			old.http.CloseIdleConnections()
			delete(c.kept, k)
		}
	}
	c.kept[key] = made
	return made, nil
}

// configMap is the backend of a ConfigMap's key. The kubeconfig is part of the
// client's key by its content, so that a rotated one counts at once.
func (c *clients) configMap(s configMapSpec) (backend, error) {
	access := cluster.Access{Kubeconfig: s.Kubeconfig, InCluster: s.InCluster}
	key, err := access.Fingerprint()
	if err != nil {
		return nil, err
	}
	k, err := c.get(key, func() (client, error) { return c.dialKubernetes(access) })
	if err != nil {
		return nil, err
	}
	return newConfigMap(s, k, c.log), nil
}

// dialKubernetes makes the client. It has no rate limit of its own: a wait in
// it would come between the last check and the send.
func (c *clients) dialKubernetes(access cluster.Access) (client, error) {
	config, err := access.Config(c.agent)
	if err != nil {
		return client{}, err
	}
	config.Timeout = callTimeout
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next} })
	h, err := cluster.HTTPClient(config)
	if err != nil {
		return client{}, err
	}
	core, err := coreclient.NewForConfigAndClient(config, h)
	if err != nil {
		return client{}, fmt.Errorf("cluster: %w", err)
	}
	authorization, err := authorizationclient.NewForConfigAndClient(config, h)
	if err != nil {
		return client{}, fmt.Errorf("cluster: %w", err)
	}
	return client{http: h, core: core, authorization: authorization}, nil
}

// http is the backend of a setting behind an HTTP API.
func (c *clients) http(s httpSpec) (backend, error) {
	k, err := c.get("http "+s.Client, func() (client, error) {
		config, err := promconfig.LoadHTTPConfig(s.Client)
		if err != nil {
			return client{}, errors.New("http: the client's settings can't be read")
		}
		h, err := promconfig.NewClientFromConfig(*config, "signalbox", promconfig.WithUserAgent(c.agent))
		if err != nil {
			return client{}, fmt.Errorf("http: %w", err)
		}
		h.CheckRedirect, h.Timeout = refuseRedirect, callTimeout
		h.Transport = bounded{h.Transport}
		return client{http: h}, nil
	})
	if err != nil {
		return nil, err
	}
	return &httpSetting{spec: s, client: k.http}, nil
}

// refuseRedirect hands a redirect back as the answer: credentials follow none.
func refuseRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// bounded ends an answer that is longer than maxBody with an error.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err == nil && resp.Body != nil {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: maxBody}
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
		return 0, errTooLong
	}
	if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= n
	return n, err
}
