package argocd

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// proxy stands before the API server, and lets single requests go wrong.
type proxy struct {
	mu   sync.Mutex
	way  *httputil.ReverseProxy
	read http.HandlerFunc // in place of each answer to a GET; nil: none
	dry  http.HandlerFunc // to a dry write
	sent http.HandlerFunc // to a write
	late bool             // the write is carried out first
}

func (p *proxy) set(read, dry, sent http.HandlerFunc, late bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read, p.dry, p.sent, p.late = read, dry, sent, late
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	fault, late := p.read, false
	if r.Method == http.MethodPatch {
		if fault = p.sent; strings.Contains(r.URL.RawQuery, "dryRun") {
			fault = p.dry
		} else {
			late = p.late
		}
	} else if r.Method != http.MethodGet {
		fault = nil
	}
	p.mu.Unlock()
	if late {
		p.way.ServeHTTP(httptest.NewRecorder(), r)
	}
	if fault == nil {
		p.way.ServeHTTP(w, r)
		return
	}
	fault(w, r)
}

// behind puts a proxy before the API server, for the daemon.
func (a *argo) behind() *proxy {
	a.t.Helper()
	admin, err := clientcmd.BuildConfigFromFlags("", a.Kubeconfig(servers.Admin))
	must(a.t, err)
	trust, err := rest.TLSConfigFor(admin)
	must(a.t, err)
	to, err := url.Parse(a.URL)
	must(a.t, err)
	p := &proxy{way: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{TLSClientConfig: trust},
	}}
	server := httptest.NewUnstartedServer(p)
	server.TLS = a.TLS()
	server.StartTLS()
	a.t.Cleanup(server.Close)
	a.kubeconfig = a.KubeconfigFor(servers.Daemon, server.URL)
	return p
}

// says answers with a status, and with the credentials that it got.
func says(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		fmt.Fprint(w, r.Header.Get("Authorization"))
	}
}

func hungUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	for spaces := []byte(strings.Repeat(" ", 1<<16)); r.Context().Err() == nil; {
		if _, err := w.Write(spaces); err != nil {
			return
		}
	}
}

// What an answer means for a read, for a write that is tried, and for a write.
func TestAnswers(t *testing.T) {
	a := newArgo(t)
	p := a.behind()
	x := a.action("inc-1-1", 7, a.step(movePrevious))
	for _, c := range []struct {
		name          string
		serve         http.HandlerFunc
		read, refused bool // definite
	}{
		{"400", says(400), true, true},
		{"401", says(401), true, true},
		{"403", says(403), true, true},
		{"404", says(404), true, true},
		{"422", says(422), true, true},
		{"429", says(429, "Retry-After", "7"), false, true},
		{"408", says(408), false, false},
		{"500", says(500), false, false},
		{"502", says(502, "Content-Type", "text/html"), false, false},
		{"503", says(503, "Retry-After", "3"), false, false},
		{"no JSON", says(200, "Content-Type", "application/json"), false, false},
		{"another object", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"metadata":{"name":"other","namespace":"argocd","resourceVersion":"1"}}`)
		}, false, false},
		{"hung up", hungUp, false, false},
		{"endless", endless, false, false},
	} {
		var failure *signalbox.Failure
		p.set(c.serve, nil, nil, false)
		f, err := a.r.Preview(t.Context(), x.Step)
		if (err == nil && f.Refused != "") != c.read || (err != nil) == c.read || strings.Contains(fmt.Sprint(f, err), "Bearer") {
			t.Errorf("%s to a read: got %+v, %v", c.name, f, err)
		}
		if got, err := a.r.Probe(t.Context(), x); err == nil && got.Phase != signalbox.InDoubt {
			t.Errorf("%s to a probe: got %+v", c.name, got)
		}
		p.set(nil, c.serve, nil, false)
		if _, err := a.r.Start(t.Context(), x); !errors.As(err, &failure) {
			t.Errorf("%s to a dry write: got %v", c.name, err)
		}
		p.set(nil, nil, c.serve, false)
		_, err = a.r.Start(t.Context(), x)
		if err == nil || errors.As(err, &failure) != c.refused || strings.Contains(err.Error(), "Bearer") {
			t.Errorf("%s to a write: got %v", c.name, err)
		}
	}
	if n := a.patches(); n != 0 || a.get().Object["operation"] != nil {
		t.Fatalf("the daemon wrote %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	p.set(nil, nil, nil, false)
	x.Gate = func() error { cancel(); return nil }
	var failure *signalbox.Failure
	if _, err := a.r.Start(ctx, x); !errors.As(err, &failure) || a.patches() != 0 {
		t.Errorf("its context ended: got %v", err)
	}
}

// The answer to a write is lost: it is in doubt, Probe tells that it is there,
// and it is not done again.
func TestAnswerLost(t *testing.T) {
	a := newArgo(t)
	p := a.behind()
	x := a.action("inc-1-1", 7, a.step(movePrevious))
	p.set(nil, nil, hungUp, true)
	_, err := a.r.Start(t.Context(), x)
	var failure *signalbox.Failure
	if err == nil || errors.As(err, &failure) {
		t.Fatalf("got %v", err)
	}
	x.Stage = signalbox.Doubt
	a.probe(x, signalbox.Running, "waits for Argo CD")
	if _, err := a.r.Start(t.Context(), x); err != nil {
		t.Errorf("again: %v", err)
	}
	must(t, a.r.Seal(t.Context(), x, 12))
	if n := a.patches(); n != 1 {
		t.Errorf("the daemon wrote %d times", n)
	}
}

// An Argo CD whose definition does not know automated.enabled would sync forward
// again.
func TestAnOldArgoIsRefused(t *testing.T) {
	a := newArgo(t)
	p := a.behind()
	x := a.action("inc-1-1", 7, a.step(movePrevious))
	p.set(nil, func(w http.ResponseWriter, _ *http.Request) {
		u := a.get()
		u.SetAnnotations(map[string]string{fenceAnnotation: `{"token":7,"action":"inc-1-1","value":"auto-sync turned off","standing":true}`})
		raw, err := u.MarshalJSON()
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(raw)
	}, nil, false)
	var failure *signalbox.Failure
	if _, err := a.r.Start(t.Context(), x); !errors.As(err, &failure) || !strings.Contains(err.Error(), "does not know automated.enabled") || a.patches() != 0 {
		t.Errorf("got %v", err)
	}
}
