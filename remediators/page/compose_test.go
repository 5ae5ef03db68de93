package page

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	signalbox "github.com/signalbox/signalbox"
	"pgregory.net/rapid"
)

func TestComposeCutsTheSummary(t *testing.T) {
	for _, c := range []struct {
		in, want string
	}{
		{strings.Repeat("é", 1024), strings.Repeat("é", 1024)},
		{strings.Repeat("é", 1025), strings.Repeat("é", 1023) + "…"},
		{"a\r\nb\x1b[0m\u202e\x00", "a  b [0m"},
		{"\xff", "\uFFFD"},
		{"", "signalbox pages without a summary"},
	} {
		e, err := compose(routing, "k", signalbox.PageTrigger, signalbox.PageBody{Summary: c.in, Severity: "loud"})
		if err != nil || e.Payload.Summary != c.want || e.Payload.Source != "signalbox" || e.Payload.Severity != "critical" || e.Payload.Timestamp != "" {
			t.Errorf("got %+v and %v, want %q", e.Payload, err, c.want)
		}
	}
}

func TestComposeRefuses(t *testing.T) {
	for _, c := range []struct {
		key   string
		event signalbox.PageEvent
	}{{"", "trigger"}, {strings.Repeat("k", 256), "trigger"}, {"a\nb", "resolve"}, {"k", "open"}} {
		if _, err := compose(routing, c.key, c.event, signalbox.PageBody{}); err == nil || strings.Contains(err.Error(), routing) {
			t.Errorf("%q %q: got %v", c.key, c.event, err)
		}
	}
}

func TestComposeLeavesOutEvidenceFirst(t *testing.T) {
	b := body()
	for i := range 100_000 {
		b.Evidence = append(b.Evidence, fmt.Sprintf("%d <%s>", i, strings.Repeat("x", 90)))
	}
	e, err := compose(routing, "k", signalbox.PageTrigger, b)
	if err != nil {
		t.Fatal(err)
	}
	d := e.Payload.Details.(map[string]any)
	left, kept := d["left_out"].(map[string]int), len(d["evidence"].([]string))
	if size(e) > mostEvent || size(e) < mostEvent-500 || left["evidence"]+kept != len(b.Evidence) || len(left) != 1 {
		t.Errorf("%d bytes, kept %d, left out %v", size(e), kept, left)
	}
	if d["evidence"].([]string)[0] != b.Evidence[0] || d["labels"] == nil || d["done"] == nil || len(e.Links) != 1 {
		t.Error("the wrong things were left out")
	}
}

func TestComposeKeepsWhatIsThrownLongest(t *testing.T) {
	b := signalbox.PageBody{Summary: "s"}
	long := strings.Repeat("<", mostLine)
	for i := range 200 {
		b.Evidence = append(b.Evidence, long)
		b.Done = append(b.Done, fmt.Sprint(i, long))
		b.Links = append(b.Links, signalbox.Link{Href: "https://x.example/" + long[:1500]})
	}
	b.Thrown = []signalbox.Thrown{{What: "endpoint is at b", ByHand: "set it to a"}}
	e, err := compose(routing, "k", signalbox.PageTrigger, b)
	if err != nil || size(e) > mostEvent {
		t.Fatal(size(e), err)
	}
	d := e.Payload.Details.(map[string]any)
	if d["evidence"] != nil || len(e.Links) != 0 || len(d["thrown_now"].([]thrownNow)) != 1 {
		t.Errorf("got %v", d["left_out"])
	}
	done := d["done"].([]string)
	if len(done) == 0 || !strings.HasPrefix(done[len(done)-1], "199") {
		t.Errorf("the newest of %d must be kept", len(done))
	}
}

// Whatever the body, a trigger is one that PagerDuty takes.
func TestComposeHoldsTheLimits(t *testing.T) {
	text := rapid.OneOf(rapid.String(), rapid.Map(rapid.IntRange(0, 2000), func(n int) string { return strings.Repeat("\u0001<é", n) }))
	list := rapid.SliceOfN(text, 0, 40)
	rapid.Check(t, func(t *rapid.T) {
		b := signalbox.PageBody{
			Summary: text.Draw(t, "summary"), Severity: text.Draw(t, "severity"), Source: text.Draw(t, "source"),
			Evidence: list.Draw(t, "evidence"), Done: list.Draw(t, "done"),
			Labels: rapid.MapOfN(text, text, 0, 20).Draw(t, "labels"),
		}
		for _, s := range list.Draw(t, "thrown") {
			b.Thrown = append(b.Thrown, signalbox.Thrown{What: s, ByHand: s})
		}
		for _, s := range list.Draw(t, "links") {
			b.Links = append(b.Links, signalbox.Link{Text: s, Href: s})
		}
		e, err := compose(routing, "k", signalbox.PageTrigger, b)
		if err != nil {
			t.Fatal(err)
		}
		sent, err := json.Marshal(e)
		if n := utf8.RuneCountInString(e.Payload.Summary); err != nil || len(sent) > mostEvent || n < 1 || n > mostSummary || e.Payload.Source == "" {
			t.Fatalf("%d bytes, %d characters, %v", len(sent), n, err)
		}
	})
}
