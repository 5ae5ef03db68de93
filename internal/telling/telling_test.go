package telling

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

func about() *signalbox.About {
	return &signalbox.About{
		Incident: "i-1", Subject: "db/eu", Detector: "lag", Owner: "backend", Policy: "failover",
		OpenedAt: time.Date(2026, 3, 1, 10, 0, 0, 0, time.FixedZone("", 3600)),
		Labels:   map[string]string{"cluster": "eu", "secret": "s3cret", "evil": "{{labels.secret}} <!channel> & \x00\r\nx", "blank": " "},
	}
}

func TestTemplate(t *testing.T) {
	labels := []string{"cluster", "evil", "blank", "gone"}
	for text, want := range map[string]string{
		"": "", "plain <!here>": "plain <!here>",
		"{{subject}} ({{ detector }}) of {{owner}}: {{policy}}, {{incident}} since {{opened_at}}": "db/eu (lag) of backend: failover, i-1 since 2026-03-01T09:00:00Z",
		"in {{labels.cluster}}": "in eu",
		"{{labels.evil}}":       "{{labels.secret}} &lt;!channel&gt; &amp; x", // once, on one line
		"{{labels.blank}}":      "error: the incident has no label blank",
		"{{labels.gone}}":       "error: the incident has no label gone",
		"{{labels.secret}}":     "refused: names the label \"secret\", which `labels` does not list",
		"{{value}}":             "refused: names \"value\"",
		"{{subject":             "refused: has {{ without }}",
		"subject}}":             "refused: has }} without {{",
		"{{}}":                  "refused: names \"\"",
		"{{{subject}}}":         "refused: names \"{subject\"",
	} {
		tpl, err := Parse(text, labels)
		got := ""
		if err != nil {
			got = "refused: " + err.Error()
		} else if got, err = tpl.Expand(about(), Slack); err != nil {
			got = "error: " + err.Error()
		}
		if refused := strings.HasPrefix(want, "refused: "); got != want && (!refused || !strings.HasPrefix(got, want)) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got, err := (Template{}).Expand(nil, nil); got != "" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestLabels(t *testing.T) {
	for want, lists := range map[string][][]string{
		"": {nil, {"a", "b_1"}}, "must list names of labels, each once": {{"a", "a"}, {""}, {"a b"}, {"1"}},
	} {
		for _, l := range lists {
			if got := CheckLabels(l); got != want {
				t.Errorf("%q: got %q", l, got)
			}
		}
	}
}

// Whatever a label holds, it is one bounded line without power.
func TestValuesHaveNoPower(t *testing.T) {
	tpl, err := Parse("a {{labels.x}} b", []string{"x"})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		a := about()
		a.Labels["x"] = rapid.OneOf(rapid.String(), rapid.StringMatching(`[<>&{}@!\n\t ]{0,600}`)).Draw(t, "x")
		got, err := tpl.Expand(a, Slack)
		if err != nil {
			return
		}
		if strings.ContainsAny(got, "<>") || strings.ContainsFunc(got, unicode.IsControl) || len([]rune(got)) > len("a  b")+5*MostValue {
			t.Fatalf("got %q", got)
		}
	})
}

func TestCut(t *testing.T) {
	if got := Cut("äöü\nx", 4); got != "äöü…" {
		t.Errorf("got %q", got)
	}
	if got := Cut("äöü\n", 4); got != "äöü\n" {
		t.Errorf("got %q", got)
	}
}
