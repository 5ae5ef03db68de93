package evidence

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/telling"
)

var at = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

type looker func(a kind.Around) ([]signalbox.Finding, error)

func (f looker) Look(_ context.Context, a kind.Around) ([]signalbox.Finding, error) { return f(a) }

func incident(labels map[string]string) *signalbox.Incident {
	return &signalbox.Incident{
		ID: "0123456789abcdef", Owner: "backend", OnsetAt: at.Add(-time.Minute), OpenedAt: at,
		Reading: signalbox.Reading{Detector: "lag", Subject: "db/eu", Labels: labels},
	}
}

func TestApply(t *testing.T) {
	inc := incident(map[string]string{"env": "prod", "empty": ""})
	for name, c := range map[string]struct {
		e    Entry
		want bool
	}{
		"all":              {Entry{}, true},
		"its detector":     {Entry{Detectors: []string{"other", "lag"}}, true},
		"another detector": {Entry{Detectors: []string{"other"}}, false},
		"its owner":        {Entry{Owners: []string{"backend"}}, true},
		"another owner":    {Entry{Owners: []string{"devops"}}, false},
		"its label":        {Entry{Match: map[string]string{"env": "prod"}}, true},
		"another label":    {Entry{Match: map[string]string{"env": "dev"}}, false},
		"no such label":    {Entry{Match: map[string]string{"zone": ""}}, false},
		"an empty label":   {Entry{Match: map[string]string{"empty": ""}}, true},
	} {
		if got := len(Apply([]Entry{c.e}, inc)) == 1; got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestGather(t *testing.T) {
	href, err := telling.ParseLink("https://x.example/?q={{labels.cluster}}&r={{labels.zone}}", []string{"cluster", "zone"}, 200)
	if err != nil {
		t.Fatal(err)
	}
	var saw kind.Around
	entries := []Entry{
		{Name: "lines", Since: 10 * time.Minute, Most: 2, Same: map[string]string{"db": "cluster"}, Look: looker(func(a kind.Around) ([]signalbox.Finding, error) {
			saw = a
			return []signalbox.Finding{{Text: "a\nb"}, {Text: "c"}, {Text: "one too many"}}, nil
		})},
		{Name: "quiet", Most: 1, Since: time.Minute, Look: looker(func(kind.Around) ([]signalbox.Finding, error) { return nil, nil })},
		{Name: "broken", Most: 1, Look: looker(func(kind.Around) ([]signalbox.Finding, error) {
			return []signalbox.Finding{{Text: "part"}}, errors.New("x\x00 y")
		})},
		{Name: "zoned", Most: 1, Same: map[string]string{"zone": "zone"}, Look: looker(func(kind.Around) ([]signalbox.Finding, error) { panic("asked") })},
		{Name: "panels", Most: 2, Readings: []string{"slow", "none"}, Same: map[string]string{"cluster": "cluster"}},
		{Name: "none", Most: 2, Readings: []string{"none"}},
		{Name: "links", Links: []Link{{"x", href}}},
	}
	readings := map[string][]signalbox.Reading{"slow": {
		{Detector: "slow", Series: "1", Subject: "db/eu", Labels: map[string]string{"cluster": "eu"}, Condition: signalbox.Clear, HasValue: true, Value: 0.1, Unit: signalbox.Seconds, Threshold: "above 200ms"},
		{Detector: "slow", Series: "2", Subject: "db/eu2", Labels: map[string]string{"cluster": "eu"}, Condition: signalbox.Unknown, Reason: "the panel is gone"},
		{Detector: "slow", Series: "3", Subject: "db/us", Labels: map[string]string{"cluster": "us"}, Condition: signalbox.Breached},
	}}
	found := Gather(t.Context(), entries, incident(map[string]string{"cluster": "eu"}), at, readings)
	var got []string
	for _, f := range found {
		got = append(got, f.Name+": "+f.Text)
	}
	want := []string{
		"lines: a b", "lines: c",
		"quiet: nothing since 11:58:00Z",
		"broken: can't be read: x y",
		"zoned: not looked for: the incident has no label zone",
		"panels: db/eu2 (slow), unknown: the panel is gone", "panels: db/eu (slow) 100ms, clear, threshold above 200ms",
		"none: no reading",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if saw.Same["db"] != "eu" || !saw.From.Equal(at.Add(-11*time.Minute)) || !saw.To.Equal(at) || saw.Most != 2 {
		t.Errorf("it was looked around %+v", saw)
	}
}

// What is kept of an incident is small, whatever the sources say.
func TestGatherIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []Entry
		for i := range rapid.IntRange(1, 30).Draw(t, "entries") {
			n := rapid.IntRange(0, 20).Draw(t, "findings")
			text, href := rapid.StringN(0, 600, -1).Draw(t, "text"), strings.Repeat("x", rapid.IntRange(0, 2500).Draw(t, "href"))
			entries = append(entries, Entry{Name: fmt.Sprint("e", i), Most: 20, Look: looker(func(kind.Around) ([]signalbox.Finding, error) {
				list := make([]signalbox.Finding, n)
				for i := range list {
					list[i] = signalbox.Finding{Text: text, Link: &signalbox.Link{Href: href}}
				}
				return list, nil
			})})
		}
		size, found := 0, Gather(context.Background(), entries, incident(nil), at, nil)
		for _, f := range found {
			if size += len(f.Text); f.Link != nil {
				size += len(f.Link.Href)
			}
			if strings.ContainsAny(f.Text, "\x00\n\r\x1b") {
				t.Fatalf("a line has control characters: %q", f.Text)
			}
		}
		if len(found) > mostFindings+1 || size > mostBytes+mostHref+4*mostText {
			t.Fatalf("%d findings of %d bytes", len(found), size)
		}
	})
}

func TestFieldsAndTogether(t *testing.T) {
	if got := Fields([]string{"level", "msg", "none", "flow"}, map[string]string{"level": "error", "msg": "a \"b\"\nc", "flow": "f=1", "secret": "s"}); got != `level=error msg="a \"b\" c" flow="f=1"` {
		t.Errorf("got %s", got)
	}
	got := Together([]signalbox.Finding{{At: at, Text: "a"}, {At: at.Add(2), Text: "b"}, {At: at.Add(1), Text: "a"}, {At: at.Add(-1), Text: "c"}}, 2)
	if len(got) != 2 || got[0].Text != "b" || got[1].Text != "a (2 times)" || !got[1].At.Equal(at.Add(1)) {
		t.Errorf("got %+v", got)
	}
}
