package acceptance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// A rule of a real Prometheus fires through a real Alertmanager, and no policy
// is there: one page to its detector's owner for each series, though a group's
// message repeats what fires already; each is resolved with its own series.
func TestAlertIsPagedOnceAndResolvedWithIt(t *testing.T) {
	t.Parallel()
	b, exporter := newBox(t), servers.Exporter(t)
	tap := newTap(t, b)
	am := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route()})
	rule := `{groups: [{name: g, rules: [{alert: Lagging, expr: "reads_lag_seconds > 1", labels: {severity: critical}}]}]}`
	servers.Prometheus(t, servers.PrometheusOptions{
		Scrape: map[string][]string{"pg": {exporter.Host()}}, Rules: []string{rule}, Alertmanagers: []string{am.URL}, Interval: 2 * time.Second,
	})
	b.alerts(am.URL, "")
	b.start()
	exporter.Set("reads_lag_seconds", 5, "cluster", "eu")
	b.eventually("the page", b.paged("Lagging/eu", backendKey, "trigger"))
	exporter.Set("reads_lag_seconds", 5, "cluster", "us")
	b.eventually("the page of the second series", b.paged("Lagging/us", backendKey, "trigger"))
	b.eventually("the first series to be repeated", tap.heard(`"cluster":"eu"`, 2))
	exporter.Set("reads_lag_seconds", 0, "cluster", "eu")
	b.eventually("the first page to be resolved", b.paged("Lagging/eu", backendKey, "trigger", "resolve"))
	if err := b.paged("Lagging/us", backendKey, "trigger")(); err != nil {
		t.Error(err)
	}
	exporter.Set("reads_lag_seconds", 0, "cluster", "us")
	b.eventually("the second page to be resolved", b.paged("Lagging/us", backendKey, "trigger", "resolve"))
	// What no detector takes goes to the default owner, and is not dropped.
	am.post(t, "Odd", time.Now(), time.Time{}, "")
	b.eventually("the default owner's page", b.paged("Odd", devopsKey, "trigger"))
	if n := len(b.pager.Incidents()); n != 3 {
		t.Errorf("pages: got %d, want 3", n)
	}
}

// Two clustered Alertmanagers both send, since the first got its answer too
// late. Then copies arrive late and in the wrong order. It stays one incident
// with one trigger, and the next episode is another one.
func TestDoubledLateAndReorderedMessagesAreOnePage(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	tap := newTap(t, b)
	tap.answerAfter(2)
	first := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route(), Cluster: true})
	second := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route(), Peers: []*servers.AlertmanagerServer{first.AlertmanagerServer}})
	b.alerts(first.URL, "")
	b.start()
	begin := time.Now()
	both := func(starts, ends time.Time) {
		for _, am := range []*alertmanager{first, second} {
			am.post(t, "Twice", starts, ends, "critical")
		}
	}
	both(begin, time.Time{})
	b.eventually("both to send", tap.heard(`"status":"firing"`, 2))
	b.eventually("the page", b.paged("Twice/eu", backendKey, "trigger"))
	both(begin, time.Now())
	b.eventually("the end to be sent", tap.heard(`"status":"resolved"`, 1))
	b.eventually("the page to be resolved", b.paged("Twice/eu", backendKey, "trigger", "resolve"))

	firing, resolved := tap.last(`"status":"firing"`), tap.last(`"status":"resolved"`)
	b.delivered(firing, "a late copy")
	b.delivered(resolved, "a doubled end")
	// Another episode, of which the end comes first.
	b.delivered(restarted(t, resolved, begin.Add(time.Second)), "an end without its begin")
	b.delivered(restarted(t, firing, begin.Add(time.Second)), "a begin after its end")
	b.steadily(4*time.Second, "nothing comes of copies", b.paged("Twice/eu", backendKey, "trigger", "resolve"))

	both(time.Now(), time.Time{})
	b.eventually("the next episode's page", func() error {
		if n := len(b.pages("Twice/eu")); n != 2 {
			return fmt.Errorf("pages: got %d, want 2", n)
		}
		return nil
	})
}

// delivered posts a body as Alertmanager does, and wants it to be taken.
func (b *box) delivered(body, what string) {
	b.t.Helper()
	status, said, err := deliver(b.t.Context(), b.webhooks+webhookPath, "Bearer "+webhookKey, body)
	if err != nil || status != http.StatusOK {
		b.t.Fatalf("%s: got %d %s %v, want 200", what, status, said, err)
	}
}

// restarted is a captured body with another startsAt.
func restarted(t *testing.T, body string, starts time.Time) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	for _, a := range m["alerts"].([]any) {
		a.(map[string]any)["startsAt"] = starts.Format(time.RFC3339Nano)
	}
	out, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// Who may post, where, and what.
func TestWebhookDoor(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	b.write("alerts.yaml", `
sources: {alerts: {kind: alertmanager, receive: /webhooks/alertmanager, auth: {bearer_file: secrets/webhook}, reconcile: 0}}
detectors: [{name: critical, source: alerts, subject: "{{alertname}}/{{cluster}}", owner: backend}]
`)
	b.start()
	good := webhookBody("firing", "Door", time.Now(), time.Time{})
	right := "Bearer " + webhookKey
	foreign := strings.Replace(good, `"version":"4"`, `"version":"1"`, 1)
	for name, c := range map[string]struct {
		url, authorization, body string
		want                     int
	}{
		"no credential":          {b.webhooks + webhookPath, "", good, http.StatusUnauthorized},
		"a wrong credential":     {b.webhooks + webhookPath, "Bearer guess", good, http.StatusUnauthorized},
		"a prefix of the right":  {b.webhooks + webhookPath, right[:len(right)-1], good, http.StatusUnauthorized},
		"another scheme":         {b.webhooks + webhookPath, "Basic " + webhookKey, good, http.StatusUnauthorized},
		"a wrong path":           {b.webhooks + "/webhooks/other", right, good, http.StatusNotFound},
		"a path with an end":     {b.webhooks + webhookPath + "/", right, good, http.StatusNotFound},
		"an escaped path":        {b.webhooks + "/webhooks%2Falertmanager", right, good, http.StatusNotFound},
		"the control's port":     {b.control + webhookPath, right, good, http.StatusNotFound},
		"no JSON":                {b.webhooks + webhookPath, right, "firing", http.StatusBadRequest},
		"no alerts":              {b.webhooks + webhookPath, right, "{}", http.StatusBadRequest},
		"another program's body": {b.webhooks + webhookPath, right, foreign, http.StatusBadRequest},
		"a body that is cut off": {b.webhooks + webhookPath, right, good[:len(good)/2], http.StatusBadRequest},
	} {
		status, said, err := deliver(t.Context(), c.url, c.authorization, c.body)
		if err != nil || status != c.want {
			t.Errorf("%s: got %d %s %v, want %d", name, status, said, err, c.want)
		}
	}
	b.counts(t, map[string]int{"credential": 4, "unknown_path": 3, "shape": 4, "taken": 0})
	if n := strings.Count(b.log.String(), "webhook refused"); n != 8 {
		t.Errorf("the log tells %d refusals, want 8", n)
	}
	b.steadily(2*time.Second, "nothing comes of what was refused", func() error {
		if n := len(b.pager.Incidents()) + len(b.status().Incidents); n > 0 {
			return fmt.Errorf("pages and incidents: got %d, want none", n)
		}
		return nil
	})
	b.delivered(good, "the right bearer")
	b.eventually("the page", b.paged("Door/eu", backendKey, "trigger"))
	// A rotated secret counts at once.
	b.secret("webhook", "another-token")
	if status, said, err := deliver(t.Context(), b.webhooks+webhookPath, right, good); err != nil || status != http.StatusUnauthorized {
		t.Errorf("the old secret: got %d %s %v, want 401", status, said, err)
	}
	ended := webhookBody("resolved", "Door", time.Now().Add(-time.Second), time.Now())
	if status, said, err := deliver(t.Context(), b.webhooks+webhookPath, "Bearer another-token", ended); err != nil || status != http.StatusOK {
		t.Errorf("the new secret: got %d %s %v, want 200", status, said, err)
	}
}

// counts asserts how many webhooks ended how.
func (b *box) counts(t *testing.T, want map[string]int) {
	t.Helper()
	text, err := b.metrics()
	if err != nil {
		t.Fatal(err)
	}
	for result, n := range want {
		if line := fmt.Sprintf("signalbox_webhooks_total{result=%q} %d\n", result, n); !strings.Contains(text, line) {
			t.Errorf("the metrics must hold %q", line)
		}
	}
}

// Alertmanager posts nothing of a silenced alert; reading its state back shows
// it. It is an incident that is not paged, until the silence ends.
func TestSilencedAlertIsPagedWhenTheSilenceEnds(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	tap := newTap(t, b)
	am := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route()})
	b.alerts(am.URL, "")
	b.start()
	silence := am.silence(t, "Quiet")
	am.post(t, "Quiet", time.Now(), time.Time{}, "critical")
	b.eventually("the silenced alert to be seen", func() error {
		for _, inc := range b.status().Incidents {
			if inc.Reading.Subject == "Quiet/eu" && strings.Contains(inc.Reading.Suppressed, silence) {
				return nil
			}
		}
		return fmt.Errorf("not among %d incidents", len(b.status().Incidents))
	})
	b.steadily(3*time.Second, "it is silent", func() error {
		if n := len(b.pager.Incidents()); n > 0 {
			return fmt.Errorf("pages: got %d, want none", n)
		}
		return tap.heard("Quiet", 0)()
	})
	am.expire(t, silence)
	b.eventually("the page, once the silence has ended", b.paged("Quiet/eu", backendKey, "trigger"))
	am.post(t, "Quiet", time.Now(), time.Now(), "critical")
	b.eventually("the page to be resolved", b.paged("Quiet/eu", backendKey, "trigger", "resolve"))
}

// Messages are lost on their way, and the daemon is down while an alert ends:
// what was lost is found in Alertmanager's present state.
func TestLostMessagesAreFoundByReconciling(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	tap := newTap(t, b)
	am := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route()})
	b.alerts(am.URL, "")
	b.start()
	begin := time.Now()
	am.post(t, "Lost", begin, time.Time{}, "critical")
	b.eventually("the page", b.paged("Lost/eu", backendKey, "trigger"))
	b.eventually("Alertmanager to have sent it", tap.heard(`"status":"firing"`, 1)) // else it has no end to tell
	tap.lose()
	b.stop()
	am.post(t, "Lost", begin, time.Now(), "critical")
	b.eventually("the resolve to be lost", tap.heard(`"status":"resolved"`, 1))
	if err := b.paged("Lost/eu", backendKey, "trigger")(); err != nil {
		t.Errorf("the daemon is down: %v", err)
	}
	b.start()
	b.eventually("the page to be resolved", b.paged("Lost/eu", backendKey, "trigger", "resolve"))
	am.post(t, "Unheard", time.Now(), time.Time{}, "critical")
	b.eventually("the page of an alert whose message is lost", b.paged("Unheard/eu", backendKey, "trigger"))
}

// Alertmanager is away: one page for the source. It comes back with nothing in
// its memory, while the daemon is down too: that proves no alert's end, and the
// source's page is resolved.
func TestAlertmanagerIsAway(t *testing.T) {
	t.Parallel()
	b := newBox(t)
	tap := newTap(t, b)
	am := newAlertmanager(t, servers.AlertmanagerOptions{Config: tap.route()})
	b.alerts(am.URL, "warm_up: 5m")
	b.start()
	am.post(t, "Kept", time.Now(), time.Time{}, "critical")
	b.eventually("the alert's page", b.paged("Kept/eu", backendKey, "trigger"))
	am.Kill()
	b.eventually("the source's page", b.paged("source/alerts", devopsKey, "trigger"))
	b.steadily(3*time.Second, "it is paged once", b.paged("source/alerts", devopsKey, "trigger"))
	b.stop()
	am.Restart()
	b.start()
	b.eventually("the source's page to be resolved", b.paged("source/alerts", devopsKey, "trigger", "resolve"))
	b.steadily(2*time.Second, "an empty memory proves nothing", b.paged("Kept/eu", backendKey, "trigger"))
}

// alertmanager is a real one, whose API v2 a story uses.
type alertmanager struct{ *servers.AlertmanagerServer }

func newAlertmanager(t *testing.T, o servers.AlertmanagerOptions) *alertmanager {
	t.Helper()
	return &alertmanager{servers.Alertmanager(t, o)}
}

// post gives it an alert, as Prometheus does. ends zero: it fires for an hour.
func (am *alertmanager) post(t *testing.T, name string, starts, ends time.Time, severity string) {
	t.Helper()
	if ends.IsZero() {
		ends = starts.Add(time.Hour)
	}
	labels := map[string]string{"alertname": name, "cluster": "eu"}
	if severity != "" {
		labels["severity"] = severity
	}
	am.call(t, http.MethodPost, "alerts", []any{map[string]any{"labels": labels, "startsAt": starts, "endsAt": ends}}, nil)
}

// silence silences an alert by its name, and returns the silence's id.
func (am *alertmanager) silence(t *testing.T, name string) string {
	t.Helper()
	var made struct{ SilenceID string }
	am.call(t, http.MethodPost, "silences", map[string]any{
		"matchers": []any{map[string]any{"name": "alertname", "value": name, "isRegex": false, "isEqual": true}},
		"startsAt": time.Now(), "endsAt": time.Now().Add(time.Hour), "createdBy": "a story", "comment": "planned work",
	}, &made)
	return made.SilenceID
}

func (am *alertmanager) expire(t *testing.T, silence string) {
	t.Helper()
	am.call(t, http.MethodDelete, "silence/"+silence, nil, nil)
}

func (am *alertmanager) call(t *testing.T, method, path string, body, out any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, am.URL+"/api/v2/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager: %s %s: %s", method, path, resp.Status)
	}
	if out == nil {
		return
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		t.Fatal(err)
	}
}
