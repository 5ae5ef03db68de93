package pagerduty

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// mostBody is the longest event, 512 KB.
const mostBody = 512 * 1024

// Options say what the stand-in knows.
type Options struct {
	Keys []string         // routing keys that exist; none: every well-formed one
	Spec string           // path of PagerDuty's events-v2.json; "": only the checks of our own
	Now  func() time.Time // of the records
	// Seen is called with each event that was accepted, in order; nil: nobody
	// is told. It must not call the server.
	Seen func(Event)

	RESTSpec string    // path of PagerDuty's description of the REST API; "": only the checks of our own
	APIKeys  []string  // keys of the REST API that exist; none: every one
	Services []Service // that exist; none: each routing key has one of its own, and every id exists
	// NoResponders: the account lacks the ability to request responders.
	NoResponders bool
	// Retry is how long a webhook waits before it is sent again; 0: 50ms. The
	// real one begins with some seconds, and ends after 48 hours.
	Retry time.Duration
	// Answer is how long the receiver of a webhook may take; 0: 5s, as with
	// the real one.
	Answer time.Duration
}

// Service is a service with its escalation policy, and the routing keys of its
// integrations.
type Service struct {
	ID, EscalationPolicy string
	Keys                 []string
}

// Outcome is what became of an accepted event.
type Outcome string

// The outcomes.
const (
	Opened       Outcome = "opened"       // a new incident
	Merged       Outcome = "merged"       // a trigger on an open alert
	Acknowledged Outcome = "acknowledged" // also when it was so already
	Resolved     Outcome = "resolved"
	Dropped      Outcome = "dropped" // nothing was open
)

// Event is one accepted event.
type Event struct {
	At         time.Time
	RoutingKey string
	Action     string
	DedupKey   string
	Payload    Payload
	Links      []Link
	Outcome    Outcome
	Raw        json.RawMessage // as it was sent
}

// Incident is one incident, with the events that were joined in it and what
// was done to it through the REST API.
type Incident struct {
	ID         string
	RoutingKey string // "": it was opened through the REST API
	DedupKey   string
	Status     string // triggered, acknowledged or resolved
	Events     []Event

	Service          string
	EscalationPolicy string
	Title            string
	Urgency          string
	Details          string // of one that was opened through the REST API
	At               time.Time
	Acks             []Ack // of the present acknowledgement
	Notes            []Said
	Updates          []Said
	Requests         []ResponderRequest
	Log              []LogEntry
}

// Merges counts the triggers beyond the first.
func (i Incident) Merges() int {
	n := 0
	for _, e := range i.Events {
		if e.Outcome == Merged {
			n++
		}
	}
	return n
}

// Server is the stand-in. It is safe for concurrent use.
type Server struct {
	o        Options
	contract *contract // of events; nil: none
	rest     *contract // of the REST API; nil: none
	mux      *http.ServeMux

	mu         sync.Mutex
	incidents  []*Incident
	events     []Event
	violations []string
	faults     []Fault
	outage     *Fault
	requests   int
	closed     chan struct{}

	subscriptions []*Subscription
	deliveries    []Delivery
	sending       sync.WaitGroup
	webhooks      int
	doubled       []string // incident keys that were refused: one was open
}

// New returns a stand-in. It fails when the contract can't be read.
func New(o Options) (*Server, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, closed: make(chan struct{})}
	s.mux = s.routes()
	for _, c := range []struct {
		path, server string
		into         **contract
	}{{o.Spec, "/v2", &s.contract}, {o.RESTSpec, "/", &s.rest}} {
		if c.path == "" {
			continue
		}
		read, err := readContract(c.path, c.server)
		if err != nil {
			return nil, fmt.Errorf("contract %s: %w", c.path, err)
		}
		*c.into = read
	}
	return s, nil
}

// Close lets requests that hang end, and sends no webhook any more.
func (s *Server) Close() {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.mu.Unlock()
	s.sending.Wait()
}

// Incidents returns a copy of all incidents, oldest first.
func (s *Server) Incidents() []Incident {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Incident, 0, len(s.incidents))
	for _, i := range s.incidents {
		c := *i
		c.Events, c.Acks, c.Notes = slices.Clone(i.Events), slices.Clone(i.Acks), slices.Clone(i.Notes)
		c.Updates, c.Requests, c.Log = slices.Clone(i.Updates), slices.Clone(i.Requests), slices.Clone(i.Log)
		out = append(out, c)
	}
	return out
}

// Events returns all accepted events, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
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

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, mostBody+1))
	if err != nil {
		return
	}
	fault := s.nextFault()
	if fault != nil && !fault.AfterEffect {
		s.suffer(w, r, fault)
		return
	}
	if r.URL.Path != "/v2/enqueue" {
		s.serveREST(w, r, body, fault)
		return
	}
	status, answer := s.enqueue(r, body)
	if fault != nil {
		s.suffer(w, r, fault)
		return
	}
	s.answer(w, r, s.contract, body, status, answer)
}

// enqueue checks one request and takes its event in.
func (s *Server) enqueue(r *http.Request, body []byte) (int, any) {
	if s.contract != nil {
		if err := s.contract.request(r, body); err != nil {
			s.violate("contract: " + err.Error())
		}
	}
	e, wrong := parse(r, body)
	if len(wrong) == 0 && len(s.o.Keys) > 0 && !slices.Contains(s.o.Keys, e.RoutingKey) {
		wrong = append(wrong, "Invalid routing key")
	}
	if len(wrong) > 0 {
		s.violate(wrong...)
		return http.StatusBadRequest, refusal{Status: "invalid event", Message: "Event object is invalid", Errors: wrong}
	}
	key := s.take(e)
	return http.StatusAccepted, acceptance{Status: "success", Message: "Event processed", DedupKey: key}
}

// take joins an event with what is open, and returns its dedup_key.
func (s *Server) take(e Event) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.At = s.o.Now()
	if e.DedupKey == "" {
		e.DedupKey = fmt.Sprintf("%032x", len(s.events)+1)
	}
	open := s.open(func(i *Incident) bool { return i.RoutingKey == e.RoutingKey && i.DedupKey == e.DedupKey })
	e.Outcome = outcome(e.Action, open)
	if e.Outcome == Opened {
		open = s.opened(Incident{RoutingKey: e.RoutingKey, DedupKey: e.DedupKey, Title: e.Payload.Summary, Urgency: "high"}, service(s.serviceOf(e.RoutingKey)))
	}
	if e.Outcome == Acknowledged || e.Outcome == Resolved {
		s.become(open, string(e.Outcome), service(open.Service))
	}
	if open != nil {
		open.Events = append(open.Events, e)
	}
	s.events = append(s.events, e)
	if s.o.Seen != nil {
		s.o.Seen(e)
	}
	return e.DedupKey
}

func outcome(action string, open *Incident) Outcome {
	switch {
	case action == "trigger" && open == nil:
		return Opened
	case open == nil:
		return Dropped
	case action == "trigger":
		return Merged
	case action == "acknowledge":
		return Acknowledged
	}
	return Resolved
}

// open finds the newest incident that is not resolved. Dedup is per routing
// key, or service.
func (s *Server) open(is func(*Incident) bool) *Incident {
	for _, i := range slices.Backward(s.incidents) {
		if i.Status != "resolved" && is(i) {
			return i
		}
	}
	return nil
}

func (s *Server) violate(rules ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.violations = append(s.violations, rules...)
}

type acceptance struct {
	Status   string `json:"status"`
	Message  string `json:"message"`
	DedupKey string `json:"dedup_key"`
}

type refusal struct {
	Status  string   `json:"status"`
	Message string   `json:"message"`
	Errors  []string `json:"errors,omitempty"`
}

// answer holds an answer to its contract, and sends it.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, c *contract, sent []byte, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		s.violate("our own answer: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json")
	if c != nil {
		if err := c.response(r, sent, status, w.Header(), b); err != nil {
			s.violate("contract: our own answer: " + err.Error())
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
