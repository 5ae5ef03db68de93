package remediators_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/kubernetes"
	"github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/internal/config"
	"github.com/signalbox/signalbox/internal/kind"
)

// bench is one target of one entry, made for one check, with the step as the
// daemon makes it of a configuration.
type bench struct {
	t     testing.TB
	e     entry
	house *house
	kind  kind.Remediator
	dir   string // of the configuration
	now   atomic.Pointer[time.Time]
	token signalbox.Token
	heard buffer // all that was said: errors, receipts, forecasts, logs
	wrong []string

	// What an entry's build fills in.

	sources, blocks string // YAML: further sources; tools, switches or what the owner has
	step            string // YAML: the step of the runbook, without its `to`
	door            door
	// effects is how often what the action does was done, and record the writes
	// that were carried out, both in the target's own books.
	effects func() int
	record  func() []string
	value   func() string // what an undo must bring back
	strange func()        // lets the target be at a position that is not listed
	moves   func()        // lets the target's own work go on
	// sees lets the target's controller look at what was written, a seal too: before
	// that a start is refused. Nil: none is waited for.
	sees    func()
	secrets []string
	labels  map[string]string // of the incident, where they matter
	ready   func()            // what must have been done before; nil: nothing
	items   []string          // the ids that the step is about
	// goOn continues an action; nil: nothing comes between.
	goOn func(r signalbox.Continuer) error
	// violations of the vendor's contract, which the stand-in holds us to.
	violations func() []string

	resolved signalbox.Step
	place    *place // in a cluster, where it has one
	moved    int    // how often its target's own work was awaited
}

// buffer is written to by many.
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

// stopped ends a check that can't go on after what it found.
type stopped struct{}

// house has the table of kinds, and the real servers that all checks share, each
// started by the first that needs it.
type house struct {
	t         testing.TB
	kinds     []kind.Remediator
	monitored *monitored
	cluster   *cluster
}

// check builds a target for one check, and returns what is wrong.
func (h *house) check(t testing.TB, e entry, look func(b *bench)) (wrong []string) {
	t.Helper()
	b := &bench{t: t, e: e, house: h, dir: t.TempDir(), token: 10}
	b.set(time.Now().Truncate(time.Second))
	for _, k := range h.kinds {
		if k.Name == e.kind {
			b.kind = k
		}
	}
	e.build(b)
	b.resolve()
	if b.ready != nil {
		b.ready()
		b.door.forget()
	}
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(stopped); !ok {
				panic(r)
			}
		}
		b.silent()
		if b.violations != nil {
			for _, v := range b.violations() {
				b.fail("the vendor's contract is broken: %s", v)
			}
		}
		wrong = b.wrong
	}()
	look(b)
	return b.wrong
}

func (b *bench) fail(format string, args ...any) {
	b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) set(at time.Time)      { b.now.Store(&at) }
func (b *bench) clock() time.Time      { return *b.now.Load() }
func (b *bench) later(d time.Duration) { b.set(b.clock().Add(d)) }

// file writes a file beside the configuration.
func (b *bench) file(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	b.must(os.MkdirAll(filepath.Dir(path), 0o700))
	b.must(os.WriteFile(path, []byte(text), 0o600))
}

// secret is a file that holds a credential.
func (b *bench) secret(name, text string) {
	b.t.Helper()
	b.file(name, text+"\n")
	b.secrets = append(b.secrets, text)
}

// serve puts a door before a handler, and returns its address.
func (b *bench) serve(to http.Handler, isWrite func(*http.Request, []byte) bool) string {
	b.t.Helper()
	d := newWebDoor(to, isWrite)
	server := httptest.NewServer(d)
	b.t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	b.door = d
	return server.URL
}

// wire puts a door before a server that speaks another protocol than HTTP. What
// holds the mark is a write.
func (b *bench) wire(server, mark string) *wireDoor {
	b.t.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.t.Context(), "tcp", "127.0.0.1:0")
	b.must(err)
	d := &wireDoor{webDoor: newWebDoor(nil, nil), address: l.Addr().String(), server: server, mark: []byte(mark)}
	b.t.Cleanup(func() { _ = l.Close() })
	go d.serve(l)
	b.door = d
	return d
}

// resolve reads the configuration, and takes the step from it.
func (b *bench) resolve() {
	b.t.Helper()
	b.secret("secrets/pagerduty", "hunter2-of-the-pager")
	step := b.step
	if b.e.move != "" {
		with := func(move string) string { return strings.TrimSuffix(b.step, "}") + ", to: " + move }
		step = with(b.e.move) + "}"
		if tool := b.kind.Tools[b.e.key]; tool.After != nil { // steps that a runbook must have before it
			for _, move := range tool.After(tool.Settings(), b.e.move) {
				step = with(move) + ", then: next}, " + step
			}
		}
	}
	owner := `{primary: "@sre", escalation: pagerduty, pagerduty: {primary_key_file: secrets/pagerduty}}`
	if !strings.Contains(b.blocks, "owners:") {
		b.blocks += "\nowners: {devops: " + owner + "}"
	}
	b.file("suite.yaml", fmt.Sprintf(`
default_owner: devops
sources:
  metrics: {kind: prometheus, url: "http://127.0.0.1:9"}
%s
detectors:
  - {name: ill, source: metrics, query: up, breach: {below: 1}, subject: "db/{{cluster}}", labels: [cluster, pop]}
%s
policies:
  - name: suite
    on: ill
    autonomy: suggest
    runbook: [%s]
`, b.sources, b.blocks, step))
	c, err := config.Load(filepath.Join(b.dir, "suite.yaml"), config.Kinds{Sources: []kind.Source{prometheus.Kind(), kubernetes.Kind()}, Remediators: b.house.kinds}, config.Options{AllowCommands: true})
	if err != nil {
		b.t.Fatalf("%s: %v", b.e, err)
	}
	if b.kind.Channel != nil { // it is no step of a runbook
		b.resolved = *c.Owners[0].Second
		return
	}
	runbook := c.Policy.Policies[0].Runbook
	b.resolved = runbook[len(runbook)-1]
	if b.resolved.Kind != b.e.kind {
		b.t.Fatalf("%s: the step is of kind %s", b.e, b.resolved.Kind)
	}
	b.resolved.Items = b.items
	if b.labels == nil {
		b.labels = map[string]string{"cluster": "eu", "pop": "fra"}
	}
	if b.kind.Tools[b.e.key].About {
		b.resolved.About = &signalbox.About{
			Incident: "00aa11bb22cc33dd", Subject: "db/eu", Detector: "ill", Owner: "devops", Policy: "suite", OpenedAt: b.clock(),
			Labels: b.labels,
		}
	}
}

// process is the remediator of another process: it shares nothing with those
// before it.
func (b *bench) process() signalbox.Remediator {
	b.t.Helper()
	r, err := b.kind.Open(kind.Env{
		Log: slog.New(slog.NewTextHandler(&b.heard, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Now: b.clock, Agent: "signalbox/test", ConfigDir: b.dir, AllowCommands: true, Commands: b.commands(),
	})
	b.must(err)
	return r
}

// hear keeps what is said.
func (b *bench) hear(v any, err error) {
	raw, _ := json.Marshal(v) //nolint:errchkjson // what is said is plain
	fmt.Fprintf(&b.heard, "%s %+v %v %+v\n", raw, v, err, err)
}

func (b *bench) preview(s signalbox.Step) (signalbox.Forecast, error) {
	b.t.Helper()
	f, err := b.process().Preview(b.t.Context(), s)
	b.hear(f, err)
	return f, err
}

// claim previews a step, which must be possible, and claims it.
func (b *bench) claim(s signalbox.Step, id signalbox.ActionID, undoes signalbox.ActionID) signalbox.Action {
	b.t.Helper()
	f, err := b.preview(s)
	if err != nil || f.Refused != "" || f.Already {
		b.fail("the step can't be taken: %v, refused %q, already %t", err, f.Refused, f.Already)
		panic(stopped{})
	}
	if f.Class != b.e.class {
		b.fail("it is of class %s, and the table says %s", f.Class, b.e.class)
	}
	b.token += 10
	return signalbox.Action{
		ID: id, Incident: "00aa11bb22cc33dd", Policy: "suite", Step: s, Forecast: f, Undoes: undoes, Stage: signalbox.Claimed,
		ClaimedAt: b.clock(), Token: b.token,
	}
}

// firstAction is the id of the entry's action.
const firstAction signalbox.ActionID = "00aa11bb22cc33dd-1"

// theAction is the entry's step, claimed.
func (b *bench) theAction() signalbox.Action { return b.claim(b.resolved, firstAction, "") }

func (b *bench) start(r signalbox.Remediator, ctx context.Context, a *signalbox.Action) error {
	receipt, err := r.Start(ctx, *a)
	b.hear(receipt, err)
	if err == nil {
		a.Receipt, a.Stage = receipt, signalbox.Started
	}
	return err
}

func (b *bench) probe(a signalbox.Action) signalbox.Progress {
	p, err := b.process().Probe(b.t.Context(), a)
	b.hear(p, err)
	if err != nil {
		b.fail("probe: %v", err)
		panic(stopped{})
	}
	return p
}

// isThere tells what a Probe knows: that the effect is there, that it is not, or
// neither.
func isThere(p signalbox.Progress) (yes, no bool) {
	return p.Phase == signalbox.Succeeded || p.Phase == signalbox.Running, p.Phase == signalbox.NotStarted || p.Phase == signalbox.Fell
}

// finish lets an action's work go on to its end, with what is due from us.
func (b *bench) finish(a signalbox.Action) {
	b.t.Helper()
	if a.Receipt.Final {
		return
	}
	var p signalbox.Progress
	for range 40 {
		switch p = b.probe(a); {
		case p.Phase == signalbox.Succeeded:
			return
		case p.Phase == signalbox.Running && p.Next:
			r := b.process()
			for range 2 { // it is idempotent
				b.hear(nil, b.onwards(r.(signalbox.Continuer), a))
			}
			continue
		case p.Phase == signalbox.Running && b.moves != nil:
			b.moves()
			b.moved++
		}
		b.later(time.Minute)
	}
	b.fail("it does not come to its end: %+v", p)
	panic(stopped{})
}

// onwards does what is due of an action.
func (b *bench) onwards(r signalbox.Continuer, a signalbox.Action) error {
	if b.goOn != nil {
		return b.goOn(r)
	}
	return r.Continue(b.t.Context(), a)
}

// commands is where what is run on this host is on record.
func (b *bench) commands() string { return filepath.Join(b.dir, "commands") }

// isFailure reports an error that says that there was surely no effect.
func isFailure(err error) bool {
	_, ok := errors.AsType[*signalbox.Failure](err)
	return ok
}

// silent looks for secrets in all that was said.
func (b *bench) silent() {
	text := b.heard.String()
	for _, s := range b.secrets {
		quoted, _ := json.Marshal(s)
		for form, secret := range map[string]string{
			"plainly": s, "in base64": base64.StdEncoding.EncodeToString([]byte(s)), "in JSON": strings.Trim(string(quoted), `"`), "in a URL": url.QueryEscape(s),
		} {
			if at := strings.Index(text, secret); at >= 0 {
				b.fail("a secret is told %s: %s", form, text[max(0, at-200):at]+"***")
			}
		}
	}
}

// contract is the path of a vendor's contract; "": the stand-in does without.
func (b *bench) contract(path ...string) string {
	b.t.Helper()
	if b.e.unheld {
		return ""
	}
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "contracts")
	}
	file := filepath.Join(append([]string{dir}, path...)...)
	if _, err := os.Stat(file); err != nil {
		b.t.Logf("NOT HELD to the vendor's contract, only to our own checks; say where it is in SIGNALBOX_CONTRACTS: %v", err)
		return ""
	}
	return file
}
