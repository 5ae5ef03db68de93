package terraform

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/terraform"
)

// bench is a stand-in, the remediator, and a clock.
type bench struct {
	*standin.Server
	r    *remediator
	s    *Settings
	dir  string
	gate func() error

	mu  sync.Mutex
	now time.Time
}

func (b *bench) clock() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

func (b *bench) after(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func contract(t testing.TB) string {
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	path := filepath.Join(dir, "terraform", "terraform.trim.json")
	if _, err := os.Stat(path); err != nil {
		t.Logf("the contract checks are SKIPPED: say where the vendors' descriptions are in SIGNALBOX_CONTRACTS: %v", err)
		return ""
	}
	return path
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{now: moment, dir: t.TempDir()}
	var err error
	if b.Server, err = standin.New(standin.Options{Token: token, Spec: contract(t), Now: b.clock}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b.Server)
	t.Cleanup(server.Close)
	if err := os.WriteFile(filepath.Join(b.dir, "token"), []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := Kind().Open(kind.Env{Now: b.clock, Agent: "signalbox/test"})
	if err != nil {
		t.Fatal(err)
	}
	b.r = r.(*remediator)
	b.s = newSettings()
	b.s.URL, b.s.TokenFile, b.s.Organization, b.s.Workspace = server.URL, "token", standin.Organization, standin.Workspace
	b.s.Variable, b.s.AutoApply, b.s.OnlyResources = "cdn_active_provider", true, []string{"module.cdn.*"}
	t.Cleanup(func() {
		if v := b.Violations(); len(v) > 0 {
			t.Errorf("violations: %q", v)
		}
	})
	return b
}

func (b *bench) step(t testing.TB, to string) signalbox.Step {
	t.Helper()
	b.s.Validate(func(path, rule string, value any) { t.Fatalf("%s: %s (%v)", path, rule, value) })
	raw, err := Kind().Spec(kind.SpecInput{Name: "cdn", Backend: backend, Settings: b.s, ConfigDir: b.dir, Positions: map[string]string{"main": "fastly", "spare": "cloudflare"}})
	if err != nil {
		t.Fatal(err)
	}
	return signalbox.Step{Kind: "terraform", Name: "cdn", To: to, Spec: raw}
}

// action previews a step, which must be allowed, and claims it.
func (b *bench) action(t testing.TB, id string, s signalbox.Step) signalbox.Action {
	t.Helper()
	before := len(b.Writes())
	f, err := b.r.Preview(t.Context(), s)
	if err != nil || f.Refused != "" || f.Class != signalbox.ClassC || len(f.Targets) != 1 || len(b.Writes()) != before {
		t.Fatalf("preview: %+v, %v", f, err)
	}
	return signalbox.Action{ID: signalbox.ActionID(id), Step: s, Forecast: f, Stage: signalbox.Claimed, ClaimedAt: b.clock(), Gate: b.gate}
}

// probe is a phase, with "+" where a write is due.
func (b *bench) probe(t testing.TB, a signalbox.Action) (string, string) {
	t.Helper()
	before := len(b.Writes())
	p, err := b.r.Probe(t.Context(), a)
	if err != nil || len(b.Writes()) != before {
		t.Fatalf("probe: %v, %d writes", err, len(b.Writes())-before)
	}
	if p.Next {
		return string(p.Phase) + "+", p.Reason
	}
	return string(p.Phase), p.Reason + p.Receipt.Detail
}

func (b *bench) is(t testing.TB, a signalbox.Action, phase, reason string) {
	t.Helper()
	if got, why := b.probe(t, a); got != phase || !strings.Contains(why, reason) || strings.Contains(why, "hunter2") || strings.Contains(why, "s3cret") {
		t.Fatalf("probe: got %s %q, want %s with %q", got, why, phase, reason)
	}
}
