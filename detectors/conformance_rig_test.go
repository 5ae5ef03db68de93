package detectors_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/goleak"

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

// spelled are the ways in which a text may hold a secret, in whole or in part.
func spelled() []string {
	list := []string{mark}
	for _, s := range []string{secretOne, secretTwo, "signalbox:" + secretOne} {
		list = append(list, base64.StdEncoding.EncodeToString([]byte(s))[:12])
	}
	return list
}

// told says which texts hold a secret.
func told(texts ...string) []string {
	var problems []string
	for _, text := range texts {
		for _, s := range spelled() {
			if i := strings.Index(text, s); i >= 0 {
				problems = append(problems, fmt.Sprintf("a secret is told: %.300q", text[max(0, i-80):]))
				break
			}
		}
	}
	return problems
}

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
		"suite.yaml": "default_owner: devops\nowners: {devops: {primary: \"@sre\", suite: {}}}\nsources: {asked: {" + source + "}}\ndetectors: [{" + detector + "}]\n",
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
	done := make(chan struct{})
	go func() {
		defer close(done)
		readings, errs = l.look(ctx, was)
	}()
	select {
	case <-done:
		return readings, errs, true
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

// bySeries are the readings that a later look begins with.
func bySeries(readings []signalbox.Reading) map[string]signalbox.Reading {
	was := map[string]signalbox.Reading{}
	for _, r := range readings {
		if r.Series != "" {
			was[r.Series] = r
		}
	}
	return was
}

// unknown says what is wrong with readings that must all be Unknown, those of
// the known series among them.
func unknown(readings []signalbox.Reading, was map[string]signalbox.Reading, says string) []string {
	var problems []string
	there := map[string]bool{}
	for _, r := range readings {
		there[r.Series] = true
		switch {
		case r.Condition != signalbox.Unknown || r.HasValue:
			problems = append(problems, fmt.Sprintf("it is taken as known: %s, value %v (%s)", r.Condition, r.Value, r.Summary))
		case !regexp.MustCompile(says).MatchString(r.Reason) || len(r.Reason) > 1200 || strings.ContainsAny(r.Reason, "\n\r\x1b"):
			problems = append(problems, fmt.Sprintf("the reason %q must be one line that says %q", r.Reason, says))
		}
	}
	if len(readings) == 0 {
		problems = append(problems, "nothing is said")
	}
	for series := range was {
		if !there[series] && series != "present" {
			problems = append(problems, "nothing is said of series "+series+", which was known")
		}
	}
	return problems
}

// left says what still runs, once it had time to end.
func left(before goleak.Option, patience time.Duration) []string {
	var err error
	for end := time.Now().Add(patience); err == nil || time.Now().Before(end); {
		if err = goleak.Find(before); err == nil { // it tries for a while itself
			return nil
		}
	}
	return []string{"something is left running: " + err.Error()}
}

func (a asked) checkWell(t testing.TB, kinds []kind.Source) []string {
	s := a.serve(fault{echoes: true, serve: wellServed.serve})
	defer s.stop()
	l := a.open(t, kinds, s.URL, "10s")
	readings, errs, ended := l.within(t.Context(), nil)
	problems := told(l.texts(readings, errs)...)
	if !ended {
		problems = append(problems, "it does not end")
	}
	if len(readings) == 0 {
		problems = append(problems, "nothing is said")
	}
	for _, r := range readings {
		if r.Condition != signalbox.Clear {
			problems = append(problems, fmt.Sprintf("a healthy server is %s (%s)", r.Condition, r.Reason))
		}
	}
	if n := s.count(); n > a.requests {
		problems = append(problems, fmt.Sprintf("%d requests were made, at most %d were expected", n, a.requests))
	}
	return problems
}

// known is what a look at a healthy server says.
func (a asked) known(t testing.TB, kinds []kind.Source) map[string]signalbox.Reading {
	s := a.serve(wellServed)
	defer s.stop()
	readings, _, _ := a.open(t, kinds, s.URL, "10s").within(t.Context(), nil)
	return bySeries(readings)
}

func (a asked) checkFault(t testing.TB, kinds []kind.Source, f fault) []string {
	was := a.known(t, kinds)
	s := a.serve(f)
	defer s.stop()
	l := a.open(t, kinds, s.URL, cmp.Or(f.timeout, "10s"))
	readings, errs, ended := l.within(t.Context(), was)
	problems := told(l.texts(readings, errs)...)
	if !ended {
		problems = append(problems, "it does not end")
	}
	problems = append(problems, unknown(readings, was, f.says)...)
	if n, most := s.count(), f.most*a.requests; n > most {
		problems = append(problems, fmt.Sprintf("%d requests were made, at most %d are allowed", n, most))
	}
	return problems
}

// end is how a look that hangs comes to its end.
type end struct {
	name    string
	timeout string // of the source
	begin   func(ctx context.Context, asked <-chan struct{}) (context.Context, context.CancelFunc)
}

func (a asked) checkHang(t testing.TB, kinds []kind.Source, f fault, e end) []string {
	was := a.known(t, kinds)
	s := a.serve(f)
	defer s.stop()
	l := a.open(t, kinds, s.URL, e.timeout)
	ctx, cancel := e.begin(t.Context(), s.asked)
	readings, errs, ended := l.within(ctx, was)
	cancel()
	problems := told(l.texts(readings, errs)...)
	if !ended {
		problems = append(problems, "it does not end")
	}
	problems = append(problems, unknown(readings, was, anyReason)...)
	return problems
}

func (a asked) checkRedirect(t testing.TB, kinds []kind.Source, code int, host string) []string {
	was := a.known(t, kinds)
	other := a.serve(wellServed)
	defer other.stop()
	_, port, _ := net.SplitHostPort(other.Listener.Addr().String())
	s := a.serve(fault{serve: func(w http.ResponseWriter, r *http.Request, _ *httptest.ResponseRecorder) {
		to := url.URL{Scheme: "http", Host: net.JoinHostPort(host, port), Path: r.URL.Path, RawQuery: r.URL.RawQuery}
		w.Header().Set("Location", to.String())
		w.WriteHeader(code)
	}})
	defer s.stop()
	l := a.open(t, kinds, s.URL, "10s")
	readings, errs, ended := l.within(t.Context(), was)
	problems := told(slices.Concat(l.texts(readings, errs), other.all())...)
	if !ended {
		problems = append(problems, "it does not end")
	}
	problems = append(problems, unknown(readings, was, anyReason)...)
	return problems
}

// checkKeys puts a key that nobody knows into each mapping of the blocks.
func (a asked) checkKeys(t testing.TB, kinds []kind.Source) []string {
	source, detector := a.blocks("http://127.0.0.1:1", "10s")
	if _, err := load(t, kinds, source, detector); err != nil {
		return []string{"what is right is refused: " + err.Error()}
	}
	var problems []string
	tries := 0
	for i, block := range []string{source, detector} {
		for _, spoiled := range spoil(t, block) {
			tries++
			both := []string{source, detector}
			both[i] = spoiled
			if _, err := load(t, kinds, both[0], both[1]); err == nil || !strings.Contains(err.Error(), "nonsense") {
				problems = append(problems, fmt.Sprintf("an unknown key is not refused by its name (%v): %s", err, spoiled))
			}
		}
	}
	if tries < 2 {
		problems = append(problems, "no key was tried")
	}
	return problems
}

// spoil returns the block once for each mapping in it, with one more key there.
func spoil(t testing.TB, block string) []string {
	var spoiled []string
	var paths [][]string
	var walk func(node map[string]any, path []string)
	walk = func(node map[string]any, path []string) {
		if len(path) == 0 || path[len(path)-1] != "match" { // whose keys are labels
			paths = append(paths, path)
		}
		for _, name := range slices.Sorted(maps.Keys(node)) {
			if below, ok := node[name].(map[string]any); ok {
				walk(below, append(slices.Clone(path), name))
			}
		}
	}
	parse := func() map[string]any {
		var node map[string]any
		if err := yaml.Unmarshal([]byte("{"+block+"}"), &node); err != nil {
			t.Fatal(err)
		}
		return node
	}
	walk(parse(), nil)
	for _, path := range paths {
		root := parse()
		node := root
		for _, name := range path {
			node = node[name].(map[string]any)
		}
		node["nonsense"] = 1
		raw, err := json.Marshal(root) // JSON is a YAML flow mapping
		if err != nil {
			t.Fatal(err)
		}
		spoiled = append(spoiled, strings.TrimSuffix(strings.TrimPrefix(string(raw), "{"), "}"))
	}
	return spoiled
}
