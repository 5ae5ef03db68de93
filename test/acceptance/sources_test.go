package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// Each way in which a source can stop telling the truth, with a breach behind
// it: nothing is thrown, and beyond unknown_after there is one page for the
// source, not one for each detector, which is resolved when it can be read
// again.
func TestNothingIsThrownInTheDark(t *testing.T) {
	t.Parallel()
	p, b := newProduction(t), newBox(t)
	warner := newWarner(t, p.metrics.URL)
	p.metrics.URL = warner.URL // as the daemon and the story see it
	p.configure(b, "auto", failover)
	b.start()
	b.watched()
	for i, c := range []struct {
		name        string
		dark, light func()
	}{
		{"the metrics disappear", p.unexport, func() {}},
		{"scrapes fail", p.exporter.Fail, p.exporter.Recover},
		{"scrapes hang", p.exporter.Hang, p.exporter.Recover},
		{"answers may be partial", func() { warner.warns.Store(true) }, func() { warner.warns.Store(false) }},
		{"Prometheus hangs", p.metrics.Pause, p.metrics.Resume},
	} {
		c.dark()
		if i > 0 { // what is not exported has no value
			p.reads(5)
			p.replica("a", 5)
		}
		b.eventually(c.name+": the source's page", b.pagedAgain(i, "trigger"))
		b.steadily(2*time.Second, c.name+": one page, and no action", func() error {
			if n := len(b.pager.Incidents()); n != i+1 {
				return fmt.Errorf("pages: got %d, want %d", n, i+1)
			}
			return p.wrote()()
		})
		p.well()
		c.light()
		b.eventually(c.name+": the page to be resolved", b.pagedAgain(i, "trigger", "resolve"))
	}
	// In the light the same breach is acted on.
	p.reads(5)
	b.eventually("the endpoint to be flipped", p.wrote(replicaB))
	if n := len(b.pages("db/eu")); n != 0 {
		t.Errorf("pages about db/eu: got %d, want none", n)
	}
}

// pagedAgain says whether the n-th page about the source, from 0, is the last
// one and is made of exactly these events.
func (b *box) pagedAgain(n int, actions ...string) func() error {
	return func() error {
		found := b.pages("source/metrics")
		if len(found) != n+1 {
			return fmt.Errorf("pages about the source: got %d, want %d", len(found), n+1)
		}
		var got []string
		for _, e := range found[n].Events {
			got = append(got, e.Action)
		}
		if fmt.Sprint(got) != fmt.Sprint(actions) || found[n].RoutingKey != devopsKey {
			return fmt.Errorf("the page about the source: got %q, want %q, to the default owner", got, actions)
		}
		return nil
	}
}

// unexport takes all metrics away: what they would tell is not known.
func (p *production) unexport() {
	p.exporter.Remove("reads_lag_seconds", "cluster", "eu", "env", "prod")
	for _, name := range []string{"a", "b"} {
		p.exporter.Remove("pg_replication_lag_seconds", "cluster", "eu", "replica", name, "env", "prod")
	}
}

// warner stands before Prometheus. While it warns, answers say that they may be
// partial, as Thanos and others do with a 200.
type warner struct {
	URL   string
	warns atomic.Bool
}

func newWarner(t *testing.T, target string) *warner {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	w := &warner{}
	server := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Header.Del("Accept-Encoding") // the answer is to be read here
		},
		ModifyResponse: w.warn,
		ErrorHandler:   func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
	})
	t.Cleanup(server.Close)
	w.URL = server.URL
	return w
}

func (w *warner) warn(resp *http.Response) error {
	if !w.warns.Load() {
		return nil
	}
	var answer map[string]json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return err
	}
	answer["warnings"] = json.RawMessage(`["a store could not be reached"]`)
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
