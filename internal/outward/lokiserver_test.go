package outward

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/golang/snappy"
	"github.com/grafana/loki/pkg/push"
)

// lokiServer is a small Loki, for the answers that a real one does not give on
// demand. It decodes what is pushed with Loki's own types.
type lokiServer struct {
	*httptest.Server
	t *testing.T

	mu      sync.Mutex
	pushed  []pushed
	headers []http.Header
	queries []string
	answer  func(w http.ResponseWriter, r *http.Request) // of a push, after it was decoded; nil: 204
	keep    bool                                         // lines are kept whatever answer says
	query   func(w http.ResponseWriter)                  // nil: what was pushed
}

type pushed struct {
	labels string
	push.Entry
}

func newLokiServer(t *testing.T) *lokiServer {
	s := &lokiServer{t: t}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /base"+pushPath, s.take)
	mux.HandleFunc("GET /base"+rangePath, s.tell)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func (s *lokiServer) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	raw, err := snappy.Decode(nil, body)
	if err != nil {
		s.t.Error(err)
	}
	var req push.PushRequest
	if err := req.Unmarshal(raw); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	answer := s.answer
	s.headers = append(s.headers, r.Header.Clone())
	if answer == nil || s.keep {
		for _, stream := range req.Streams {
			for _, e := range stream.Entries {
				s.pushed = append(s.pushed, pushed{stream.Labels, e})
			}
		}
	}
	s.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, r)
}

func (s *lokiServer) tell(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	s.queries = append(s.queries, q.Encode())
	s.headers = append(s.headers, r.Header.Clone())
	if s.query != nil {
		s.query(w)
		return
	}
	start, _ := strconv.ParseInt(q.Get("start"), 10, 64)
	end, _ := strconv.ParseInt(q.Get("end"), 10, 64)
	values := [][]string{}
	for _, p := range s.pushed {
		if ns := p.Timestamp.UnixNano(); p.labels == q.Get("query") && ns >= start && ns < end {
			values = append(values, []string{strconv.FormatInt(ns, 10), p.Line})
		}
	}
	result := []any{map[string]any{"stream": map[string]string{}, "values": values}}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "success", "data": map[string]any{"resultType": "streams", "result": result}})
}

func (s *lokiServer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *lokiServer) got() []pushed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.pushed)
}
