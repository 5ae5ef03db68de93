package remediators_test

import (
	"io"
	"net/http"
	"sync"

	signalbox "github.com/signalbox/signalbox"
)

// shelf is a server that takes any request, and knows one that it has had by its
// key, where it has one.
type shelf struct {
	mu   sync.Mutex
	had  map[string]bool
	took []string
	all  []string
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	s.all = append(s.all, r.Method+" "+key)
	if key == "" || !s.had[key] {
		s.took = append(s.took, string(body))
	}
	if key != "" {
		s.had[key] = true
	}
	w.WriteHeader(http.StatusAccepted)
}

func (s *shelf) effects() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.took)
}

func (s *shelf) record() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.all...)
}

func webhookEntries() []entry {
	build := func(more string) func(b *bench) {
		return func(b *bench) {
			s := &shelf{had: map[string]bool{}}
			url := b.serve(s, nil)
			b.secret("secrets/hmac", `hunter2-hmac/"<&>+=%`)
			b.secret("secrets/token", `hunter2-token/"<&>+=%`)
			b.blocks = `tools: {lock: {webhook: {url: "` + url + `/hook", networks: [127.0.0.0/8], body: '{"of": "{{subject}}"}', signature: {header: X-Signature, key_file: secrets/hmac},
  authorization: {credentials_file: secrets/token}` + more + `}}}`
			b.step = "{webhook: lock}"
			b.effects, b.record = s.effects, s.record
		}
	}
	nothing := func(more map[string]string) map[string]string {
		more["reads"] = "what it did can't be read, before or after"
		more["undo"], more["positions"] = more["reads"], more["reads"]
		return more
	}
	return []entry{
		{kind: "webhook", key: "webhook", name: "with a key", class: signalbox.ClassB, build: build(", idempotency_header: Idempotency-Key, retains: 24h"), without: nothing(map[string]string{})},
		{kind: "webhook", key: "webhook", name: "blind", class: signalbox.ClassD, build: build(""), without: nothing(map[string]string{})},
	}
}
