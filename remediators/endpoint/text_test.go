package endpoint

import (
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestShown(t *testing.T) {
	for in, want := range map[string]string{
		"pg-a:5432":               "pg-a:5432",
		"postgres://u@x/db":       "postgres://u@x/db",
		"postgres://u:p@x/db":     "postgres://u:xxxxx@x/db",
		"redis://:p%zz@x":         "redis://…",
		"a\x1b[31mred\nline":      "a?[31mred?line",
		strings.Repeat("é", 150):  strings.Repeat("é", 100) + "…",
		"not\xffutf8 \u202e bidi": "not\ufffdutf8 ? bidi",
	} {
		if got := shown(in); got != want || !utf8.ValidString(got) {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// FuzzQuote lets a real shell read the word back.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "core", "-n", "it's", `{"data":{"K":"$(rm -rf /)"}}`, "a\nb", "`x`", `\`, "é"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\x00") {
			t.Skip("no argument holds NUL")
		}
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(s)).Output()
		if err != nil || string(out) != s && !strings.HasPrefix(s, "-") {
			t.Fatalf("%q as %s: got %q, %v", s, quote(s), out, err)
		}
	})
}

// TestByHandOfHTTP: the commands that a page tells
// quote what the configuration gave.
func TestByHandOfHTTP(t *testing.T) {
	h := &httpSetting{spec: httpSpec{URL: "https://settings.example/it's", Field: "value"}}
	want := `curl -fsS 'https://settings.example/it'\''s' | jq --arg f value --arg v 'a b' '.[$f] = $v' | ` +
		`curl -fsS -X PUT -H 'Content-Type: application/json' -H 'If-Match: *' --data-binary @- 'https://settings.example/it'\''s'`
	if got := h.byHand("a b"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := h.handBack(); !strings.Contains(got, "jq --arg f signalbox '.[$f] = null'") {
		t.Errorf("got %s", got)
	}
}

func TestByHandOfConfigMap(t *testing.T) {
	c := &configMap{spec: configMapSpec{Namespace: "core", Name: "core-env", Key: "DB_READONLY_ENDPOINT"}}
	want := `kubectl -n core patch configmap core-env --type merge -p '{"data":{"DB_READONLY_ENDPOINT":"pg-a:5432"}}'`
	if got := c.byHand("pg-a:5432"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	want = `kubectl -n core annotate configmap core-env signalbox.io/fence.DB_READONLY_ENDPOINT-`
	if got := c.handBack(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
