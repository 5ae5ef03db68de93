package bench

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/app"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store/etcd"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

// patience bounds every wait.
const patience = time.Minute

// TestMain lets this binary be the embedded store's member too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == app.MemberCommand {
		os.Exit(app.RunMember(os.Args[2:]))
	}
	os.Exit(m.Run())
}

const (
	pagerKey = "0123456789abcdef0123456789abcde0"
	token    = "a-token-that-only-alertmanager-has"
	path     = "/webhooks/alertmanager"
)

// daemon is a whole daemon in this process, its member in a child.
type daemon struct {
	webhooks string      // URL of the receiver
	store    *etcd.Store // a connection of our own to the daemon's member
}

// start runs a daemon that leads, until the benchmark ends.
func start(b *testing.B) *daemon {
	b.Helper()
	dir := shortDir(b)
	configure(b, dir)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan [2]string, 1), make(chan error, 1)
	go func() {
		ended <- app.Run(ctx, app.Options{
			Config: filepath.Join(dir, "config"), Data: filepath.Join(dir, "data"), Replica: "bench",
			Listen: "127.0.0.1:0", ListenWebhooks: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
			Ready: func(control, webhooks string) { ready <- [2]string{control, webhooks} },
		}, nil)
	}()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Errorf("the daemon ended: %v", err)
		}
	})
	d := &daemon{}
	select {
	case at := <-ready:
		d.webhooks = "http://" + at[1] + path
		eventually(b, "the daemon is ready", func() bool { return answers(b, "http://"+at[0]+"/-/ready") })
	case err := <-ended:
		ended <- err
		b.Fatalf("the daemon did not start: %v", err)
	}
	d.store = dial(b, dir)
	return d
}

// shortDir is a directory whose name is short enough for a socket.
func shortDir(b *testing.B) string {
	b.Helper()
	dir, err := os.MkdirTemp("", "sbx")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// dial connects to the member of the daemon in dir.
func dial(b *testing.B, dir string) *etcd.Store {
	b.Helper()
	s, err := etcd.Dial(etcd.Options{Endpoints: []string{"unix://" + filepath.Join(dir, "data", "store", "member.sock")}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// configure writes a configuration: one receiver, one owner.
func configure(b *testing.B, dir string) {
	b.Helper()
	pager, err := pagerduty.New(pagerduty.Options{Keys: []string{pagerKey}})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(pager)
	b.Cleanup(func() { pager.Close(); server.Close() })
	if err := os.Mkdir(filepath.Join(dir, "config"), 0o700); err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"pager": pagerKey,
		"token": token,
		"bench.yaml": fmt.Sprintf(`
default_owner: devops
owners:
  devops: {primary: "@sre-lead", escalation: pagerduty, pagerduty: {primary_key_file: pager, url: %q}}
sources:
  alerts: {kind: alertmanager, receive: %s, auth: {bearer_file: token}, reconcile: 0}
detectors:
  - {name: critical, source: alerts, match: {severity: critical}, subject: "{{alertname}}/{{instance}}"}
`, server.URL, path),
	} {
		if err := os.WriteFile(filepath.Join(dir, "config", name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}

func answers(b *testing.B, url string) bool {
	resp, err := http.Get(url)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// drained waits until the engine has taken in all that was acknowledged.
func (d *daemon) drained(b *testing.B) {
	b.Helper()
	eventually(b, "the inbox is empty", func() bool {
		kvs, _, err := d.store.List(b.Context(), journal.InboxPrefix)
		if err != nil {
			b.Fatal(err)
		}
		return len(kvs) == 0
	})
}

func eventually(b *testing.B, what string, ok func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatalf("not within %v: %s", patience, what)
		}
	}
}
