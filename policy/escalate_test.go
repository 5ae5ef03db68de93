package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

var sentAt = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func ladderBook(t interface{ Fatal(...any) }) *Handbook {
	h, err := New(Config{Hash: "h", DefaultOwner: "ops", Owners: []Owner{
		{Name: "db", Escalates: true, AcknowledgeWithin: 5 * time.Minute, Backup: true, LastResort: "ops"},
		{Name: "ops", Escalates: true, AcknowledgeWithin: 3 * time.Minute, Backup: true},
		{Name: "itself", AcknowledgeWithin: time.Minute},
	}, Ownership: []OwnerRule{
		{Detector: "lag*", Labels: map[string]string{"env": "prod-*"}, Owner: "db"},
		{Subject: "queue/*", Owner: "ops"},
		{Target: "configmap core/*", Owner: "ops"},
		{Target: "*replica*", Owner: "db"},
		{Target: "configmap *", Owner: "ops"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestClimb(t *testing.T) {
	h := ladderBook(t)
	page := func(owner string, r signalbox.Rung, change ...func(*signalbox.Page)) *signalbox.Page {
		p := &signalbox.Page{Owner: owner, Rung: r, Event: signalbox.PageTrigger, SentAt: sentAt}
		for _, f := range change {
			f(p)
		}
		return p
	}
	acked := func(p *signalbox.Page) { p.AckedAt = sentAt }
	unsent := func(p *signalbox.Page) { p.SentAt = time.Time{} }
	over := func(p *signalbox.Page) { p.Event = signalbox.PageResolve }
	const first, backup, last = signalbox.PrimaryRung, signalbox.BackupRung, signalbox.LastResortRung
	for name, c := range map[string]struct {
		ladder []*signalbox.Page
		rung   signalbox.Rung
		owner  string
		after  time.Duration // 0: nobody
	}{
		"no page":                    {},
		"backup next":                {[]*signalbox.Page{page("db", first)}, backup, "db", 5 * time.Minute},
		"then the last resort":       {[]*signalbox.Page{page("db", first), page("db", backup)}, last, "ops", 5 * time.Minute},
		"then nobody":                {ladder: []*signalbox.Page{page("db", first), page("db", backup), page("ops", last)}},
		"acknowledged":               {ladder: []*signalbox.Page{page("db", first, acked)}},
		"the backup acknowledged":    {ladder: []*signalbox.Page{page("db", first), page("db", backup, acked)}},
		"not sent":                   {ladder: []*signalbox.Page{page("db", first, unsent)}},
		"the backup's is not sent":   {ladder: []*signalbox.Page{page("db", first), page("db", backup, unsent)}},
		"over":                       {ladder: []*signalbox.Page{page("db", first, over)}},
		"the pager escalates":        {ladder: []*signalbox.Page{page("itself", first)}},
		"no last resort":             {ladder: []*signalbox.Page{page("ops", first), page("ops", backup)}},
		"gone: the default's ladder": {[]*signalbox.Page{page("gone", first)}, backup, "ops", 3 * time.Minute},
	} {
		rung, owner, due, ok := h.Climb(c.ladder)
		if ok != (c.after > 0) || ok && (rung != c.rung || owner != c.owner || !due.Equal(sentAt.Add(c.after))) {
			t.Errorf("%s: got %q of %q at %s, %t", name, rung, owner, due, ok)
		}
	}
}

// Whatever the clock does, a ladder has no rung twice and no page is made before
// its time.
func TestClimbNeverRepeatsNorHurries(t *testing.T) {
	h := ladderBook(t)
	rapid.Check(t, func(t *rapid.T) {
		now := sentAt
		owner := rapid.SampledFrom([]string{"db", "ops", "itself", "gone"}).Draw(t, "owner")
		ladder := []*signalbox.Page{{Owner: owner, Event: signalbox.PageTrigger}}
		seen := map[signalbox.Rung]bool{signalbox.PrimaryRung: true}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(-300, 400).Draw(t, "seconds")) * time.Second)
			top := ladder[len(ladder)-1]
			if rapid.Bool().Draw(t, "sent") && top.SentAt.IsZero() {
				top.SentAt = now
			}
			if rapid.IntRange(0, 9).Draw(t, "acked") == 0 {
				top.AckedAt = now
			}
			rung, who, due, ok := h.Climb(ladder)
			if !ok || now.Before(due) {
				continue
			}
			switch o := h.Answers(owner); {
			case !o.Escalates:
				t.Fatalf("%s does not escalate, got %s", owner, rung)
			case seen[rung]:
				t.Fatalf("%s is paged twice", rung)
			case top.SentAt.IsZero() || now.Sub(top.SentAt) < o.AcknowledgeWithin:
				t.Fatalf("%s before its time", rung)
			}
			for _, p := range ladder {
				if !p.AckedAt.IsZero() {
					t.Fatal("climbed after an acknowledgement")
				}
			}
			seen[rung] = true
			ladder = append(ladder, &signalbox.Page{Owner: who, Rung: rung, Event: signalbox.PageTrigger})
		}
	})
}

func TestOwnership(t *testing.T) {
	h := ladderBook(t)
	for _, c := range []struct {
		r    signalbox.Reading
		want string
	}{
		{signalbox.Reading{Detector: "lag-eu", Labels: map[string]string{"env": "prod-1"}}, "db"},
		{signalbox.Reading{Detector: "lag-eu", Labels: map[string]string{"env": "test"}}, ""},
		{signalbox.Reading{Detector: "lag-eu"}, ""},
		{signalbox.Reading{Detector: "lag-eu", Subject: "queue/a"}, "ops"},
		{signalbox.Reading{Detector: "other", Subject: "a queue/a"}, ""},
	} {
		if got := h.OwnerOf(&c.r); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.r, got, c.want)
		}
	}
	got := h.OwnersOf([]signalbox.Target{"endpoint replica-b", "configmap core/core-env"})
	if len(got) != 2 || got[0] != "ops" || got[1] != "db" {
		t.Errorf("owners of targets: got %q, want each once in the rules' order", got)
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "x", true},
		{"a", "a", true},
		{"a", "ab", false},
		{"*", "", true},
		{"a*", "ab", true},
		{"*b", "ab", true},
		{"a*a", "a", false},
		{"a*b*c", "axxbyyc", true},
		{"a*b*c", "ac", false},
		{"a**c", "ac", true},
		{"ab*bc", "abc", false},
		{"*x*x*", "x", false},
		{"*x*x*", "xx", true},
	} {
		if got := like(c.pattern, c.text); got != c.want {
			t.Errorf("%q like %q: got %t", c.text, c.pattern, got)
		}
	}
}
