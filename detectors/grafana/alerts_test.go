package grafana

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

// alerting is a Grafana that lists its alerts, and a source that asks it.
func alerting(t *testing.T, change func(*Settings)) (*standin.Alerting, *Source) {
	t.Helper()
	spec := filepath.Join(contracts(t), "alertmanager", "openapi.v2.json")
	if _, err := os.Stat(spec); err != nil {
		t.Logf("CONTRACT CHECKS SKIPPED: %v", err)
		spec = ""
	}
	a, err := standin.NewAlerting(standin.AlertingOptions{Spec: spec, Token: token, Receiver: "signalbox", Now: func() time.Time { return alertAt }})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a)
	t.Cleanup(func() {
		server.Close()
		if v := a.Violations(); len(v) > 0 {
			t.Errorf("the contract was broken: %q", v)
		}
	})
	return a, alertSource(t, server.URL, func(s *Settings) {
		s.HTTP.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: "token"}
		if change != nil {
			change(s)
		}
	})
}

// told are the readings of a batch in short.
func told(b signalbox.Batch) (lines []string) {
	for _, r := range b.Readings {
		lines = append(lines, fmt.Sprint(r.Labels["alertname"], " ", r.Condition))
	}
	slices.Sort(lines)
	return lines
}

func TestAlertsPresent(t *testing.T) {
	a, s := alerting(t, nil)
	lag := wireAlert("Lag", nil)
	a.Set(lag, wireAlert("Quiet", func(q *standin.Alert) { q.SilencedBy = []string{"a-silence"} }), wireAlert("Over", func(o *standin.Alert) { o.EndsAt = alertAt }))
	b, err := s.Present(t.Context(), alertAt)
	if err != nil || len(b.Readings) != 2 || b.Synced || b.Source != "boards" || !b.At.Equal(alertAt) {
		t.Fatalf("got %+v and %v: the first look proves no end", b, err)
	}
	r := b.Readings[0]
	if r.Condition != signalbox.Breached || !r.Confirmed || r.Suppressed != "" || r.Series != lag.Fingerprint() || !r.SampleAt.Equal(alertAt.Add(-10*time.Second)) {
		t.Errorf("got %+v", r)
	}
	if _, private := r.Labels["__alert_rule_uid__"]; private || len(r.Labels) != 3 {
		t.Errorf("labels that messages don't have: %v", r.Labels)
	}
	if got := b.Readings[1].Suppressed; got != "silence a-silence" {
		t.Errorf("suppressed by %q", got)
	}
	delivered, err := s.Decode(nil, wireMessage(t, lag), alertAt)
	if err != nil || signalbox.NewIncidentID(delivered.Readings[0]) != signalbox.NewIncidentID(r) || signalbox.DedupKey(delivered.Readings[0]) != signalbox.DedupKey(r) {
		t.Errorf("the same alert is the same incident, however it was learnt: %+v and %v", delivered.Readings, err)
	}
	if later, err := s.Present(t.Context(), alertAt.Add(5*time.Minute)); err != nil || !later.Synced {
		t.Errorf("after warm_up: synced %t, %v", later.Synced, err)
	}
}

func TestAlertsPresentKeepsToTheContactPoint(t *testing.T) {
	a, s := alerting(t, func(set *Settings) { set.Receiver = "signalbox" })
	a.Set(wireAlert("Ours", nil), wireAlert("Others", func(o *standin.Alert) { o.Receiver = "signalbox-2" }))
	if b, err := s.Present(t.Context(), alertAt); err != nil || !slices.Equal(told(b), []string{"Ours breached"}) {
		t.Errorf("got %q and %v", told(b), err)
	}
}

// The story of alerts that Grafana no longer names: each step is a look, some
// seconds after the first.
func TestAlertsThatAreNoLongerNamed(t *testing.T) {
	a, s := alerting(t, nil) // warm_up: 5m
	lag, disk := wireAlert("Lag", nil), wireAlert("Disk", nil)
	look := func(seconds int, synced bool, want ...string) {
		t.Helper()
		b, err := s.Present(t.Context(), alertAt.Add(time.Duration(seconds)*time.Second))
		if err != nil || b.Synced != synced || !slices.Equal(told(b), want) {
			t.Fatalf("after %ds: got %q, synced %t and %v, want %q, %t", seconds, told(b), b.Synced, err, want, synced)
		}
	}
	a.Set(lag, disk)
	look(0, false, "Disk breached", "Lag breached")
	look(300, true, "Disk breached", "Lag breached")
	a.Set() // it has restarted, and its rules were not evaluated yet
	look(330, true, "Disk unknown", "Lag unknown")
	a.Set(lag)
	look(360, true, "Disk unknown", "Lag breached")
	look(599, true, "Disk unknown", "Lag breached")
	look(600, true, "Lag breached") // it is gone for warm_up: ended
	a.Set()
	look(610, true, "Lag unknown")
	// The end is posted: it is no longer looked for.
	lag.EndsAt = alertAt
	if _, err := s.Decode(nil, wireMessage(t, lag), alertAt.Add(620*time.Second)); err != nil {
		t.Fatal(err)
	}
	look(620, true)
	// What was posted and never listed is not ended at once either.
	fresh := wireAlert("Fresh", nil)
	if _, err := s.Decode(nil, wireMessage(t, fresh), alertAt.Add(630*time.Second)); err != nil {
		t.Fatal(err)
	}
	look(640, true, "Fresh unknown")
	look(930, true)
}

// A rule without data makes its alerts vanish, and Grafana tells their end: no
// end is believed while it lasts.
func TestAlertsOfARuleWithoutData(t *testing.T) {
	a, s := alerting(t, nil)
	at := alertAt
	lag, noData := wireAlert("Lag", nil), wireAlert("Lag", func(n *standin.Alert) {
		n.Labels = map[string]string{"alertname": "DatasourceNoData", "rulename": "Lag", "datasource_uid": "prom", "ref_id": "A"}
	})
	look := func(after time.Duration, synced bool, want ...string) signalbox.Batch {
		t.Helper()
		at = at.Add(after)
		b, err := s.Present(t.Context(), at)
		if err != nil || b.Synced != synced || !slices.Equal(told(b), want) {
			t.Fatalf("at %s: got %q, synced %t and %v, want %q, %t", at, told(b), b.Synced, err, want, synced)
		}
		return b
	}
	a.Set(lag)
	look(0, false, "Lag breached")
	look(5*time.Minute, true, "Lag breached")
	a.Set(noData)
	lag.EndsAt, lag.Annotations["grafana_state_reason"] = at, "MissingSeries"
	if b, err := s.Decode(nil, wireMessage(t, lag, noData), at); err != nil || !slices.Equal(told(b), []string{"Lag unknown", "Lag unknown"}) {
		t.Fatalf("got %q and %v", told(b), err)
	}
	b := look(time.Minute, false, "Lag unknown", "Lag unknown")
	if r := b.Readings[0]; !r.Since.Equal(noData.StartsAt) || !b.Readings[1].Since.IsZero() {
		t.Errorf("unknown since %s and %s", r.Since, b.Readings[1].Since)
	}
	look(10*time.Minute, false, "Lag unknown")
	a.Set()
	look(time.Minute, true)
}

// An alert that is only kept firing is unknown since it was first seen so.
func TestAlertsUnknownSince(t *testing.T) {
	a, s := alerting(t, nil)
	kept := wireAlert("Kept", func(k *standin.Alert) { k.Annotations["grafana_state_reason"] = "Error, KeepLast" })
	for i, change := range []func(){
		func() { delete(kept.Annotations, "grafana_state_reason") },
		func() { kept.Annotations["grafana_state_reason"] = "Error, KeepLast" },
		func() {},
		func() { delete(kept.Annotations, "grafana_state_reason") },
	} {
		change()
		a.Set(kept)
		b, err := s.Present(t.Context(), alertAt.Add(time.Duration(i)*time.Minute))
		if err != nil || len(b.Readings) != 1 {
			t.Fatal(b, err)
		}
		want := time.Time{}
		if i == 1 || i == 2 {
			want = alertAt.Add(time.Minute)
		}
		if r := b.Readings[0]; !r.Since.Equal(want) || r.Since.IsZero() == (r.Condition == signalbox.Unknown) {
			t.Errorf("look %d: %v since %s, want %s", i, r.Condition, r.Since, want)
		}
	}
}

// More alerts than can be kept in mind prove no end for a while.
func TestAlertsLedgerIsBounded(t *testing.T) {
	l := newLedger(time.Minute)
	l.looked(nil, alertAt.Add(-time.Hour))
	if _, whole := l.looked(nil, alertAt); !whole {
		t.Fatal("not whole an hour after the first look")
	}
	for i := range maxKnown + 1 {
		r := signalbox.Reading{Series: fmt.Sprint(i), Condition: signalbox.Breached}
		l.heard(true, &r, alertAt)
	}
	if absent, whole := l.looked(nil, alertAt.Add(59*time.Second)); len(absent) != maxKnown || whole {
		t.Errorf("got %d, whole %t", len(absent), whole)
	}
	if absent, whole := l.looked(nil, alertAt.Add(time.Minute)); len(absent) != 0 || !whole {
		t.Errorf("later: got %d, whole %t", len(absent), whole)
	}
	// A clock that is set back by a year proves nothing, and waits no year.
	back := alertAt.AddDate(-1, 0, 0)
	if _, whole := l.looked(nil, back); whole {
		t.Error("whole at once after the clock was set back")
	}
	if _, whole := l.looked(nil, back.Add(time.Minute)); !whole {
		t.Error("not whole a minute after the clock was set back")
	}
}

func TestAlertsPresentRefuses(t *testing.T) {
	fault := func(status int, body string, header map[string]string) standin.Fault {
		return standin.Fault{Status: status, Body: body, Header: header}
	}
	for name, c := range map[string]struct {
		fault standin.Fault
		want  string
	}{
		"400":                  {fault(400, `{"message":"bad"}`, nil), "HTTP 400"},
		"401":                  {fault(401, `{"message":"`+token+`"}`, nil), "refuses the credentials"},
		"403":                  {fault(403, `{"message":"`+token+`"}`, nil), "refuses the credentials"},
		"404":                  {fault(404, "", nil), "HTTP 404"},
		"429":                  {fault(429, "", nil), "HTTP 429"},
		"500":                  {fault(500, "", nil), "HTTP 500"},
		"HTML":                 {fault(200, "<html>", map[string]string{"Content-Type": "text/html"}), "of type text/html"},
		"a proxy's HTML":       {fault(502, "<html>", map[string]string{"Content-Type": "text/html"}), "HTTP 502"},
		"elsewhere":            {fault(302, "", map[string]string{"Location": "http://169.254.169.254/latest"}), "HTTP 302"},
		"no JSON":              {fault(200, "oops", nil), "not the JSON"},
		"nothing":              {fault(200, "", nil), "not the JSON"},
		"null":                 {fault(200, "null", nil), "must be an array, got null"},
		"no list":              {fault(200, `{"message":"x"}`, nil), "must be an array, got an object"},
		"a key twice":          {fault(200, `[{"labels":{"a":"b","a":"c"}}]`, nil), `key "a" occurs twice`},
		"no fingerprint":       {fault(200, `[{"labels":{"a":"b"},"startsAt":"2026-03-01T10:00:00Z"}]`, nil), "fingerprint: must be"},
		"no beginning":         {fault(200, `[{"labels":{"a":"b"},"fingerprint":"0123456789abcdef"}]`, nil), "startsAt: must be"},
		"larger than max_body": {fault(200, "["+strings.Repeat(" ", 70<<10)+"]", nil), "must have at most 65536 bytes (max_body)"},
	} {
		t.Run(name, func(t *testing.T) {
			a, s := alerting(t, func(set *Settings) {
				set.MaxBody = kind.Quantity{Value: 64 << 10, Unit: signalbox.Bytes, Text: "64KiB"}
			})
			a.Fail(c.fault)
			b, err := s.Present(t.Context(), alertAt)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(b.Readings) != 0 || b.Synced || !strings.HasPrefix(err.Error(), `source "boards": alerts: `) {
				t.Fatalf("got %+v and %v, want %q", b, err, c.want)
			}
			if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("the error tells too much: %v", err)
			}
			if !s.ledger.began.IsZero() {
				t.Error("a failed look counts as one")
			}
		})
	}
}

func TestAlertsPresentSaysWhenToComeBack(t *testing.T) {
	a, s := alerting(t, nil)
	a.Fail(standin.Fault{Status: 429, Header: map[string]string{"Retry-After": "30"}})
	_, err := s.Present(t.Context(), alertAt)
	if again, ok := errors.AsType[*signalbox.RetryAfter](err); !ok || again.After != 30*time.Second {
		t.Errorf("got %v", err)
	}
}

func TestAlertsPresentHonoursItsDeadlines(t *testing.T) {
	asked := make(chan struct{}, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "[")
		w.(http.Flusher).Flush()
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer server.Close()
	s := alertSource(t, server.URL, func(set *Settings) { set.Timeout = kind.Duration(2 * time.Second) }) // the request must come within it
	if _, err := s.Present(t.Context(), alertAt); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("own deadline: got %v", err)
	}
	select {
	case <-asked:
	case <-time.After(10 * time.Second):
		t.Fatal("the server was not asked")
	}
	s = alertSource(t, server.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		select {
		case <-asked:
			cancel()
		case <-ctx.Done():
		}
	}()
	if _, err := s.Present(ctx, alertAt); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestAlertSettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Settings)
		want   string
	}{
		"signed and timed":    {signedBy("X-Signed-At"), ""},
		"no alerts":           {func(s *Settings) { s.Receive = "" }, ""},
		"another path":        {func(s *Settings) { s.Receive = "/-/reload" }, "receive: must be a clean path"},
		"never reconciled":    {func(s *Settings) { s.Reconcile = 0 }, "reconcile: must be at least 1s: Grafana does not post again"},
		"hardly warm":         {func(s *Settings) { s.WarmUp = kind.Duration(time.Minute) }, "warm_up: must be at least twice reconcile (1m)"},
		"signed with nothing": {func(s *Settings) { s.HMAC = &SignatureSettings{} }, "hmac.secret_file: must name the file"},
		"an odd header":       {func(s *Settings) { s.HMAC = &SignatureSettings{SecretFile: "hmac", Header: "a b"} }, "hmac.header: must be the name of a header"},
		"one header for both": {func(s *Settings) {
			s.HMAC = &SignatureSettings{SecretFile: "hmac", TimestampHeader: "x-grafana-alerting-signature"}
		}, "hmac.timestamp_header: must not be the header of the signature"},
		"skew of nothing": {func(s *Settings) {
			s.HMAC = &SignatureSettings{SecretFile: "hmac", MaxSkew: kind.Duration(time.Minute)}
		}, "hmac.max_skew: must be given together with timestamp_header"},
		"skew of a day":           {func(s *Settings) { signedBy("X-T")(s); s.HMAC.MaxSkew = kind.Duration(24 * time.Hour) }, "hmac.max_skew: must be at least 1s and at most 1h"},
		"a signature for nothing": {func(s *Settings) { signedBy("")(s); s.Receive = "" }, "hmac: must be given together with receive"},
		"a receiver of nothing":   {func(s *Settings) { s.Receiver, s.Receive = "x", "" }, "receiver: must be given together with receive"},
		"a door to nothing":       {func(s *Settings) { s.Auth.BearerFile, s.Receive = "x", "" }, "auth: must be given together with receive"},
		"a watchdog of nothing":   {func(s *Settings) { s.Watchdog = &alerts.WatchdogSettings{} }, "watchdog.match: must name the labels"},
		"two users":               {func(s *Settings) { s.Auth.Username = "x" }, "auth.password_file: must be given together"},
	} {
		t.Run(name, func(t *testing.T) {
			set := newSettings()
			set.URL, set.Receive = "http://grafana:3000", "/webhooks/grafana"
			c.change(set)
			var got []string
			set.Validate(func(path, rule string, _ any) { got = append(got, path+": "+rule) })
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestAlertDetectorSettings(t *testing.T) {
	d := &DetectorSettings{Match: map[string]string{"alertname": "Lag", "team": ""}, MaxAge: kind.Duration(time.Minute), Panel: &PanelSettings{}}
	var got []string
	d.Validate(func(path, _ string, _ any) { got = append(got, path) })
	slices.Sort(got)
	if !slices.Equal(got, []string{"match.team", "max_age", "panel"}) || !d.Posted() || d.Fresh(time.Minute) != alerts.Fresh {
		t.Errorf("got %q", got)
	}
	d = &DetectorSettings{Match: map[string]string{"alertname": "Lag"}}
	s := alertSource(t, "http://127.0.0.1:1", nil)
	built, _, err := d.Build(kind.Common{Name: "lag", Source: "boards", Owner: "be"}, s)
	if err != nil {
		t.Fatal(err)
	}
	if own, ok := built.(alerts.Selector).Select(signalbox.Reading{Labels: map[string]string{"alertname": "Lag"}}); !ok || own.Detector != "lag" || own.Owner != "be" {
		t.Errorf("got %+v", own)
	}
	deaf := alertSource(t, "http://127.0.0.1:1", func(set *Settings) { set.Receive = "" })
	if _, _, err := d.Build(kind.Common{Name: "lag", Source: "boards"}, deaf); err == nil || !strings.Contains(err.Error(), "give it receive") {
		t.Errorf("a source that takes no alerts: got %v", err)
	}
	if _, _, err := d.Build(kind.Common{Name: "lag", Source: "boards"}, 7); err == nil {
		t.Error("a source of another kind was taken")
	}
}
