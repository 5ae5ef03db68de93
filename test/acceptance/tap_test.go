package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const webhookPath = "/webhooks/alertmanager"

// alerts writes the configuration of a source of alerts whose critical ones
// are backend's, without any policy. more are further settings of the source.
func (b *box) alerts(url, more string) {
	b.t.Helper()
	if more == "" {
		more = "warm_up: 0s"
	}
	b.write("alerts.yaml", fmt.Sprintf(`
sources:
  alerts: {kind: alertmanager, url: %q, receive: %s, auth: {bearer_file: secrets/webhook}, reconcile: 1s, unknown_after: 3s, %s}
detectors:
  - name: critical
    source: alerts
    match: {severity: critical}
    subject: "{{alertname}}/{{cluster}}"
    owner: backend
`, url, webhookPath, more))
}

// paged says whether the one page about a subject went to an owner's key, and
// is made of exactly these events.
func (b *box) paged(subject, key string, actions ...string) func() error {
	return func() error {
		found := b.pages(subject)
		if len(found) != 1 {
			return fmt.Errorf("pages about %s: got %d, want 1", subject, len(found))
		}
		var got []string
		for _, e := range found[0].Events {
			got = append(got, e.Action)
		}
		if !slices.Equal(got, actions) || found[0].RoutingKey != key {
			return fmt.Errorf("the page about %s: got %q to the key that ends in %q, want %q to %q",
				subject, got, found[0].RoutingKey[30:], actions, key[30:])
		}
		return nil
	}
}

// webhookBody is a message of Alertmanager about one alert. The fingerprint is
// left out, as old versions did.
func webhookBody(status, name string, starts, ends time.Time) string {
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": `{}:{alertname="` + name + `"}`, "receiver": "signalbox", "status": status,
		"alerts": []any{map[string]any{
			"status": status, "labels": map[string]string{"alertname": name, "cluster": "eu"}, "startsAt": starts, "endsAt": ends,
		}},
	})
	if err != nil {
		panic(err) // texts and times
	}
	return string(body)
}

// deliver posts a body, and returns the answer's status and text.
func deliver(ctx context.Context, url, authorization, body string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(said), err
}

// tap stands between Alertmanager and the daemon's webhooks, and keeps what
// passes.
type tap struct {
	url    string
	mu     sync.Mutex
	bodies []string
	losing bool
	hold   int           // answers wait until so many bodies have passed
	enough chan struct{} // closed when they have
}

func newTap(t *testing.T, b *box) *tap {
	t.Helper()
	p := &tap{enough: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		status := http.StatusOK
		if !p.loses() {
			status, _, err = deliver(r.Context(), b.webhooks+r.URL.Path, r.Header.Get("Authorization"), string(body))
		}
		if err != nil {
			status = http.StatusBadGateway
		}
		select {
		case <-p.passed(string(body)):
		case <-r.Context().Done():
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// route is an Alertmanager's configuration that posts through the tap.
func (p *tap) route() string {
	return fmt.Sprintf(`{route: {receiver: signalbox, group_by: [alertname], group_wait: 500ms, group_interval: 1s, repeat_interval: 1h},
receivers: [{name: signalbox, webhook_configs: [{url: %q, send_resolved: true, http_config: {authorization: {credentials: %q}}}]}]}`,
		p.url+webhookPath, webhookKey)
}

// lose answers what comes from now on as if it was delivered, and drops it.
func (p *tap) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing = true
}

func (p *tap) loses() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.losing
}

// answerAfter keeps senders waiting until n bodies have passed.
func (p *tap) answerAfter(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hold = n
}

// passed keeps a body, and returns what is closed when it may be answered.
func (p *tap) passed(body string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies = append(p.bodies, body)
	if len(p.bodies) == max(1, p.hold) {
		close(p.enough)
	}
	return p.enough
}

// with are the bodies that hold a text.
func (p *tap) with(text string) (found []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, body := range p.bodies {
		if strings.Contains(body, text) {
			found = append(found, body)
		}
	}
	return found
}

// last is the last body that holds a text, which was heard.
func (p *tap) last(text string) string {
	found := p.with(text)
	return found[len(found)-1]
}

// heard says whether n bodies hold a text: at least, where n is not 0.
func (p *tap) heard(text string, n int) func() error {
	return func() error {
		if got := len(p.with(text)); got < n || n == 0 && got > 0 {
			return fmt.Errorf("messages with %s: got %d, want %d", text, got, n)
		}
		return nil
	}
}
