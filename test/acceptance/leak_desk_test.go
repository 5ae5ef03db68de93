package acceptance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leakDesk takes requests as the tracker and the payment provider do: each once
// by its key. It notes how the world was when a request came.
type leakDesk struct {
	*httptest.Server
	l   *leak
	mu  sync.Mutex
	all []leakRequest
}

type leakRequest struct {
	path, key, body             string
	consumersNew, sessionsEnded bool
}

func newLeakDesk(l *leak) *leakDesk {
	d := &leakDesk{l: l}
	d.Server = httptest.NewServer(d)
	l.t.Cleanup(d.Close)
	return d
}

// ServeHTTP implements http.Handler.
func (d *leakDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Idempotency-Key") == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+leakDesks {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	req := leakRequest{path: r.URL.Path, key: r.Header.Get("Idempotency-Key"), body: string(bytes.TrimSpace(body))}
	if req.body != "" && !json.Valid(body) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	req.consumersNew, req.sessionsEnded = d.world(r.Context())
	d.mu.Lock()
	d.all = append(d.all, req)
	d.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

// world looks whether each consumer's pod began after the provider's key was
// changed, and whether the Job that ends sessions is done.
func (d *leakDesk) world(ctx context.Context) (consumersNew, sessionsEnded bool) {
	jobs, err := d.l.admin.BatchV1().Jobs("auth").List(ctx, metav1.ListOptions{})
	if err != nil {
		return false, false
	}
	for i := range jobs.Items {
		sessionsEnded = sessionsEnded || jobs.Items[i].Status.Succeeded > 0
	}
	s, err := d.l.admin.CoreV1().Secrets("payments").Get(ctx, "psp-key", metav1.GetOptions{})
	if err != nil || len(s.ManagedFields) == 0 {
		return false, sessionsEnded
	}
	pods, err := d.l.admin.CoreV1().Pods("payments").List(ctx, metav1.ListOptions{})
	consumersNew = err == nil && len(pods.Items) > 0
	for i := range pods.Items {
		for _, f := range s.ManagedFields {
			consumersNew = consumersNew && pods.Items[i].CreationTimestamp.After(f.Time.Time)
		}
	}
	return consumersNew, sessionsEnded
}

func (d *leakDesk) requests() []leakRequest {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.all)
}

func (d *leakDesk) at(path string) (found []leakRequest) {
	for _, r := range d.requests() {
		if r.path == path {
			found = append(found, r)
		}
	}
	return found
}

func (d *leakDesk) has(path string) func() error {
	return func() error {
		if len(d.at(path)) == 0 {
			return fmt.Errorf("no request came to %s", path)
		}
		return nil
	}
}

func (d *leakDesk) none(path string) func() error {
	return func() error {
		if n := len(d.at(path)); n > 0 {
			return fmt.Errorf("%d requests came to %s", n, path)
		}
		return nil
	}
}

// one is the request that came to a path; sent again, it has the same key.
func (d *leakDesk) one(path string) leakRequest {
	d.l.t.Helper()
	all := d.at(path)
	if len(all) == 0 {
		d.l.t.Fatalf("no request came to %s", path)
	}
	for _, r := range all {
		if r.key != all[0].key || r.body != all[0].body {
			d.l.t.Errorf("two requests to %s: %+v", path, all)
		}
	}
	return all[0]
}
