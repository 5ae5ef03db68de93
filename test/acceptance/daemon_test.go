package acceptance

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/engine"
	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

// binary and ctl are the programs under test, built once.
var binary, ctl string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if testing.Short() {
		fmt.Println("the acceptance stories are left out by -short")
		return 0
	}
	dir, err := os.MkdirTemp("", "signalbox-acceptance-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary, ctl = filepath.Join(dir, "signalbox"), filepath.Join(dir, "signalboxctl")
	build := exec.Command("go", "build", "-o", dir, "../../cmd/signalbox", "../../cmd/signalboxctl")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	return servers.Main(m, 8)
}

// The routing keys of the owners in every story.
const (
	devopsKey  = "0123456789abcdef0123456789abcde0"
	backendKey = "0123456789abcdef0123456789abcde1"
	webhookKey = "a-token-that-only-alertmanager-has"

	// Of the other three domains of the handbook.
	frontendKey = "0123456789abcdef0123456789abcde2"
	paymentsKey = "0123456789abcdef0123456789abcde3"
	supportKey  = "0123456789abcdef0123456789abcde4"
)

// box is one daemon, with its configuration, its data and its pager.
type box struct {
	t        *testing.T
	config   string // directory
	data     string
	control  string // URL
	webhooks string // URL
	pager    *pagerduty.Server
	pagerURL string
	name     string // of the replica; "": box
	program  string // in the place of binary
	args     []string
	env      []string
	kept     []string // secrets that it was given, which stand nowhere but in their files
	person   string   // as whom the story asks and operates; "": nobody, where there are no people
	cmd      *exec.Cmd
	log      *logBuffer
	ended    <-chan struct{}
	killed   bool // once
}

// newBox makes a daemon's directories; nothing runs before start.
func newBox(t *testing.T) *box {
	t.Helper()
	contract := contractOf(t, "pagerduty/events-v2.json")
	pager, err := pagerduty.New(pagerduty.Options{Keys: []string{devopsKey, backendKey, backupKey, frontendKey, paymentsKey, supportKey}, Spec: contract})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(pager)
	t.Cleanup(func() { pager.Close(); server.Close() })
	b := &box{t: t, config: t.TempDir(), data: t.TempDir(), pager: pager, pagerURL: server.URL}
	b.control, b.webhooks = "http://"+freeAddress(t), "http://"+freeAddress(t)
	b.secret("devops", devopsKey)
	b.secret("backend", backendKey)
	b.secret("webhook", webhookKey)
	b.write("owners.yaml", fmt.Sprintf(`
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/devops, url: %q}}
  backend: {primary: "@be-lead", escalation: pagerduty, pagerduty: {primary_key_file: secrets/backend, url: %q}}
`, b.pagerURL, b.pagerURL))
	t.Cleanup(func() {
		if t.Failed() {
			b.tellOpen()
		}
		b.kill()
		if v := pager.Violations(); len(v) > 0 {
			t.Errorf("the pager's contract was broken: %q", v)
		}
		if t.Failed() && b.log != nil {
			t.Logf("the daemon's log:\n%s", b.log.tail(200))
		}
		b.secretsAreKept()
	})
	return b
}

// contractOf finds a vendor's specification, which is not part of the project.
func contractOf(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("SIGNALBOX_CONTRACTS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		t.Logf("CONTRACT CHECKS SKIPPED: %s is not there (set SIGNALBOX_CONTRACTS); the stand-in's own checks go on", name)
		return ""
	}
	return path
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", servers.FreePort(t))
}

func (b *box) write(name, text string) {
	b.t.Helper()
	path := filepath.Join(b.config, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) secret(name, value string) {
	b.t.Helper()
	b.kept = append(b.kept, value)
	b.write("secrets/"+name, value)
}

// start runs the daemon and waits until it is ready.
func (b *box) start() {
	b.t.Helper()
	b.launch()
	b.ready()
}

// launch runs the daemon and does not wait.
func (b *box) launch() {
	b.t.Helper()
	if b.log == nil {
		b.log = &logBuffer{}
	}
	args := append([]string{
		"--config", b.config, "--data", b.data, "--log.level", "debug", "--replica", cmp.Or(b.name, "box"),
		"--web.listen-address", strings.TrimPrefix(b.control, "http://"), "--webhooks.listen-address", strings.TrimPrefix(b.webhooks, "http://"),
	}, b.args...)
	b.cmd = exec.Command(cmp.Or(b.program, binary), args...)
	b.cmd.Env = append(os.Environ(), b.env...)
	b.cmd.Stderr, b.cmd.Stdout = b.log, b.log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if b.ended, err = servers.Start(b.cmd); err != nil {
		b.t.Fatal(err)
	}
}

func (b *box) ready() {
	b.t.Helper()
	servers.Await(b.t, servers.Patience, "the daemon to be ready", func(ctx context.Context) error {
		select {
		case <-b.ended:
			b.t.Fatal("the daemon ended instead of getting ready")
		default:
		}
		return b.get(ctx, "/-/ready", nil)
	})
}

// kill ends the daemon as kill -9 does, and waits until it is gone.
func (b *box) kill() {
	if b.cmd == nil || b.cmd.Process == nil {
		return
	}
	_ = b.cmd.Process.Kill()
	<-b.ended
	b.cmd, b.killed = nil, true
}

// stop ends the daemon in good order.
func (b *box) stop() {
	b.t.Helper()
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
	case <-time.After(servers.Patience):
		b.t.Fatal("the daemon did not stop")
	}
	b.cmd = nil
}

func (b *box) get(ctx context.Context, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.control+path, http.NoBody)
	if err != nil {
		return err
	}
	if b.person != "" {
		req.Header.Set("Authorization", b.bearer())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", path, resp.Status, bytes.TrimSpace(body))
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(body, out)
}

// status asks the daemon what it is about.
func (b *box) status() engine.Status {
	b.t.Helper()
	var st engine.Status
	if err := b.get(b.t.Context(), "/api/v1/status", &st); err != nil {
		b.t.Fatal(err)
	}
	return st
}

// tellOpen logs what a story that failed has left open, and why.
func (b *box) tellOpen() {
	var st engine.Status
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := b.get(ctx, "/api/v1/status", &st); err != nil {
		b.t.Logf("the daemon's status: %v", err)
		return
	}
	for _, inc := range st.Incidents {
		b.t.Logf("open: %s of %s on %s: %+v", inc.ID, inc.Reading.Detector, inc.Reading.Subject, inc.Because)
	}
	b.t.Logf("thrown: %+v", st.Thrown)
}

// operate runs signalboxctl, and returns what it said and its exit code.
func (b *box) operate(args ...string) (string, int) {
	b.t.Helper()
	return b.operateAs(b.person, args...)
}

// operateAs is operate, as somebody else.
func (b *box) operateAs(person string, args ...string) (string, int) {
	b.t.Helper()
	flags := []string{"--server", b.control}
	if person != "" {
		flags = append(flags, "--token-file", b.tokenFile(person))
	}
	out, err := exec.Command(ctl, append(flags, args...)...).CombinedOutput()
	if exit, ok := err.(*exec.ExitError); ok { //nolint:errorlint // exec returns it unwrapped
		return string(out), exit.ExitCode()
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return string(out), 0
}

// must runs signalboxctl and fails the test when it does.
func (b *box) must(args ...string) string {
	b.t.Helper()
	out, code := b.operate(args...)
	if code != 0 {
		b.t.Fatalf("signalboxctl %q: exit code %d: %s", args, code, out)
	}
	return out
}

// pages returns the pager's incidents about something: those of which a
// trigger's summary or source has the text.
func (b *box) pages(text string) []pagerduty.Incident {
	var found []pagerduty.Incident
	for _, inc := range b.pager.Incidents() {
		if inc.RoutingKey == "" && strings.Contains(inc.Title, text) { // opened through the REST API
			found = append(found, inc)
		}
		for _, e := range inc.Events {
			if strings.Contains(e.Payload.Summary, text) || strings.Contains(e.Payload.Source, text) {
				found = append(found, inc)
				break
			}
		}
	}
	return found
}

// eventually waits until check returns nil.
func (b *box) eventually(what string, check func() error) {
	b.t.Helper()
	patience := servers.Patience
	if b.killed {
		patience += afterKill
	}
	servers.Await(b.t, patience, what, func(context.Context) error { return check() })
}

// afterKill is how long a write that was on its way at a kill may hold its target
// where nothing tells what became of it: until the last moment at which it could
// have been sent, and the target's greatest latency after that.
const afterKill = 90 * time.Second

// steadily holds check true for a while: what must not happen has that long to
// happen. It ends at the first error.
func (b *box) steadily(d time.Duration, what string, check func() error) {
	b.t.Helper()
	deadline, tick := time.After(d), time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for {
		if err := check(); err != nil {
			b.t.Fatalf("%s: %v", what, err)
		}
		select {
		case <-tick.C:
		case <-deadline:
			return
		}
	}
}

// logBuffer keeps a process's output.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logBuffer) tail(n int) string {
	lines := strings.Split(l.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// lines are those that hold text.
func (l *logBuffer) lines(text string) string {
	var some strings.Builder
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			some.WriteString(line)
		}
	}
	return some.String()
}
