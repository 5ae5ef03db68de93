// Package cdn is a stand-in for the purge calls of Fastly and Cloudflare. It
// checks the token, knows one service and one zone, and keeps what was purged.
//
// With the path of a description of each API it also holds each request, and
// each of its own answers, to that.
package cdn

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// Options say what the stand-in knows.
type Options struct {
	Token         string // of both
	Service, Zone string // that it knows
	// Paths of the descriptions; "": only the checks of our own.
	FastlySpec, CloudflareSpec string
}

// Purge is one purge that took effect.
type Purge struct {
	What  string // keys, files, tags, hosts, prefixes
	Items []string
	Soft  bool
}

// Fault is how one request goes wrong.
type Fault struct {
	Status      int
	Header      map[string]string
	Body        string
	Reset       bool // the connection is closed without an answer
	AfterEffect bool // it is purged first
	Hang        bool // until the client goes away
}

// Server is the stand-in, safe for concurrent use.
type Server struct {
	o       Options
	routers []routers.Router

	mu         sync.Mutex
	purges     []Purge
	violations []string
	faults     []Fault
	requests   int
}

// New returns a stand-in. It fails when a description can't be read.
func New(o Options) (*Server, error) {
	s := &Server{o: o}
	for _, path := range []string{o.FastlySpec, o.CloudflareSpec} {
		if path == "" {
			continue
		}
		doc, err := openapi3.NewLoader().LoadFromFile(path)
		if err != nil {
			return nil, fmt.Errorf("contract %s: %w", path, err)
		}
		router, err := legacy.NewRouter(doc)
		if err != nil {
			return nil, fmt.Errorf("contract %s: %w", path, err)
		}
		s.routers = append(s.routers, router)
	}
	return s, nil
}

// Purges returns what was purged, oldest first.
func (s *Server) Purges() []Purge {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.purges)
}

// Violations returns what requests, or our own answers, broke.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// Requests counts the requests, also those that met a fault.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Fail scripts faults: requests meet them in this order.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	f, failing := s.next()
	if failing && !f.AfterEffect {
		suffer(w, r, f)
		return
	}
	status, answer := s.take(r, body)
	if failing {
		suffer(w, r, f)
		return
	}
	s.hold(r, body, status, answer)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(answer)
}

func (s *Server) next() (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.faults) == 0 {
		return Fault{}, false
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f, true
}

func suffer(w http.ResponseWriter, r *http.Request, f Fault) {
	if f.Hang {
		<-r.Context().Done()
		return
	}
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

// take does what a request asks.
func (s *Server) take(r *http.Request, body []byte) (int, []byte) {
	var in map[string]any
	if err := json.Unmarshal(body, &in); err != nil || r.Method != http.MethodPost || r.UserAgent() == "" {
		s.violate(r, "must be a POST of a JSON object, with a User-Agent")
		return http.StatusBadRequest, []byte(`{"msg":"bad request"}`)
	}
	switch r.URL.Path {
	case "/service/" + s.o.Service + "/purge":
		return s.fastly(r, in)
	case "/client/v4/zones/" + s.o.Zone + "/purge_cache":
		return s.cloudflare(r, in)
	}
	return http.StatusNotFound, []byte(`{"msg":"Record not found"}`)
}

func (s *Server) fastly(r *http.Request, in map[string]any) (int, []byte) {
	if r.Header.Get("Fastly-Key") != s.o.Token {
		return http.StatusUnauthorized, fmt.Appendf(nil, `{"msg":"Provided credentials are missing or invalid: %s"}`, r.Header.Get("Fastly-Key"))
	}
	keys := words(in["surrogate_keys"])
	s.keep(Purge{What: "keys", Items: keys, Soft: r.Header.Get("Fastly-Soft-Purge") == "1"})
	ids := map[string]string{}
	for i, key := range keys {
		ids[key] = fmt.Sprintf("108-1391560174-%06d", i)
	}
	answer, _ := json.Marshal(ids)
	return http.StatusOK, answer
}

func (s *Server) cloudflare(r *http.Request, in map[string]any) (int, []byte) {
	if r.Header.Get("Authorization") != "Bearer "+s.o.Token {
		return http.StatusForbidden, []byte(`{"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null}`)
	}
	names := slices.Collect(maps.Keys(in))
	if len(names) != 1 {
		s.violate(r, "must have exactly one list")
		return http.StatusBadRequest, []byte(`{"success":false,"errors":[{"code":1012,"message":"Request must contain one of purge_everything, files, tags, hosts or prefixes"}],"messages":[],"result":null}`)
	}
	s.keep(Purge{What: names[0], Items: words(in[names[0]])})
	return http.StatusOK, fmt.Appendf(nil, `{"success":true,"errors":[],"messages":[],"result":{"id":%q}}`, s.o.Zone)
}

func (s *Server) keep(p Purge) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purges = append(s.purges, p)
}

func (s *Server) violate(r *http.Request, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, r.Method+" "+r.URL.Path+": "+text)
}

// hold holds a request and its answer to the descriptions. The descriptions say
// nothing of refusals.
func (s *Server) hold(r *http.Request, body []byte, status int, answer []byte) {
	if len(s.routers) == 0 || status != http.StatusOK {
		return
	}
	var problems []string
	for _, router := range s.routers {
		again := r.Clone(context.WithoutCancel(r.Context()))
		again.Body = io.NopCloser(bytes.NewReader(body))
		route, params, err := router.FindRoute(again)
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		in := &openapi3filter.RequestValidationInput{Request: again, PathParams: params, Route: route}
		if err := openapi3filter.ValidateRequest(again.Context(), in); err != nil {
			s.violate(r, "contract: "+err.Error())
		}
		if err := openapi3filter.ValidateResponse(again.Context(), &openapi3filter.ResponseValidationInput{
			RequestValidationInput: in, Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(answer)),
		}); err != nil {
			s.violate(r, "contract: our own answer: "+err.Error())
		}
		return
	}
	s.violate(r, "contract: "+strings.Join(problems, ", "))
}

func words(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, item := range list {
		if text, ok := item.(string); ok {
			out = append(out, text)
		}
	}
	return out
}
