package pagerduty

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Agent is who did something: a person, or a service through an integration.
type Agent struct {
	ID, Name string
	Person   bool
}

// Ack is one acknowledgement of an incident.
type Ack struct {
	By Agent
	At time.Time
}

// Said is a note or a status update.
type Said struct {
	ID, Text string
	By       Agent
	At       time.Time
}

// ResponderRequest is one request for help.
type ResponderRequest struct {
	Message, Requester string
	Targets            []string // ids
	At                 time.Time
}

// LogEntry is one line of an incident's log.
type LogEntry struct {
	Kind string // as PagerDuty names it: trigger, acknowledge, resolve, annotate
	By   Agent
	At   time.Time
}

func service(id string) Agent { return Agent{ID: id, Name: "Service " + id} }

// Person is a user of PagerDuty. Equal names are the same user.
func Person(name string) Agent {
	sum := uint32(2166136261)
	for _, b := range []byte(name) {
		sum = (sum ^ uint32(b)) * 16777619
	}
	return Agent{ID: fmt.Sprintf("PU%08X", sum), Name: name, Person: true}
}

// serviceOf is the service that a routing key belongs to.
func (s *Server) serviceOf(routingKey string) string {
	for _, svc := range s.o.Services {
		if slices.Contains(svc.Keys, routingKey) {
			return svc.ID
		}
	}
	return "PS" + routingKey[:min(6, len(routingKey))]
}

// known finds a service by its id.
func (s *Server) known(id string) (Service, bool) {
	if len(s.o.Services) == 0 {
		return Service{ID: id, EscalationPolicy: "PEDEFAULT"}, id != ""
	}
	i := slices.IndexFunc(s.o.Services, func(svc Service) bool { return svc.ID == id })
	if i < 0 {
		return Service{}, false
	}
	return s.o.Services[i], true
}

// opened keeps a new incident. The lock is held.
func (s *Server) opened(in Incident, by Agent) *Incident {
	if in.Service == "" {
		in.Service = by.ID
	}
	svc, _ := s.known(in.Service)
	in.EscalationPolicy = cmp.Or(in.EscalationPolicy, svc.EscalationPolicy, "PEDEFAULT")
	in.Urgency = cmp.Or(in.Urgency, "high")
	in.ID, in.Status, in.At = fmt.Sprintf("Q%012d", len(s.incidents)+1), "triggered", s.o.Now()
	s.incidents = append(s.incidents, &in)
	s.log(&in, "trigger", by)
	s.post(&in, "incident.triggered", by)
	return &in
}

// become changes an incident's status. The lock is held.
func (s *Server) become(in *Incident, status string, by Agent) {
	switch status {
	case "acknowledged":
		in.Acks = append(in.Acks, Ack{By: by, At: s.o.Now()})
		s.log(in, "acknowledge", by)
	case "resolved":
		in.Acks = nil
		s.log(in, "resolve", by)
	case "triggered":
		in.Acks = nil
		s.log(in, "unacknowledge", by)
		in.Status = status
		s.post(in, "incident.unacknowledged", by)
		return
	}
	in.Status = status
	s.post(in, "incident."+status, by)
}

func (s *Server) log(in *Incident, what string, by Agent) {
	in.Log = append(in.Log, LogEntry{Kind: what, By: by, At: s.o.Now()})
}

// AcknowledgeAs is a person who acknowledges the open incident of a key, on
// their phone. It reports whether there was one.
func (s *Server) AcknowledgeAs(key, name string) bool { return s.as(key, name, "acknowledged") }

// ResolveAs is a person who resolves it.
func (s *Server) ResolveAs(key, name string) bool { return s.as(key, name, "resolved") }

// UnacknowledgeAs is a person who takes an acknowledgement back.
func (s *Server) UnacknowledgeAs(key, name string) bool { return s.as(key, name, "triggered") }

func (s *Server) as(key, name, status string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.open(func(i *Incident) bool { return i.DedupKey == key })
	if in != nil {
		s.become(in, status, Person(name))
	}
	return in != nil
}

// Count is how often a key was paged.
type Count struct {
	Incidents int // that were opened with it
	Triggers  int // events and REST requests that would open one, also merged or refused ones
}

// Counts is how often each key was paged: a key with more incidents than its
// owner was paged for was doubled.
func (s *Server) Counts() map[string]Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]Count{}
	for _, i := range s.incidents {
		c := out[i.DedupKey]
		c.Incidents++
		if i.RoutingKey == "" {
			c.Triggers++
		}
		out[i.DedupKey] = c
	}
	for _, e := range s.events {
		if e.Action == "trigger" {
			c := out[e.DedupKey]
			c.Triggers++
			out[e.DedupKey] = c
		}
	}
	for _, key := range s.doubled {
		c := out[key]
		c.Triggers++
		out[key] = c
	}
	return out
}
