package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNarratorTellsPlainLines(t *testing.T) {
	var out strings.Builder
	n := &narrator{out: &out, now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 10, 0, time.Local) }}
	n.tell(whoPager, "PAGE for devops: \x1b[2Jlag\nof\u202e 3s "+strings.Repeat("é", 300))
	n.tell(whoCompany, "ok")
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 || lines[1] != "12:00:10  company   ok" {
		t.Fatalf("told %q", lines)
	}
	if !strings.HasPrefix(lines[0], "12:00:10  pager     PAGE for devops: ?[2Jlag?of? 3s éé") || len([]rune(lines[0])) != 20+maxLine {
		t.Errorf("told %q", lines[0])
	}
}

func TestNarratorColours(t *testing.T) {
	var out strings.Builder
	n := &narrator{out: &out, colour: true, now: time.Now}
	n.tell(whoSwitch, "x")
	if !strings.Contains(out.String(), "\x1b[36mx\x1b[0m\n") {
		t.Errorf("told %q", out.String())
	}
	environment := func(pairs ...string) func(string) string {
		return func(name string) string {
			if i := slices.Index(pairs, name); i >= 0 {
				return pairs[i+1]
			}
			return ""
		}
	}
	if !wantsColour(environment("TERM", "xterm", "NO_COLOR", "")) || wantsColour(environment("NO_COLOR", "1")) || wantsColour(environment("TERM", "dumb")) {
		t.Error("NO_COLOR or TERM=dumb is not respected, or colours are never wanted")
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if colourful(file, environment()) || colourful(&out, environment()) {
		t.Error("something that is no terminal gets colours")
	}
}

func TestWhoWrote(t *testing.T) {
	fence := func(token int, action, sealed string) json.RawMessage {
		b, err := json.Marshal(map[string]any{"token": token, "action": action, "value": endpointB, "sealed": sealed})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	null := json.RawMessage("null")
	for _, c := range []struct {
		what    string
		was, is setting
		want    string
	}{
		{"first", setting{endpointA, null}, setting{endpointB, fence(7, "a1", "")}, "sw: pg-a.data-plane:5432 -> pg-b.data-plane:5432, written by signalbox, action a1 (token 7)"},
		{"undo", setting{endpointB, fence(7, "a1", "")}, setting{endpointA, fence(9, "a2", "")}, "sw: pg-b.data-plane:5432 -> pg-a.data-plane:5432, written by signalbox, action a2 (token 9)"},
		{"seal", setting{endpointB, fence(7, "a1", "")}, setting{endpointB, fence(9, "a1", "a2")}, "sw stays at pg-b.data-plane:5432, written by signalbox to seal action a2 (token 9)"},
		{"by hand", setting{endpointB, fence(7, "a1", "")}, setting{endpointA, fence(7, "a1", "")}, "sw: pg-b.data-plane:5432 -> pg-a.data-plane:5432, written by hand"},
		{"handed back", setting{endpointB, fence(7, "a1", "")}, setting{endpointB, null}, "sw stays at pg-b.data-plane:5432, written by hand"},
		{"no fence of ours", setting{endpointA, null}, setting{endpointB, json.RawMessage(`{"token":"x"}`)}, "sw: pg-a.data-plane:5432 -> pg-b.data-plane:5432, written by hand"},
	} {
		if got := wrote("sw", c.was, c.is); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestAHeartbeatThatStopsIsNoticedOnce(t *testing.T) {
	now, told := noon, []string(nil)
	p := &pulse{now: func() time.Time { return now }, tell: func(text string) { told = append(told, text) }}
	later := func(d time.Duration) {
		now = now.Add(d)
		p.check()
	}
	later(time.Hour) // none came yet: none is expected
	p.beat(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/heartbeat", nil))
	later(silence)
	if len(told) > 0 {
		t.Fatalf("told %q", told)
	}
	later(time.Second)
	later(time.Minute)
	p.beat(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/heartbeat", nil))
	if want := []string{"no heartbeat of the daemon for 15s: is it running?", "the daemon's heartbeat is back"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
