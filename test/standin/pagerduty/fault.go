package pagerduty

import (
	"io"
	"net/http"
)

// Fault is how one request goes wrong.
type Fault struct {
	Status      int               // answered; 0 with Hang or Reset
	Header      map[string]string // of the answer: Retry-After, Content-Type, Location
	Body        string            // of the answer; "": PagerDuty's own error where it has one
	Hang        bool              // no answer until the client gives up or the server is closed
	Reset       bool              // the connection is closed without an answer
	Cut         bool              // the answer breaks off after its head
	AfterEffect bool              // the event is taken in first, as if the answer was lost
	Times       int               // how many requests meet it; 0: one, negative: all

	pass bool // it meets none
}

// Fail scripts faults: requests meet them in this order, after those that were
// scripted before.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Mend forgets all faults.
func (s *Server) Mend() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.outage = nil, nil
}

// Outage lets every request meet the fault, before those that were scripted,
// until Mend: PagerDuty is down for so long.
func (s *Server) Outage(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = &f
}

// nextFault counts the request and returns what it meets.
func (s *Server) nextFault() *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if s.outage != nil {
		return s.outage
	}
	if len(s.faults) == 0 {
		return nil
	}
	f := s.faults[0]
	switch {
	case f.Times == 0 || f.Times == 1:
		s.faults = s.faults[1:]
	case f.Times > 1:
		s.faults[0].Times--
	}
	if f.pass {
		return nil
	}
	return &f
}

// suffer lets a request meet a fault.
func (s *Server) suffer(w http.ResponseWriter, r *http.Request, f *Fault) {
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	switch {
	case f.Reset:
		panic(http.ErrAbortHandler)
	case f.Cut:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, `{"status":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.Hang:
		if f.Status != 0 {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(f.Status)
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
	case f.Body != "" || f.Header["Content-Type"] != "":
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	case r.URL.Path != "/v2/enqueue":
		s.answer(w, r, s.rest, nil, f.Status, wrong(f.Status, http.StatusText(f.Status)))
	default:
		s.answer(w, r, s.contract, nil, f.Status, refusal{Status: http.StatusText(f.Status), Message: "The request was not processed"})
	}
}

// Pass lets so many requests through before the faults that follow.
func (s *Server) Pass(requests int) {
	s.Fail(Fault{Times: requests, pass: true})
}
