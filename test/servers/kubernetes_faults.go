package servers

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// KubeProxy stands before an API server, and lets single requests go wrong.
type KubeProxy struct {
	URL string

	way *httputil.ReverseProxy

	mu    sync.Mutex
	fault *KubeFault
	of    func(*http.Request) bool
	hung  func()
	met   int
}

// KubeFault is what comes of one request in the place of its answer.
type KubeFault struct {
	Name string
	// Done: the API server carries the request out first.
	Done bool
	// Refused: to a write, the answer says surely that nothing was done.
	Refused bool
	// After is when the answer says that it may be tried again.
	After time.Duration

	serve http.HandlerFunc // nil: it hangs until its sender gives up
}

// Proxy puts a proxy before the API server: see KubeconfigFor.
func (k *KubeServer) Proxy() *KubeProxy {
	k.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", k.Kubeconfig(Admin))
	if err != nil {
		k.t.Fatal(err)
	}
	trust, err := rest.TLSConfigFor(config)
	if err != nil {
		k.t.Fatal(err)
	}
	to, err := url.Parse(k.URL)
	if err != nil {
		k.t.Fatal(err)
	}
	p := &KubeProxy{way: &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport: &http.Transport{TLSClientConfig: trust},
	}}
	server := httptest.NewUnstartedServer(p)
	server.TLS = k.TLS()
	server.StartTLS()
	k.t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// Break lets the fault meet the requests of a kind, until Mend. hung is called
// when one hangs; nil: nothing is.
func (p *KubeProxy) Break(f KubeFault, of func(*http.Request) bool, hung func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.of, p.hung, p.met = &f, of, hung, 0
}

// Mend lets everything pass, and returns how many requests met the fault.
func (p *KubeProxy) Mend() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = nil
	return p.met
}

// ServeHTTP passes a request on, or lets it go wrong.
func (p *KubeProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	f, hung := p.fault, p.hung
	if f != nil && !p.of(r) {
		f = nil
	}
	if f != nil {
		p.met++
	}
	p.mu.Unlock()
	if f == nil {
		p.way.ServeHTTP(w, r)
		return
	}
	if f.Done { // also when its sender has gone away
		p.way.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
	}
	if f.serve != nil {
		f.serve(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body) // else the end of the connection is not seen
	if hung != nil {
		hung()
	}
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// Status is an answer of the API server's form.
func Status(code int, reason metav1.StatusReason, after int32) KubeFault {
	return KubeFault{
		Name: fmt.Sprintf("%d %s", code, reason), Refused: code/100 == 4 && code != http.StatusRequestTimeout, After: time.Duration(after) * time.Second,
		serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if after > 0 {
				w.Header().Set("Retry-After", fmt.Sprint(after))
			}
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(metav1.Status{
				TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Message: "said by a test",
				Reason: reason, Code: int32(code), Details: &metav1.StatusDetails{RetryAfterSeconds: after},
			})
		},
	}
}

// page is an answer of a proxy on the way, which repeats the credentials that it
// got: none of it may be said again.
func page(code int, done bool) KubeFault {
	return KubeFault{
		Name: fmt.Sprintf("a page with %d", code), Done: done, Refused: !done && code/100 == 4 && code != http.StatusRequestTimeout,
		serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(code)
			fmt.Fprintf(w, "<html><h1>%d</h1>%s</html>", code, r.Header.Get("Authorization"))
		},
	}
}

// KubeFaults is the table of what may come of a request to an API server.
func KubeFaults() []KubeFault {
	broken := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"metadata": {"name": %q`, r.Header.Get("Authorization"))
	}
	hungUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	all := []KubeFault{
		Status(400, metav1.StatusReasonBadRequest, 0), Status(401, metav1.StatusReasonUnauthorized, 0), Status(403, metav1.StatusReasonForbidden, 0),
		Status(404, metav1.StatusReasonNotFound, 0), Status(409, metav1.StatusReasonConflict, 0), Status(410, metav1.StatusReasonGone, 0),
		Status(422, metav1.StatusReasonInvalid, 0), Status(429, metav1.StatusReasonTooManyRequests, 7),
		Status(408, metav1.StatusReasonTimeout, 0), Status(500, metav1.StatusReasonInternalError, 0), Status(503, metav1.StatusReasonServiceUnavailable, 3),
		Status(504, metav1.StatusReasonTimeout, 0), page(403, false), page(404, false), page(502, false), page(504, true),
		{Name: "broken JSON", serve: broken},
		{Name: "closed", serve: hungUp},
		{Name: "hangs"},
	}
	for _, f := range all[len(all)-3:] {
		f.Name, f.Done = f.Name+" after the effect", true
		all = append(all, f)
	}
	return all
}
