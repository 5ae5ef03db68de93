package reach

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
		if got := Shown(in); got != want || !utf8.ValidString(got) {
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
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+Quote(s)).Output()
		if err != nil || string(out) != s && !strings.HasPrefix(s, "-") {
			t.Fatalf("%q as %s: got %q, %v", s, Quote(s), out, err)
		}
	})
}
