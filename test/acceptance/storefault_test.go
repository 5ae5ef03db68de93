package acceptance

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// alertSource takes the alerts of a story; nothing reads them back.
const alertSource = `
sources:
  alerts: {kind: alertmanager, receive: /webhooks/alertmanager, reconcile: 0, auth: {bearer_file: secrets/webhook}}
detectors:
  - {name: alerts, source: alerts, subject: "{{alertname}}", labels: [alertname], owner: backend}
`

// queueSource watches one metric by a real Prometheus, and only pages.
func queueSource(t *testing.T, b *box) *servers.ExporterServer {
	t.Helper()
	exporter := servers.Exporter(t)
	exporter.Set("queue_depth", 1, "queue", "psp")
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"queue": {exporter.Host()}}})
	b.write("queue.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 2s, unknown_after: 30s}
detectors:
  - name: queue-depth
    source: metrics
    query: max by (queue) (queue_depth)
    interval: 1s
    breach: {above: 100, for: 1s}
    clear: {below: 50, for: 1s}
    subject: "queue/{{queue}}"
    labels: [queue]
    owner: devops
`, metrics.URL))
	b.write("alerts.yaml", alertSource)
	return exporter
}

// post sends one alert as Alertmanager's webhook does, and returns the status
// of the answer; 0 when there was none.
func (b *box) post(status, name string, startsAt time.Time, labels map[string]string) int {
	b.t.Helper()
	all := map[string]string{"alertname": name}
	for k, v := range labels {
		all[k] = v
	}
	alert := map[string]any{"status": status, "labels": all, "annotations": map[string]string{}, "startsAt": startsAt.Format(time.RFC3339Nano), "endsAt": "0001-01-01T00:00:00Z", "generatorURL": ""}
	if status == "resolved" {
		alert["endsAt"] = time.Now().Format(time.RFC3339Nano)
	}
	body, err := json.Marshal(map[string]any{
		"version": "4", "groupKey": `{}:{alertname="` + name + `"}`, "receiver": "signalbox", "status": status, "truncatedAlerts": 0,
		"groupLabels": map[string]string{"alertname": name}, "commonLabels": map[string]string{}, "commonAnnotations": map[string]string{},
		"externalURL": "http://alertmanager:9093", "alerts": []any{alert},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.webhooks+"/webhooks/alertmanager", bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+webhookKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// memberPID finds the child process of the daemon; 0: there is none.
func (b *box) memberPID() int {
	b.t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		b.t.Fatal(err)
	}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it is gone
		}
		// pid (comm) state ppid …; comm may hold blanks and brackets.
		rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(rest) > 1 && rest[0] != "Z" && rest[1] == strconv.Itoa(b.cmd.Process.Pid) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err != nil {
				b.t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

// killMembers kills each member as soon as it is there, until the returned
// function is called.
func (b *box) killMembers() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			if pid := b.memberPID(); pid > 0 {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	}()
	stop = sync.OnceFunc(func() { close(quit); <-done })
	b.t.Cleanup(stop)
	return stop
}

// floodUntilRefused posts large alerts that are over already, which open
// nothing, until the store can't take one.
func (b *box) floodUntilRefused() {
	b.t.Helper()
	labels := map[string]string{}
	for i := range 24 {
		labels[fmt.Sprintf("padding_%d", i)] = strings.Repeat("x", 8<<10)
	}
	n := 0
	b.eventually("a webhook to be refused", func() error {
		for range 20 {
			n++
			labels["n"] = strconv.Itoa(n)
			if code := b.post("resolved", "Flood", time.Now().Add(-time.Minute), labels); code == http.StatusServiceUnavailable {
				b.t.Logf("refused after %d", n)
				return nil
			} else if code != http.StatusOK {
				b.t.Fatalf("a full disk must be answered 503, got %d", code)
			}
		}
		return errors.New("all were taken")
	})
}

// smallDisk mounts a file system of size bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		untested(t, "a full disk: not root, so no small tmpfs can be mounted")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		untested(t, "a full disk: mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill writes zeros until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for block := make([]byte, 1<<16); err == nil; {
		_, err = file.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

// untested says that this machine can't run a test: loudly where a developer
// sits, and as a failure in CI, which must not be the place where it is left out.
func untested(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("NOT TESTED, and CI must: "+format, args...)
	}
	t.Skipf("LOUD: NOT TESTED here: "+format, args...)
}
