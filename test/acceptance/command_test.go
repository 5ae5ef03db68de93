package acceptance

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"

	"github.com/signalbox/signalbox/internal/runner"
	"github.com/signalbox/signalbox/test/servers"
)

// A policy runs a program on the daemon's host. Without its flag the daemon refuses
// that; with it, the daemon is killed while the program runs, and its successor
// follows the same run to its end. The program's own log shows one.
func TestCommandRunsOnceThoughTheDaemonIsKilled(t *testing.T) {
	t.Parallel()
	exporter, b := servers.Exporter(t), newBox(t)
	failures := func(n float64) { exporter.Set("psp_webhook_failures", n, "psp", "main") }
	failures(0)
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"psp": {exporter.Host()}}})
	dir := b.replayScript(metrics.URL)
	log := func(want string) func() error {
		return func() error {
			if text, _ := os.ReadFile(filepath.Join(dir, "log")); string(text) != want {
				return fmt.Errorf("the program's own log: got %q, want %q", text, want)
			}
			return nil
		}
	}

	b.launch()
	<-b.ended
	if said := b.log.String(); !strings.Contains(said, "tools.replay: command runs a program on the daemon's own host") || !strings.Contains(said, "--allow-commands") {
		t.Fatalf("without its flag: %s", said)
	}
	if said, code := b.operate("check", b.config); code != 2 || !strings.Contains(said, "--allow-commands") {
		t.Errorf("check: exit code %d, %s", code, said)
	}
	if said := b.must("check", "--allow-commands", b.config); strings.Contains(said, "warning") {
		t.Errorf("check: %s", said)
	}

	b.args = []string{"--allow-commands"}
	b.start()
	b.watched()
	failures(7)
	b.eventually("the program to run", log("begun --event-id evt_1\n"))
	b.kill()
	b.start()
	var id string
	b.eventually("the successor to follow it", func() error {
		for _, inc := range b.status().Incidents {
			id = string(inc.ID)
			if said := b.must("explain", id); strings.Contains(said, "kill -KILL -- -") {
				return nil
			}
		}
		return fmt.Errorf("it is not said that it runs")
	})
	if err := log("begun --event-id evt_1\n")(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	b.eventually("its end", log("begun --event-id evt_1\nover\n"))
	failures(0)
	b.eventually("the incident to end", func() error {
		if n := len(b.status().Incidents); n > 0 {
			return fmt.Errorf("open: %d", n)
		}
		return nil
	})
	if said := b.must("explain", id); !strings.Contains(said, "ended with exit code 0") {
		t.Errorf("explain must tell its end:\n%s", said)
	}
	if err := log("begun --event-id evt_1\nover\n")(); err != nil {
		t.Fatal(err)
	}
}

// replayScript writes the program and a configuration that runs it, and returns the
// directory in which it keeps its log.
func (b *box) replayScript(metrics string) string {
	b.t.Helper()
	dir, err := os.MkdirTemp("", "signalbox-command-")
	if err == nil {
		err = os.Chmod(dir, 0o777|os.ModeSticky)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		b.kill()
		_ = os.WriteFile(filepath.Join(dir, "go"), nil, 0o644)
		b.eventually("the runners to end", func() error { return noneRuns(runner.Dir(filepath.Join(b.data, "commands"))) })
		_ = os.RemoveAll(dir)
	})
	script := "#!/bin/sh\necho begun \"$@\" >> " + dir + "/log\nwhile [ ! -e " + dir + "/go ]; do sleep 0.1; done\necho over >> " + dir + "/log\n"
	if err := os.WriteFile(filepath.Join(dir, "replay"), []byte(script), 0o755); err != nil {
		b.t.Fatal(err)
	}
	name := "nobody"
	if u, err := user.Current(); os.Geteuid() != 0 && err == nil {
		name = u.Username
	}
	b.write("command.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 2s}
detectors:
  - name: webhook-failures
    source: metrics
    query: max by (psp) (psp_webhook_failures)
    interval: 1s
    breach: {above: 5, for: 1s}
    clear: {below: 1}
    subject: "psp/{{psp}}"
    owner: backend
tools:
  replay:
    command: {argv: [%q, "--event-id", evt_1], user: %s, timeout: 5m, processes: 4096}
policies:
  - name: replay-webhooks
    on: webhook-failures
    autonomy: auto
    runbook: [{command: replay}]
    verify: {within: 1m}
    guards: {cooldown: 1s, budget: [10/day]}
`, metrics, filepath.Join(dir, "replay"), name))
	return dir
}

// noneRuns looks whether a program still runs.
func noneRuns(d runner.Dir) error {
	orders, err := filepath.Glob(string(d) + "/*.order")
	if err != nil {
		return err
	}
	for _, o := range orders {
		if _, err := os.Stat(strings.TrimSuffix(o, ".order") + ".end"); err != nil {
			return err
		}
	}
	return nil
}
