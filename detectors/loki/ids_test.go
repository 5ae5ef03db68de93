package loki

import (
	"fmt"
	"strings"
	"testing"
)

const pspPattern = `event_id=(?P<event_id>evt_[a-zA-Z0-9]{8,32}) .*flow_id=(?P<flow_id>[a-f0-9-]{36})`

const flow = "0f8fad5b-d9cb-469f-a165-70867728950e"

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		ids           []string
		line          string
		want          string
		whole         bool
	}{
		{"one", pspPattern, []string{"event_id"}, "webhook failed event_id=evt_12345678 try=3 flow_id=" + flow, "evt_12345678", true},
		{"two groups", pspPattern, []string{"event_id", "flow_id"}, "event_id=evt_12345678 try=3 flow_id=" + flow + " x", "evt_12345678/" + flow, true},
		{"none", pspPattern, []string{"event_id"}, "webhook failed", "", false},
		{"too short", pspPattern, []string{"event_id"}, "event_id=evt_1234567 flow_id=" + flow, "", false},
		{"too long", pspPattern, []string{"event_id"}, "event_id=evt_" + strings.Repeat("x", 33) + " flow_id=" + flow, "", false},
		{"a word that goes on is no id", `(?P<id>evt_[a-z0-9]{8,32})`, []string{"id"}, "evt_" + strings.Repeat("x", 33), "", false},
		{"… by a hyphen", `(?P<id>[a-f0-9-]{36})`, []string{"id"}, flow + "-0", "", false},
		{"… by a letter that is not ASCII", `(?P<id>evt_[a-z]{4})`, []string{"id"}, "evt_abcdé", "", false},
		{"a sentence ends", `(?P<id>evt_[a-z]{4})`, []string{"id"}, "no evt_abcd- or evt_efgh.", "evt_abcd evt_efgh", true},
		{"it began before", `(?P<id>[0-9]{8})`, []string{"id"}, "x12345678", "", false},
		{"the pattern says with what", `x(?P<id>[0-9]{8})`, []string{"id"}, "x12345678", "12345678", true},
		{"several in a line", `(?P<id>evt_[a-z]{4})\b`, []string{"id"}, `["evt_aaaa","evt_bbbb"]`, "evt_aaaa evt_bbbb", true},
		{"one of two is cut", `(?P<id>evt_[a-z]{4})`, []string{"id"}, "evt_aaaa evt_bbbbb", "evt_aaaa", false},
		{"other characters", `id=(?P<id>\S+)`, []string{"id"}, "id=$(reboot)", "", false},
		{"quotes", `id=(?P<id>\S+)`, []string{"id"}, `id=a"b`, "", false},
		{"a path", `id=(?P<id>\S+)`, []string{"id"}, `id=../etc`, "", false},
		{"beyond the longest", `id=(?P<id>\S+)`, []string{"id"}, "id=" + strings.Repeat("a", maxID+1), "", false},
		{"the longest", `id=(?P<id>\S+)`, []string{"id"}, "id=" + strings.Repeat("a", maxID), strings.Repeat("a", maxID), true},
		{"an optional group", `a(?P<id>b)?`, []string{"id"}, "a", "", false},
		{"too many", `(?P<id>\d)`, []string{"id"}, strings.Repeat("1 ", idsPerLine), strings.TrimSpace(strings.Repeat("1 ", idsPerLine)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := newPattern(c.pattern, c.ids)
			if err != nil {
				t.Fatal(err)
			}
			ids, whole := p.find(c.line)
			if got := strings.Join(ids, " "); got != c.want || whole != c.whole {
				t.Errorf("got %q, %v; want %q, %v", got, whole, c.want, c.whole)
			}
		})
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		pattern string
		ids     []string
		want    string
	}{
		{"", []string{"id"}, "must be given with ids"},
		{`(?P<id>x)`, nil, "must name one to four"},
		{`(?P<id>x)`, []string{"flow"}, "must name one to four"},
		{`(?P<id>x)`, []string{""}, "must name one to four"},
		{`(?P<id>x)`, []string{"id", "id"}, "must name one to four"},
		{`(?P<a>x)(?P<b>x)(?P<c>x)(?P<d>x)(?P<e>x)`, []string{"a", "b", "c", "d", "e"}, "must name one to four"},
		{`(?P<id>x`, []string{"id"}, "must be a regular expression"},
		{`(?P<id>x*)`, []string{"id"}, "must not match the empty line"},
		{`(?P<id>` + strings.Repeat("x", maxPattern), []string{"id"}, "must have at most"},
	} {
		if _, err := newPattern(c.pattern, c.ids); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s %v: %v, want %q", c.pattern, c.ids, err, c.want)
		}
	}
	if p, err := newPattern("", nil); p != nil || err != nil {
		t.Errorf("none: %v, %v", p, err)
	}
}

// Whatever a line holds, an id is made of its own bytes, is bounded, and holds
// nothing that has a meaning elsewhere.
func FuzzFind(f *testing.F) {
	f.Add("event_id=evt_12345678 flow_id=" + flow)
	f.Add("id=" + strings.Repeat("é", 99))
	loose, err := newPattern(`id=(?P<id>.+?) (?P<more>\S*)`, []string{"id", "more"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		ids, _ := loose.find(line)
		for _, id := range ids {
			first, second, two := strings.Cut(id, idSeparator)
			if len(id) > maxID || !two || !strings.Contains(line, fmt.Sprintf("id=%s %s", first, second)) || strings.ContainsFunc(first+second, func(r rune) bool { return r >= 0x80 || !inID(byte(r)) }) {
				t.Errorf("%q out of %q", id, line)
			}
		}
	})
}
