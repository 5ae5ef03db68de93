package catalog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// A secret in a line opens an incident that does not repeat it, and events that
// fail are told one by one.
func TestLokiLines(t *testing.T) {
	t.Parallel()
	logs := servers.Loki(t, servers.LokiOptions{})
	watches := watchingOn(
		t, fmt.Sprintf("logs: {kind: loki, url: %q}", logs.URL),
		`{name: leak, source: logs, catalog: secret-leak-in-logs, with: {select: 'env="prod"'}, interval: 1s, logs: {window: 5s, delay: 1s}, clear: {for: 1s}}`,
		`{name: events, source: logs, catalog: psp-event-failures, with: {select: 'app="psp"'}, interval: 1s}`,
	)
	leak, events := watches[0], watches[1]
	push := func(app string, lines ...string) {
		at := time.Now()
		var all []servers.Line
		for i, text := range lines {
			all = append(all, servers.Line{At: at.Add(time.Duration(i)), Text: text})
		}
		logs.Push("", map[string]string{"app": app, "env": "prod"}, all...)
	}
	push("checkout", "level=info msg=paid id=1")
	push("psp", `{"level":"info","event_id":"evt_fine"}`)
	leak.look(t.Context())
	if len(leak.last) > 0 {
		t.Fatalf("a log without a secret: %s", leak.says())
	}

	const secret = "AKIAIOSFODNN7EXAMPLE" // AWS' own example
	push("checkout", "level=debug msg=signing key="+secret)
	leak.await("a key stands in the log", "leak/checkout", signalbox.Breached, true)
	if said := fmt.Sprintf("%+v", leak.last); strings.Contains(said, secret) {
		t.Errorf("the secret is told: %s", said)
	}

	var failed []string
	for i := range 6 {
		failed = append(failed, fmt.Sprintf(`{"level":"error","event_id":"evt_000%d"}`, i), fmt.Sprintf(`level=error event_id=evt_000%d msg=again`, i))
	}
	push("psp", failed...)
	events.await("six events failed", "psp/psp", signalbox.Breached, true)
	if got := events.last[0].Items; len(got) != 6 || !slices.Contains(got, "evt_0005") {
		t.Errorf("got %q, want the six events once each", got)
	}
	leak.await("the key is out of the window", "leak/checkout", signalbox.Clear, false)
}
