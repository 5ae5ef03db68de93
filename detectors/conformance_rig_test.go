package detectors_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log" //nolint:depguard // libraries write there: the suite looks for secrets in it
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/kind"
)

// What the secrets have in common, and in no other text. Their other signs are
// spelled otherwise in JSON, in URLs and in base64.
const mark = "hunter2"

const (
	secretOne = mark + `-one/"<&>+=%`
	secretTwo = mark + `-two/"<&>+=%`
)

// libraries is what libraries write to the log of their own.
var libraries buffer

func TestMain(m *testing.M) {
	log.SetOutput(&libraries)
	os.Exit(m.Run())
}

// guard bounds what must end by itself, so that a test that fails ends too.
const guard = 30 * time.Second

// suiteOwner reaches nobody: a configuration must have an owner.
type suiteOwner struct{}

func (*suiteOwner) Validate(kind.Fail) {}

func owners() []kind.Remediator {
	return []kind.Remediator{{
		Name: "suite", Keyword: "suite", Owner: map[string]func() kind.Settings{"suite": func() kind.Settings { return &suiteOwner{} }},
		Spec: func(kind.SpecInput) (json.RawMessage, error) { return json.RawMessage("{}"), nil },
	}}
}

// load reads a configuration of one source and one detector.
func load(t testing.TB, kinds []kind.Source, source, detector string) (*config.Config, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"secrets/one": secretOne, "secrets/two": secretTwo,
		"suite.yaml": "default_owner: devops\nowners: {devops: {primary: \"@sre\", escalation: pagerduty, suite: {}}}\nsources: {asked: {" + source + "}}\ndetectors: [{" + detector + "}]\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(filepath.Join(dir, "suite.yaml"), config.Kinds{Sources: kinds, Remediators: owners()}, config.Options{})
}

// blocks are the keys of the source and of the detector.
func (a asked) blocks(address, timeout string) (source, detector string) {
	return fmt.Sprintf("kind: %s, url: %q, timeout: %s, %s", a.kind, address, timeout, a.source), "name: suite, source: asked, " + a.detector
}

// server is the other side. It remembers what it was asked.
type server struct {
	*httptest.Server
	once  sync.Once
	asked chan struct{} // closed by the first request

	mu       sync.Mutex
	requests int
	seen     []string // each request, whole
}

// serve starts a server of which each request meets the fault.
func (a asked) serve(f fault) *server {
	s := &server{asked: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.mu.Lock()
		s.requests++
		s.seen = append(s.seen, dump(r)+string(body))
		s.mu.Unlock()
		s.once.Do(func() { close(s.asked) })
		well := httptest.NewRecorder()
		text := ""
		if f.echoes {
			text = dump(r)
		}
		raw, _ := json.Marshal(a.well(r, text))
		well.Write(raw)
		f.serve(w, r, well)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it is broken on purpose
	s.Start()
	return s
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// all are the requests, whole.
func (s *server) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// stop ends the server and its connections.
func (s *server) stop() {
	s.CloseClientConnections()
	s.Close()
}

// wellServed is no fault.
var wellServed = fault{name: "well", serve: whole(func(body []byte) []byte { return body })}

// lookout is one source with one detector, as the daemon makes them.
type lookout struct {
	source   any
	detector signalbox.Detector
	logged   *buffer
	patience time.Duration
}

// buffer is a log that many may write to.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (a asked) open(t testing.TB, kinds []kind.Source, address, timeout string) *lookout {
	t.Helper()
	source, detector := a.blocks(address, timeout)
	cfg, err := load(t, kinds, source, detector)
	if err != nil {
		t.Fatal(err)
	}
	l := &lookout{logged: &buffer{}, patience: cmp.Or(a.patience, guard)}
	env := kind.Env{Log: slog.New(slog.NewTextHandler(l.logged, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: time.Now, Agent: "signalbox/suite", ConfigDir: cfg.Dir}
	if l.source, err = cfg.Sources[0].Kind.Open("asked", cfg.Sources[0].Settings, env); err != nil {
		t.Fatal(err)
	}
	if l.detector, _, err = cfg.Detectors[0].Settings.Build(cfg.Detectors[0].Common, l.source); err != nil {
		t.Fatal(err)
	}
	return l
}

// look asks once. A source that posts to us is asked for its present state:
// that it could be read whole is a reading too.
func (l *lookout) look(ctx context.Context, was map[string]signalbox.Reading) ([]signalbox.Reading, []error) {
	at := time.Now()
	switch s := l.source.(type) {
	case signalbox.Source:
		qs := l.detector.Questions()
		if f, ok := l.detector.(signalbox.Follower); ok {
			qs = f.QuestionsSince(at.Add(-time.Minute))
		}
		answers := s.Ask(ctx, qs, at)
		errs := make([]error, 0, len(answers))
		for i, a := range answers {
			errs = append(errs, a.Err)
			if a.Question != qs[i] || a.Err != nil && len(a.Samples) > 0 {
				errs = append(errs, fmt.Errorf("answer %d is not one to its question", i))
			}
		}
		return l.detector.Judge(answers, was, at), errs
	case signalbox.Completer:
		batch, err := s.Present(ctx, at)
		if err != nil {
			return append(batch.Readings, signalbox.Reading{Reason: err.Error()}), []error{err}
		}
		return append(batch.Readings, signalbox.Reading{Series: "present", Condition: signalbox.Clear, HasValue: true}), nil
	}
	return nil, []error{errors.New("the source can't be asked")}
}

// within looks, and says so when the look does not end.
func (l *lookout) within(ctx context.Context, was map[string]signalbox.Reading) (readings []signalbox.Reading, errs []error, ended bool) {
	type looked struct {
		readings []signalbox.Reading
		errs     []error
	}
	done := make(chan looked, 1) // a look that ends later writes to nobody's results
	go func() {
		readings, errs := l.look(ctx, was)
		done <- looked{readings, errs}
	}()
	select {
	case saw := <-done:
		return saw.readings, saw.errs, true
	case <-time.After(l.patience):
		return nil, nil, false
	}
}

// texts are all that a look leaves behind.
func (l *lookout) texts(readings []signalbox.Reading, errs []error) []string {
	list := []string{l.logged.String(), libraries.String()}
	for _, r := range readings {
		list = append(list, fmt.Sprintf("%+v", r))
	}
	for _, err := range errs {
		if err != nil {
			list = append(list, err.Error(), fmt.Sprintf("%+v", err))
		}
	}
	return list
}
