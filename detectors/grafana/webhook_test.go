package grafana

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/alerts"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

// alertAt is when the messages of these tests come.
var alertAt = time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC)

const hmacSecret = "a-shared-secret-of-the-contact-point"

// alertSource is a source that takes alerts at a path, and asks address.
func alertSource(t testing.TB, address string, change func(*Settings)) *Source {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"hmac": hmacSecret + "\n", "token": token + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set := newSettings()
	set.URL, set.Receive = address, "/webhooks/grafana"
	if change != nil {
		change(set)
	}
	set.Validate(func(path, rule string, value any) { t.Errorf("%s: %s, got %v", path, rule, value) })
	s, err := open("boards", set, kind.Env{Now: func() time.Time { return alertAt }, Agent: "signalbox/test", ConfigDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signedBy(timestamp string) func(*Settings) {
	return func(s *Settings) {
		s.HMAC = &SignatureSettings{SecretFile: "hmac", TimestampHeader: timestamp}
	}
}

// The signatures were made by another program (Python's hmac).
const (
	signedBody     = `{"receiver":"signalbox"}`
	bodySignature  = "709fc04665ba2daacf11d028ee40ea9bf678e524dc9f9b5dd3b5e6b5a767a873"
	stampSignature = "6d9b879f3e55ce80856d9fa252c394c3e06c182c13f81d61aa8d814917394134" // of 1772359500, which is alertAt
)

func TestAlertsVerify(t *testing.T) {
	const sig, ts = "X-Grafana-Alerting-Signature", "X-Signed-At"
	plain := alertSource(t, "http://127.0.0.1:1", signedBy(""))
	timed := alertSource(t, "http://127.0.0.1:1", signedBy(ts))
	other := alertSource(t, "http://127.0.0.1:1", func(s *Settings) {
		signedBy("")(s)
		s.HMAC.Header = "X-Own"
	})
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Add(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, c := range map[string]struct {
		s    *Source
		h    http.Header
		body string
		at   time.Time
		want error  // nil: it is let in
		says string // in place of want
	}{
		"signed":                        {plain, header(sig, bodySignature), signedBody, alertAt, nil, ""},
		"signed, in capitals":           {plain, header(sig, strings.ToUpper(bodySignature)), signedBody, alertAt, nil, ""},
		"signed, under its own header":  {other, header("x-own", bodySignature), signedBody, alertAt, nil, ""},
		"not signed":                    {plain, header(), signedBody, alertAt, errNoSignature, ""},
		"signed twice":                  {plain, header(sig, bodySignature, sig, bodySignature), signedBody, alertAt, errNoSignature, ""},
		"signed under another header":   {other, header(sig, bodySignature), signedBody, alertAt, errNoSignature, ""},
		"another body":                  {plain, header(sig, bodySignature), signedBody + " ", alertAt, kind.ErrBadCredential, ""},
		"another signature":             {plain, header(sig, "0"+bodySignature[1:]), signedBody, alertAt, kind.ErrBadCredential, ""},
		"a part of the signature":       {plain, header(sig, bodySignature[:32]), signedBody, alertAt, errNoSignature, ""},
		"no hexadecimal digits":         {plain, header(sig, strings.Repeat("z", 64)), signedBody, alertAt, errNoSignature, ""},
		"as others write it":            {plain, header(sig, "sha256="+bodySignature), signedBody, alertAt, errNoSignature, ""},
		"with its time":                 {timed, header(sig, stampSignature, ts, "1772359500"), signedBody, alertAt, nil, ""},
		"at the end of its time":        {timed, header(sig, stampSignature, ts, "1772359500"), signedBody, alertAt.Add(5 * time.Minute), nil, ""},
		"too old":                       {timed, header(sig, stampSignature, ts, "1772359500"), signedBody, alertAt.Add(5*time.Minute + time.Second), nil, "within 5m0s of this clock, and is 5m1s off"},
		"from ahead":                    {timed, header(sig, stampSignature, ts, "1772359500"), signedBody, alertAt.Add(-301 * time.Second), nil, "is -5m1s off"},
		"another time":                  {timed, header(sig, stampSignature, ts, "1772359501"), signedBody, alertAt, kind.ErrBadCredential, ""},
		"the same time, otherwise":      {timed, header(sig, stampSignature, ts, "01772359500"), signedBody, alertAt, kind.ErrBadCredential, ""},
		"without its time":              {timed, header(sig, stampSignature), signedBody, alertAt, kind.ErrBadCredential, ""},
		"with two times":                {timed, header(sig, stampSignature, ts, "1772359500", ts, "1772359500"), signedBody, alertAt, kind.ErrBadCredential, ""},
		"signed without the time":       {timed, header(sig, bodySignature, ts, "1772359500"), signedBody, alertAt, kind.ErrBadCredential, ""},
		"signed with a time, not asked": {plain, header(sig, stampSignature, ts, "1772359500"), signedBody, alertAt, kind.ErrBadCredential, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.s.Verify(c.h, []byte(c.body), c.at)
			switch {
			case c.says != "":
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("got %v, want %q", err, c.says)
				}
			case !errors.Is(err, c.want):
				t.Errorf("got %v, want %v", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), hmacSecret) {
				t.Error("the error holds the secret")
			}
		})
	}
}

// A secret that can't be read is our fault; a new one counts at once.
func TestAlertsSecretIsReadAtEachUse(t *testing.T) {
	now, err := hmacSecret, error(nil)
	s := alertSource(t, "http://127.0.0.1:1", signedBy(""))
	s.signed.secret = func() (string, error) { return now, err }
	verify := func() error {
		return s.Verify(http.Header{"X-Grafana-Alerting-Signature": {bodySignature}}, []byte(signedBody), alertAt)
	}
	if got := verify(); got != nil {
		t.Error(got)
	}
	now = "rotated"
	if got := verify(); !errors.Is(got, kind.ErrBadCredential) {
		t.Errorf("another secret: got %v", got)
	}
	for _, now = range []string{"", hmacSecret} {
		if err = os.ErrNotExist; now == "" {
			err = nil
		}
		if got := verify(); !errors.Is(got, kind.ErrNoSecret) {
			t.Errorf("no secret: got %v", got)
		}
	}
	if door := s.Receiving().Door; door.Open() || door.Check(&http.Request{}) != nil {
		t.Error("a door whose messages are signed turns the unsigned away, by Verify")
	}
	if door := alertSource(t, "http://127.0.0.1:1", nil).Receiving().Door; !door.Open() {
		t.Error("without any credential the door is open")
	}
}

// recordedAlert is the message that a Grafana 12.4.2 sent.
func recordedAlert(t testing.TB) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(contracts(t), "recorded", "grafana", "webhook_v12.4.2_test_alert.json"))
	if err != nil {
		t.Skipf("NOT CHECKED: %v", err)
	}
	return body
}

func TestAlertsDecodeRecorded(t *testing.T) {
	b, err := alertSource(t, "http://127.0.0.1:1", nil).Decode(nil, recordedAlert(t), time.Date(2026, 5, 5, 13, 5, 0, 0, time.UTC))
	if err != nil || len(b.Readings) != 1 || b.Incomplete != "" || b.Synced || b.Source != "boards" {
		t.Fatalf("got %+v and %v", b, err)
	}
	r := b.Readings[0]
	onset := time.Date(2026, 5, 5, 13, 4, 57, 622e6, time.UTC)
	if r.Condition != signalbox.Breached || r.Series != "c4edaaf9f9f839b0" || r.Episode != "2026-05-05T13:04:57.622Z" || !r.OnsetAt.Equal(onset) || r.Confirmed {
		t.Errorf("got %+v", r)
	}
	if r.Summary != "TEST" || r.Origin != "grafana/boards" || len(r.Links) != 2 || r.Links[1].Text != "panel" {
		t.Errorf("got %+v", r)
	}
	if own, ok := alerts.Fallback("boards").Select(r); !ok || own.Subject != "TestAlert" {
		t.Errorf("got %+v", own)
	}
}

// wireAlert is an alert that fires, and wireMessage what is posted of some.
func wireAlert(name string, change func(*standin.Alert)) *standin.Alert {
	a := &standin.Alert{
		Rule: "rule-" + name, Labels: map[string]string{"alertname": name, "grafana_folder": "DB", "instance": "db-1"},
		Annotations: map[string]string{"summary": name + " of db-1"}, StartsAt: alertAt.Add(-time.Minute), UpdatedAt: alertAt.Add(-10 * time.Second),
	}
	if change != nil {
		change(a)
	}
	return a
}

func wireMessage(t testing.TB, list ...*standin.Alert) []byte {
	t.Helper()
	a, err := standin.NewAlerting(standin.AlertingOptions{Receiver: "signalbox"})
	if err != nil {
		t.Fatal(err)
	}
	return a.Message(list...)
}

func TestAlertsDecodeRefuses(t *testing.T) {
	good := string(wireMessage(t, wireAlert("Lag", nil), wireAlert("Over", func(a *standin.Alert) { a.EndsAt = alertAt })))
	edit := func(pairs ...string) string {
		out := strings.NewReplacer(pairs...).Replace(good)
		if out == good {
			t.Fatalf("nothing was changed by %q", pairs)
		}
		return out
	}
	print := wireAlert("Lag", nil).Fingerprint()
	for name, c := range map[string]struct{ body, want string }{
		"a text":                {"Lag is firing", "not one JSON value"},
		"cut off":               {good[:len(good)/2], "not one JSON value"},
		"Alertmanager's":        {edit(`"version":"1"`, `"version":"4"`), `version: must be "1", got "4"`},
		"a template of its own": {`{"title":"[FIRING:1] Lag","message":"**Firing**"}`, `version: must be "1", and is missing`},
		"another contact point": {edit(`"receiver":"signalbox"`, `"receiver":"chat"`), `receiver: must be "signalbox", as configured, got "chat"`},
		"another organization":  {strings.ReplaceAll(good, `"orgId":1`, `"orgId":2`), "orgId: must be 1, as configured, got 2"},
		"organization twice":    {edit(`"version":"1"`, `"version":"1","orgId":1`), `key "orgId" occurs twice`},
		"no organization":       {strings.ReplaceAll(good, `"orgId":1`, `"org":1`), "orgId: must be 1, as configured, got 0"},
		"no fingerprint":        {edit(`"fingerprint":"`+print+`"`, `"x":1`), `fingerprint: must be 16 hexadecimal digits`},
		"an odd fingerprint":    {edit(print, "../../etc/passwd"), `fingerprint: must be 16 hexadecimal digits in lower case, got "../../etc/passwd"`},
		"no labels":             {edit(`"labels":{"alertname":"Lag","grafana_folder":"DB","instance":"db-1"}`, `"labels":{}`), "alerts[0]: labels: must not be empty"},
		"a label twice":         {edit(`"instance":"db-1"`, `"instance":"db-1","instance":"db-2"`), `key "instance" occurs twice`},
		"a status of its own":   {edit(`"status":"resolved"`, `"status":"ok"`), `alerts[1]: status: must be firing or resolved, got "ok"`},
		"from ahead":            {edit("2026-03-01T10:04:00Z", "2026-03-02T10:05:01Z"), "startsAt: must not be more than 24h0m0s ahead"},
		"no alerts":             {edit(`"alerts":[`, `"alarms":[`), "alerts: must be given"},
		"too long":              {strings.Repeat(" ", 10<<20+1), "the body must have at most 10485760 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			s := alertSource(t, "http://127.0.0.1:1", func(set *Settings) { set.Receiver, set.OrgID = "signalbox", 1 })
			if _, err := s.Decode(nil, []byte(good), alertAt); err != nil {
				t.Fatal(err)
			}
			b, err := s.Decode(nil, []byte(c.body), alertAt)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(b.Readings) != 0 || !strings.HasPrefix(err.Error(), `source "boards": `) {
				t.Errorf("got %d readings and %v, want %q", len(b.Readings), err, c.want)
			}
		})
	}
}

func TestAlertsDecodeTruncated(t *testing.T) {
	a, err := standin.NewAlerting(standin.AlertingOptions{Receiver: "signalbox", MaxAlerts: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, err := alertSource(t, "http://127.0.0.1:1", nil).Decode(nil, a.Message(wireAlert("A", nil), wireAlert("B", nil), wireAlert("C", nil)), alertAt)
	if err != nil || len(b.Readings) != 1 || !strings.Contains(b.Incomplete, "left 2 alerts") {
		t.Errorf("got %d readings, %q and %v", len(b.Readings), b.Incomplete, err)
	}
}

// What Grafana tells of rules that it could not judge is Unknown.
func TestAlertsWithoutJudgement(t *testing.T) {
	reason := func(text string, ended bool) func(*standin.Alert) {
		return func(a *standin.Alert) {
			a.Annotations["grafana_state_reason"] = text
			if ended {
				a.EndsAt = alertAt
			}
		}
	}
	standIn := func(name string, ended bool) func(*standin.Alert) {
		return func(a *standin.Alert) {
			a.Labels = map[string]string{"alertname": name, "rulename": "Lag", "datasource_uid": "prom", "ref_id": "A"}
			if ended {
				a.EndsAt = alertAt
			}
		}
	}
	for name, c := range map[string]struct {
		change func(*standin.Alert)
		want   signalbox.Condition
		says   string
	}{
		"fires":                       {nil, signalbox.Breached, ""},
		"ended":                       {func(a *standin.Alert) { a.EndsAt = alertAt }, signalbox.Clear, ""},
		"fires without data":          {reason("NoData", false), signalbox.Unknown, "fire for the reason NoData"},
		"fires after an error":        {reason("Error, KeepLast", false), signalbox.Unknown, "fire for the reason Error, KeepLast"},
		"fires under a changed rule":  {reason("Updated", false), signalbox.Breached, ""},
		"ended, its series is gone":   {reason("MissingSeries", true), signalbox.Unknown, "ended it for the reason MissingSeries"},
		"ended, its rule was changed": {reason("Updated", true), signalbox.Unknown, "ended it for the reason Updated"},
		"ended, its rule was paused":  {reason("Paused", true), signalbox.Unknown, "ended it for the reason Paused"},
		"ended for what comes later":  {reason("Whatever", true), signalbox.Unknown, "ended it for the reason Whatever"},
		"no data":                     {standIn("DatasourceNoData", false), signalbox.Unknown, "Grafana's rule Lag has no data"},
		"an error":                    {standIn("DatasourceError", false), signalbox.Unknown, "Grafana's rule Lag can't be evaluated"},
		"data again":                  {standIn("DatasourceNoData", true), signalbox.Unknown, "Grafana's rule Lag can be judged again"},
		"a rule of that name":         {func(a *standin.Alert) { a.Labels["alertname"] = "DatasourceNoData" }, signalbox.Breached, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := wireAlert("Lag", c.change)
			b, err := alertSource(t, "http://127.0.0.1:1", nil).Decode(nil, wireMessage(t, a), alertAt)
			if err != nil {
				t.Fatal(err)
			}
			r := b.Readings[0]
			if r.Condition != c.want || !strings.Contains(r.Reason, c.says) || r.EndedAt.IsZero() != (c.want != signalbox.Clear) {
				t.Errorf("got %v: %q, ended at %s", r.Condition, r.Reason, r.EndedAt)
			}
			told := c.want == signalbox.Unknown && a.EndsAt.IsZero()
			if r.Since.IsZero() == told {
				t.Errorf("unknown since %s", r.Since)
			}
			if strings.HasPrefix(r.Reason, "Grafana's rule") && (r.Labels["alertname"] != "Lag" || a.EndsAt.IsZero() && !r.Since.Equal(r.OnsetAt)) {
				t.Errorf("a stand-in is its rule's, since it began: got %+v", r)
			}
		})
	}
}

// The same message, sent again, says the same: a replay within the signature's
// time changes nothing.
func TestAlertsReplayIsHarmless(t *testing.T) {
	s := alertSource(t, "http://127.0.0.1:1", nil)
	body := wireMessage(t, wireAlert("Lag", nil), wireAlert("Over", func(a *standin.Alert) { a.EndsAt = alertAt }))
	first, err := s.Decode(nil, body, alertAt)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := s.Decode(nil, body, alertAt)
		if err != nil || !reflect.DeepEqual(first, again) {
			t.Fatalf("got %+v and %v, first %+v", again, err, first)
		}
	}
	if len(s.ledger.known) != 1 {
		t.Errorf("the ledger knows %d alerts, want 1", len(s.ledger.known))
	}
}

func FuzzAlertsDecode(f *testing.F) {
	f.Add(wireMessage(f, wireAlert("Lag", nil), wireAlert("Over", func(a *standin.Alert) { a.EndsAt = alertAt })))
	f.Add(wireMessage(f, wireAlert("Lag", func(a *standin.Alert) {
		a.Labels = map[string]string{"alertname": "DatasourceError", "rulename": "\u202e\x00", "datasource_uid": "x"}
	})))
	f.Add([]byte(`{"version":"1","receiver":"r","status":"firing","alerts":[],"truncatedAlerts":3}`))
	f.Add([]byte(`{"version":"1","receiver":"r","status":"firing","alerts":[{"status":"resolved","labels":{"a":"b"},"annotations":{"grafana_state_reason":",,"},"fingerprint":"0123456789abcdef","startsAt":"2026-03-01T10:00:00Z","endsAt":"2026-03-01T10:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s := alertSource(t, "http://127.0.0.1:1", nil)
		b, err := s.Decode(nil, body, alertAt)
		if err != nil {
			if len(b.Readings) != 0 || len(s.ledger.known) != 0 {
				t.Fatal("a refused message has an effect")
			}
			return
		}
		for _, r := range b.Readings {
			if len(r.Series) != 16 || r.Episode == "" || len(r.Labels) == 0 && r.Condition != signalbox.Clear && r.Labels == nil || r.Confirmed || r.OnsetAt.IsZero() {
				t.Fatalf("identity: %+v", r)
			}
			if (r.Condition == signalbox.Unknown) != (r.Reason != "") || (r.Condition == signalbox.Clear) == r.EndedAt.IsZero() {
				t.Fatalf("condition: %+v", r)
			}
			if _, err := json.Marshal(r); err != nil {
				t.Fatal(err)
			}
		}
		again, err := s.Decode(nil, body, alertAt)
		x, _ := json.Marshal(b)
		y, _ := json.Marshal(again)
		if err != nil || !bytes.Equal(x, y) {
			t.Fatalf("the same message is read in two ways: %v\n%s\n%s", err, x, y)
		}
	})
}

// Nothing but the right signature of exactly this body is let in.
func FuzzAlertsVerify(f *testing.F) {
	f.Add([]byte(signedBody), stampSignature, "1772359500")
	f.Add([]byte(signedBody), bodySignature, "")
	f.Add([]byte("1772359500:"+signedBody), stampSignature, "")
	f.Add([]byte(""), "", "-9223372036854775808")
	s := alertSource(f, "http://127.0.0.1:1", signedBy("X-Signed-At"))
	f.Fuzz(func(t *testing.T, body []byte, signature, stamp string) {
		h := http.Header{"X-Grafana-Alerting-Signature": {signature}, "X-Signed-At": {stamp}}
		err := s.Verify(h, body, alertAt)
		right := string(body) == signedBody && strings.EqualFold(signature, stampSignature) && stamp == "1772359500"
		if (err == nil) != right {
			t.Fatalf("body %q, signature %q, time %q: got %v", body, signature, stamp, err)
		}
	})
}
