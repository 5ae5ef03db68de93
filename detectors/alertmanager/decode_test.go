package alertmanager

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

var at = time.Date(2026, 3, 1, 10, 5, 0, 0, time.UTC)

func opened(t testing.TB, change func(*Settings)) *Source {
	t.Helper()
	set := defaults()
	set.Receive, set.Reconcile = "/webhooks/am", 0
	if change != nil {
		change(set)
	}
	src, err := open("alerts", set, kind.Env{Agent: "signalbox/test", ConfigDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return src.(*Source)
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestDecodeTakesEachAlertByItself(t *testing.T) {
	b, err := opened(t, nil).Decode(nil, []byte(fixture(t, "two_alerts.json")), at)
	if err != nil {
		t.Fatal(err)
	}
	if b.Source != "alerts" || !b.At.Equal(at) || b.Synced || b.Incomplete != "" || len(b.Readings) != 2 {
		t.Fatalf("got %+v", b)
	}
	fires, ended := b.Readings[0], b.Readings[1]
	onset := time.Date(2026, 3, 1, 10, 0, 0, 5e8, time.UTC)
	if fires.Condition != signalbox.Breached || fires.Series != "9556f853bb27ef8b" || fires.Episode != "2026-03-01T10:00:00.5Z" {
		t.Errorf("firing: got %+v", fires)
	}
	if !fires.OnsetAt.Equal(onset) || !fires.WellAt.Equal(onset) || !fires.SampleAt.Equal(at) || !fires.EndedAt.IsZero() || fires.Confirmed {
		t.Errorf("firing: got %+v", fires)
	}
	if fires.Summary != "db-1 has 2% left" || len(fires.Links) != 2 || fires.Links[0].Href != "https://runbooks.example/disk" || fires.Detector != "" {
		t.Errorf("firing: got %+v", fires)
	}
	end := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	if ended.Condition != signalbox.Clear || !ended.EndedAt.Equal(end) || !ended.SampleAt.Equal(end) || ended.Summary != "DiskFull" {
		t.Errorf("resolved: got %+v", ended)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := fixture(t, "two_alerts.json")
	edit := func(pairs ...string) string {
		out := strings.NewReplacer(pairs...).Replace(good)
		if out == good {
			t.Fatalf("nothing was changed by %q", pairs)
		}
		return out
	}
	many := `"labels": {`
	for i := range 128 {
		many += fmt.Sprintf(`"l%d": "x", `, i)
	}
	for name, c := range map[string]struct{ body, want string }{
		"empty":                 {"", "not one JSON value"},
		"a text":                {"alert: DiskFull is firing", "not one JSON value"},
		"cut off":               {good[:len(good)/2], "not one JSON value"},
		"trailing data":         {good + "{}", "not one JSON value"},
		"not UTF-8":             {edit("2% left", "\xff"), "not one JSON value"},
		"an array":              {"[]", "must be an object, got an array"},
		"chat message":          {`{"text": "DiskFull is firing", "channel": "#ops"}`, "version: must be \"4\", and is missing"},
		"Grafana":               {edit(`"version": "4"`, `"version": "1", "orgId": 1`), `version: must be "4", got "1"`},
		"version as number":     {edit(`"version": "4"`, `"version": 4`), "version: must be a string, got a number"},
		"other case":            {edit(`"version"`, `"Version"`), "version: must be \"4\", and is missing"},
		"no receiver":           {edit(`"receiver"`, `"x"`), "receiver: must be given"},
		"no group status":       {edit("\"status\": \"firing\",\n  \"alerts\"", `"alerts"`), "status: must be firing or resolved"},
		"no alerts":             {edit(`"alerts"`, `"alarms"`), "alerts: must be given"},
		"alerts null":           {`{"alerts": null}`, "alerts: must be an array, got null"},
		"alerts object":         {`{"alerts": {}}`, "alerts: must be an array, got an object"},
		"alert null":            {`{"alerts": [null]}`, "alerts: [0]: must be an object, got null"},
		"duplicate key":         {edit(`"receiver"`, `"version": "4", "receiver"`), `key "version" occurs twice`},
		"duplicate label":       {edit(`"instance": "db-1"`, `"instance": "db-1", "instance": "db-2"`), `key "instance" occurs twice`},
		"duplicate by escape":   {edit(`"instance": "db-1"`, `"instance": "db-1", "inst\u0061nce": "db-2"`), `key "instance" occurs twice`},
		"duplicate, unread":     {edit(`"groupLabels": {`, `"groupLabels": {"alertname": "a", `), `key "alertname" occurs twice`},
		"depth bomb":            {`{"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}", "nested deeper than 32"},
		"deeper bomb":           {`{"x":` + strings.Repeat("[", 90000) + strings.Repeat("]", 90000) + "}", "not one JSON value"},
		"no labels":             {edit(`{"alertname": "DiskFull", "instance": "db-1", "severity": "critical"}`, "{}"), "alerts[0]: labels: must not be empty"},
		"labels null":           {edit(`{"alertname": "DiskFull", "instance": "db-1", "severity": "critical"}`, "null"), "labels: must not be empty"},
		"label a number":        {edit(`"instance": "db-1"`, `"instance": 1`), "alerts: [0]: labels: instance: must be a string, got a number"},
		"too many labels":       {edit(`"labels": {`, many), "labels: must be at most 128, got 131"},
		"nameless label":        {edit(`"instance": "db-1"`, `"": "db-1"`), "a name must have 1 to 512 bytes, got 0"},
		"long label":            {edit(`db-1", "sev`, strings.Repeat("x", 8193)+`", "sev`), "labels.instance: must have at most 8192 bytes, got 8193"},
		"forged fingerprint":    {edit("9556f853bb27ef8b", "c5bfa6e8c6ace5cc"), `fingerprint: must be 9556f853bb27ef8b, which its labels have, got "c5bfa6e8c6ace5cc"`},
		"forged labels":         {edit(`"instance": "db-1"`, `"instance": "db-9"`), "which its labels have"},
		"no status":             {edit(`"status": "resolved",`, ""), "alerts[1]: status: must be firing or resolved, got \"\""},
		"a made-up status":      {edit(`"resolved"`, `"RESOLVED"`), "alerts[1]: status: must be firing or resolved"},
		"no startsAt":           {edit(`"startsAt": "2026-03-01T09:00:00Z",`, ""), "alerts[1]: startsAt: must be a time after 1970"},
		"startsAt zero":         {edit("2026-03-01T09:00:00Z", "0001-01-01T00:00:00Z"), "alerts[1]: startsAt: must be a time after 1970"},
		"startsAt tomorrow":     {edit("2026-03-01T10:00:00.500123456Z", "2026-03-02T10:05:01Z"), "alerts[0]: startsAt: must not be more than 24h0m0s ahead"},
		"startsAt a number":     {edit(`"2026-03-01T09:00:00Z"`, "1772355600"), "startsAt: must be a string, got a number"},
		"startsAt words":        {edit("2026-03-01T09:00:00Z", "today"), `startsAt: must be a time as RFC 3339 has it, got "today"`},
		"resolved without end":  {edit("2026-03-01T09:30:00Z", "0001-01-01T00:00:00Z"), "alerts[1]: endsAt: must lie between"},
		"ended before it began": {edit("2026-03-01T09:30:00Z", "2026-03-01T08:59:59Z"), "alerts[1]: endsAt: must lie between"},
		"ends in days":          {edit("2026-03-01T09:30:00Z", "2026-03-03T09:30:00Z"), "alerts[1]: endsAt: must lie between"},
		"negative truncation":   {edit(`"truncatedAlerts": 0`, `"truncatedAlerts": -1`), "truncatedAlerts: must be a whole number of 0 or more"},
		"too long":              {strings.Repeat(" ", 11<<20), "the body must have at most 10485760 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := opened(t, nil).Decode(nil, []byte(c.body), at)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(b.Readings) != 0 {
				t.Errorf("got %d readings and %v, want %q", len(b.Readings), err, c.want)
			}
			if err != nil && !strings.HasPrefix(err.Error(), `source "alerts": `) {
				t.Errorf("the error does not name the source: %v", err)
			}
		})
	}
}

func TestDecodeTruncated(t *testing.T) {
	body := strings.Replace(fixture(t, "two_alerts.json"), `"truncatedAlerts": 0`, `"truncatedAlerts": 7`, 1)
	b, err := opened(t, nil).Decode(nil, []byte(body), at)
	if err != nil || !strings.Contains(b.Incomplete, "left 7 alerts") {
		t.Errorf("got %q and %v", b.Incomplete, err)
	}
}

func TestDecodeComputesTheFingerprintThatOldVersionsLeaveOut(t *testing.T) {
	body := strings.Replace(fixture(t, "two_alerts.json"), `,
      "fingerprint": "9556f853bb27ef8b"`, "", 1)
	b, err := opened(t, nil).Decode(nil, []byte(body), at)
	if err != nil || b.Readings[0].Series != "9556f853bb27ef8b" || strings.Count(body, "fingerprint") != 1 {
		t.Errorf("got %+v and %v", b.Readings, err)
	}
}

func TestDecodeReceiver(t *testing.T) {
	for _, c := range []struct {
		configured, sent string
		ok               bool
	}{
		{"", "anything", true},
		{"web.hook", `web\\.hook`, true}, // as Alertmanager escapes it
		{"web.hook", "web.hook", true},
		{"web.hook", "webhook", false},
		{"web.hook", "other", false},
	} {
		src := opened(t, func(s *Settings) { s.Receiver = c.configured })
		body := strings.Replace(fixture(t, "two_alerts.json"), `"signalbox"`, `"`+c.sent+`"`, 1)
		if _, err := src.Decode(nil, []byte(body), at); (err == nil) != c.ok {
			t.Errorf("configured %q, sent %q: got %v", c.configured, c.sent, err)
		}
	}
}

func TestDecodeKeepsOddLabelsAndCleansWhatPeopleRead(t *testing.T) {
	body := `{"version":"4","receiver":"r","status":"firing","alerts":[{"status":"firing","startsAt":"2026-03-01T10:00:00+02:00",
	  "labels":{"alertname":"A\u0000\u001b[31m{{x}}","ns":"../../etc\r\nX: y"},
	  "annotations":{"summary":"\u001b[31mred\r\nforged: line \u202eevil\u0000"},"generatorURL":"javascript:alert(1)"}]}`
	b, err := opened(t, nil).Decode(nil, []byte(body), at)
	if err != nil {
		t.Fatal(err)
	}
	r := b.Readings[0]
	if r.Labels["alertname"] != "A\x00\x1b[31m{{x}}" || r.Labels["ns"] != "../../etc\r\nX: y" {
		t.Errorf("labels were changed: %q", r.Labels)
	}
	if r.Summary != "[31mred forged: line evil" || len(r.Links) != 0 || r.Episode != "2026-03-01T08:00:00Z" {
		t.Errorf("got %q, %v, %q", r.Summary, r.Links, r.Episode)
	}
}

func TestDecodeRecordedMessages(t *testing.T) {
	dir := contracts(t)
	for name, want := range map[string][]string{
		"captured_am0.21.0_issue2447.json":              {"breached 8a07086b74f3ba78 2021-01-07T08:38:00.032Z"},
		"captured_mixed_firing_resolved_issue1051.json": {"breached", "clear"},
		"openshift-autoheal.node-down-alert.json":       {"breached"},
		"openshift-autoheal.new-friend-alert.json":      {"breached"},
	} {
		body, err := os.ReadFile(filepath.Join(dir, "recorded", "alertmanager", name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := opened(t, nil).Decode(nil, body, at)
		if err != nil || len(b.Readings) != len(want) {
			t.Errorf("%s: got %d readings and %v", name, len(b.Readings), err)
			continue
		}
		for i, r := range b.Readings {
			if got := fmt.Sprint(r.Condition, " ", r.Series, " ", r.Episode); !strings.HasPrefix(got, want[i]) {
				t.Errorf("%s: alert %d: got %q, want %q", name, i, got, want[i])
			}
		}
	}
}

// contracts finds the vendors' recorded messages and specifications.
func contracts(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("SIGNALBOX_CONTRACTS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "contracts")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("SKIPPED: the vendors' contracts are not there; say where in SIGNALBOX_CONTRACTS: %v", err)
	}
	return dir
}
