// Package slack is a stand-in for what the daemon uses of Slack: an incoming
// webhook, and those methods of the Web API that post, change and list messages
// and channels. It keeps the meaning of the real ones:
//
//   - the Web API answers 200, and says in its body what it refuses
//   - a channel's history is newest first, in pages, without the replies of
//     its threads, and with metadata only where that is asked for
//   - only the author changes a message; an archived channel takes none
//   - a channel's name is taken once
//   - a webhook answers in plain words, and has its own channel
//   - a text of a section has at most 3,000 characters
//
// With the path of Slack's own description of the Web API it also holds each
// call, and each of its own answers, to that.
package slack

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// WebhookPath is the path of the webhook.
const WebhookPath = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"

// mostSection is the longest text of a section, in characters.
const mostSection = 3000

// Options say what the stand-in knows.
type Options struct {
	Token    string           // of the bot
	Channels []string         // that it may post in
	Page     int              // messages of a page of history; 0: 100
	Now      func() time.Time // nil: time.Now
	Spec     string           // path of Slack's description of the Web API; "": only the checks of our own
}

// Message is one message that was taken.
type Message struct {
	Channel string // "": the webhook's
	Text    string
	Blocks  []string // texts of the sections

	TS       string // its name and time
	Thread   string // TS of the first message of its thread; "": none, or this one
	Metadata string // as JSON; "": none
	Edits    int    // how often it was changed
	Foreign  bool   // somebody else's
}

// Fault is how one request goes wrong.
type Fault struct {
	On          string // method that meets it: "chat.update"; "": whatever comes next
	Status      int
	Header      map[string]string
	Body        string
	Reset       bool // the connection is closed without an answer
	AfterEffect bool // the message is taken first
}

// Server is the stand-in, below /api and at WebhookPath. It is safe for
// concurrent use.
type Server struct {
	o        Options
	contract *contract

	mu         sync.Mutex
	messages   []Message
	rooms      []Room
	calls      []string
	violations []string
	faults     []Fault
	requests   int
}

// New returns a stand-in. It fails when the contract can't be read.
func New(o Options) (*Server, error) {
	s := &Server{o: o}
	for _, id := range o.Channels {
		s.rooms = append(s.rooms, Room{ID: id, Name: strings.ToLower(id), Creator: "U0SOMEBODY", Member: true})
	}
	if o.Spec == "" {
		return s, nil
	}
	c, err := readContract(o.Spec)
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", o.Spec, err)
	}
	s.contract = c
	return s, nil
}

// Messages returns what was taken, oldest first.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.faults) > 0 && strings.HasSuffix(r.URL.Path, s.faults[0].On) {
		f := s.faults[0]
		s.faults = s.faults[1:]
		if f.AfterEffect {
			s.take(r, body)
		}
		suffer(w, f)
		return
	}
	kind, answer := s.take(r, body)
	w.Header().Set("Content-Type", kind)
	if s.contract != nil && r.URL.Path != WebhookPath {
		if err := s.contract.response(r, body, answer); err != nil {
			s.violations = append(s.violations, "contract: our own answer: "+err.Error())
		}
	}
	if kind == "text/plain" && string(answer) != "ok" {
		w.WriteHeader(http.StatusBadRequest)
	}
	_, _ = w.Write(answer)
}

func suffer(w http.ResponseWriter, f Fault) {
	if f.Reset {
		panic(http.ErrAbortHandler)
	}
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(f.Status)
	_, _ = io.WriteString(w, f.Body)
}

// take checks a message and keeps it.
func (s *Server) take(r *http.Request, body []byte) (kind string, answer []byte) {
	t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.Method == http.MethodPost && r.URL.Path == WebhookPath:
		var in wire
		if t != "application/json" || json.Unmarshal(body, &in) != nil || !s.keep(Message{}, in) {
			return "text/plain", []byte("invalid_payload")
		}
		return "text/plain", []byte("ok")
	case methods[strings.TrimPrefix(r.URL.Path, "/api/")] != nil:
		return "application/json", s.called(strings.TrimPrefix(r.URL.Path, "/api/"), r, t, body)
	}
	s.violations = append(s.violations, r.Method+" "+r.URL.Path+": there is no such path")
	return "text/plain", []byte("no_service")
}

type wire struct {
	Text   string
	Blocks []struct {
		Type string
		Text struct {
			Type, Text string
			Verbatim   bool
		}
	}
}

// keep takes a message, or says what is wrong with it.
func (s *Server) keep(m Message, in wire) bool {
	if !s.fill(&m, in) {
		return false
	}
	m.TS = fmt.Sprintf("%010d.%06d", s.clock().Unix(), len(s.messages)+1)
	s.messages = append(s.messages, m)
	return true
}

// fill gives a message its text, or says what is wrong with it.
func (s *Server) fill(m *Message, in wire) bool {
	m.Text, m.Blocks = in.Text, nil
	good := in.Text != ""
	for _, b := range in.Blocks {
		n := utf8.RuneCountInString(b.Text.Text)
		good = good && b.Type == "section" && n > 0 && n <= mostSection && (b.Text.Type == "mrkdwn" || b.Text.Type == "plain_text")
		m.Blocks = append(m.Blocks, b.Text.Text)
	}
	if !good {
		s.violations = append(s.violations, fmt.Sprintf("a message without text, or with a section of more than %d characters: %q", mostSection, strings.Join(m.Blocks, "|")))
	}
	return good
}
