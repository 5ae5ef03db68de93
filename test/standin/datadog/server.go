// Package datadog is a stand-in for what Signalbox asks of Datadog's API, for
// tests: SLOs with their histories, states and corrections, monitors, and
// counts of logs. Each request, and each of its own answers, is held to
// Datadog's own description of the API. Whatever a path answers is set by the
// test, with faults and rate limits.
package datadog

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Options say what the stand-in knows.
type Options struct {
	APIKey, ApplicationKey string
	Contract               Contract
}

// Answer is what one path answers.
type Answer struct {
	Status int               // 0: 200
	Header map[string]string // X-RateLimit-Reset, Content-Type; JSON where it has none
	Body   any               // JSON; a json.RawMessage as it is, a string as plain text
	// Build makes the body from the request, where Body is nil.
	Build func(r *http.Request, body []byte) any
}

// Limit is a rate limit as the headers tell it.
type Limit struct{ Limit, Period, Remaining, Reset int }

// Server is the stand-in. It is safe for concurrent use.
type Server struct {
	o        Options
	contract Contract

	mu         sync.Mutex
	answers    map[string]Answer // by path
	faults     map[string][]Answer
	limits     map[string]*Limit
	requests   []string // method, path and query
	violations []string
}

// New returns a stand-in.
func New(o Options) *Server {
	return &Server{o: o, contract: o.Contract, answers: map[string]Answer{}, faults: map[string][]Answer{}, limits: map[string]*Limit{}}
}

// Set says what a path answers from now on.
func (s *Server) Set(path string, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = a
}

// Fail scripts faults of a path: its next requests meet them in this order.
func (s *Server) Fail(path string, faults ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[path] = append(s.faults[path], faults...)
}

// Limit puts a path under a rate limit; Remaining goes down with each request,
// and beyond it requests are answered 429.
func (s *Server) Limit(path string, l Limit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits[path] = &l
}

// Requests returns the requests, oldest first.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Count counts the requests whose path has that end.
func (s *Server) Count(end string) int {
	n := 0
	for _, r := range s.Requests() {
		if path, _, _ := strings.Cut(r, "?"); strings.HasSuffix(path, end) {
			n++
		}
	}
	return n
}

// Violations returns what requests, or our own answers, broke.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.violations)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	if err := s.contract.request(r, body); err != nil {
		s.violate(r.Method + " " + r.URL.Path + ": " + err.Error())
	}
	a, faulty := s.next(r, w.Header())
	if r.Header.Get("DD-API-KEY") != s.o.APIKey || r.Header.Get("DD-APPLICATION-KEY") != s.o.ApplicationKey {
		a, faulty = refusal(http.StatusForbidden, "Forbidden"), false
	}
	s.write(w, r, body, a, faulty)
}

func refusal(status int, text string) Answer {
	return Answer{Status: status, Body: map[string]any{"errors": []string{text}}}
}

// next takes the answer to a request, with the headers of its rate limit.
func (s *Server) next(r *http.Request, h http.Header) (a Answer, faulty bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := r.URL.Path
	s.requests = append(s.requests, r.Method+" "+path+"?"+r.URL.RawQuery)
	if l := s.limits[path]; l != nil {
		l.Remaining--
		for name, v := range map[string]int{"Limit": l.Limit, "Period": l.Period, "Remaining": max(0, l.Remaining), "Reset": l.Reset} {
			h.Set("X-RateLimit-"+name, strconv.Itoa(v))
		}
		if l.Remaining < 0 {
			return refusal(http.StatusTooManyRequests, "Rate limited"), false
		}
	}
	if list := s.faults[path]; len(list) > 0 {
		s.faults[path] = list[1:]
		return list[0], true
	}
	if a, ok := s.answers[path]; ok {
		return a, false
	}
	return refusal(http.StatusNotFound, "Not found"), false
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, sent []byte, a Answer, faulty bool) {
	body := a.Body
	if body == nil && a.Build != nil {
		body = a.Build(r, sent)
	}
	raw, plain := []byte(nil), false
	if text, ok := body.(string); ok {
		raw, plain = []byte(text), true
	} else if raw, _ = json.Marshal(body); raw == nil {
		s.violate("our own answer can't be written")
	}
	w.Header().Set("Content-Type", "application/json")
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	status := max(a.Status, 0)
	if status == 0 {
		status = http.StatusOK
	}
	if !faulty && !plain {
		if err := s.contract.response(r, sent, status, w.Header(), raw); err != nil {
			s.violate("our own answer to " + r.URL.Path + ": " + err.Error())
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func (s *Server) violate(rule string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, rule)
}
