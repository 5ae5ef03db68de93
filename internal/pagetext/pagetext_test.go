package pagetext

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	signalbox "github.com/signalbox/signalbox"
	"pgregory.net/rapid"
)

func body() signalbox.PageBody {
	return signalbox.PageBody{
		Summary: "lag", Severity: "critical", Source: "db/eu", At: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC),
		Plan: []string{"flip read-endpoint to b"}, Done: []string{"first", "second"}, Evidence: []string{"value\n1.2s"},
		Thrown: []signalbox.Thrown{{What: "endpoint is at b", ByHand: "kubectl patch"}},
		Links:  []signalbox.Link{{Text: "dashboard", Href: "https://x.example/d"}, {Href: "javascript:alert(1)"}, {Href: "https://u:p@x.example"}},
		Labels: map[string]string{"b": "2", "a": "1"},
	}
}

func TestText(t *testing.T) {
	want := `critical on db/eu, at 2026-03-01T10:00:00Z

Plan:
- flip read-endpoint to b

Thrown now:
- endpoint is at b; by hand: kubectl patch

Done, newest first:
- second
- first

Evidence:
- value 1.2s

Links:
- dashboard https://x.example/d

Labels:
- a=1
- b=2`
	if got := Text(body(), 1000); got != want {
		t.Errorf("got %s", got)
	}
	if got := Text(signalbox.PageBody{Source: "db"}, 100); got != "on db" {
		t.Errorf("got %q", got)
	}
	short := Text(body(), 120)
	if !strings.HasSuffix(short, "… 15 more lines") || !strings.Contains(short, "flip read-endpoint") || utf8.RuneCountInString(short) > 120 {
		t.Errorf("got %q", short)
	}
}

// Whatever the body, its text keeps its bound, and no field begins a line of
// its own.
func TestTextHoldsItsBound(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.Map(rapid.IntRange(0, 3000), func(n int) string { return strings.Repeat("\n<é", n) }))
	list := rapid.SliceOfN(text, 0, 10)
	rapid.Check(t, func(t *rapid.T) {
		b := signalbox.PageBody{
			Severity: text.Draw(t, "severity"), Source: text.Draw(t, "source"), Plan: list.Draw(t, "plan"), Done: list.Draw(t, "done"),
			Evidence: list.Draw(t, "evidence"), Labels: rapid.MapOfN(text, text, 0, 5).Draw(t, "labels"),
		}
		most := rapid.IntRange(100, 5000).Draw(t, "most")
		got := Text(b, most)
		if utf8.RuneCountInString(got) > most || strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }) {
			t.Fatalf("%d characters of %d: %q", utf8.RuneCountInString(got), most, got)
		}
		for i, l := range strings.Split(got, "\n") {
			if i > 0 && l != "" && !strings.HasPrefix(l, "- ") && !strings.HasPrefix(l, "… ") && !strings.HasSuffix(l, ":") {
				t.Fatalf("line %q", l)
			}
		}
	})
}
