package alertmanager

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"pgregory.net/rapid"
)

func detector(t *testing.T, name, subject string, match map[string]string, change func(*kind.Common)) *Detector {
	t.Helper()
	c := kind.Common{Name: name, Source: "alerts", Owner: name + "-owner"}
	if err := c.Subject.UnmarshalText([]byte(subject)); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c)
	}
	d, timing, err := (&DetectorSettings{Match: match}).Build(c, opened(t, nil))
	if err != nil || timing.For != 0 || timing.ClearFor != 0 || timing.KeepFiringFor != 0 {
		t.Fatal(timing, err)
	}
	if len(d.Questions()) != 0 || len(d.Judge(nil, nil, at)) != 0 {
		t.Fatal("it asks")
	}
	return d.(*Detector)
}

func TestAssign(t *testing.T) {
	critical := detector(t, "critical", "{{alertname}}/{{instance}}", map[string]string{"severity": "critical"}, nil)
	disks := detector(t, "disks", "disk/{{instance}}", map[string]string{"alertname": "DiskFull"}, nil)
	src := opened(t, nil)
	batch := signalbox.Batch{Source: "alerts", Synced: true, Readings: []signalbox.Reading{
		{Series: "1", Labels: map[string]string{"alertname": "DiskFull", "severity": "critical", "instance": "a"}},
		{Series: "2", Labels: map[string]string{"alertname": "DiskFull", "severity": "warning", "instance": "a"}},
		{Series: "3", Labels: map[string]string{"alertname": "Other"}},
		{Series: "4", Labels: map[string]string{"job": "nameless"}},
	}}
	got := Assign(batch, []Selector{critical, disks}, src.Fallback("devops"))
	var lines []string
	for _, r := range got.Readings {
		lines = append(lines, strings.Join([]string{r.Series, r.Detector, r.Owner, r.Subject}, " "))
	}
	want := []string{"1 critical critical-owner DiskFull/a", "2 disks disks-owner disk/a", "3 alerts devops Other", "4 alerts devops /4"}
	if !slices.Equal(lines, want) || !got.Synced || got.Source != "alerts" {
		t.Errorf("got  %q\nwant %q", lines, want)
	}
	if batch.Readings[0].Detector != "" {
		t.Error("the batch was changed")
	}
}

func TestSubject(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, c := range []struct{ template, instance, want string }{
		{"db/{{instance}}", "a", "db/a"},
		{"db/{{instance}}", "", "A/f1"},
		{"db/{{instance}}", "{{alertname}}", "db/{{alertname}}"}, // never expanded twice
		{"db/{{instance}}", "a\r\nb\x00", "db/a b"},
		{"db/{{instance}}", long, "A/f1"}, // two that are cut could become one
		{"{{instance}}", "\x00", "A/f1"},
	} {
		d := detector(t, "d", c.template, nil, nil)
		r, ok := d.Select(signalbox.Reading{Series: "f1", Labels: map[string]string{"alertname": "A", "instance": c.instance}})
		if !ok || r.Subject != c.want {
			t.Errorf("%s of %q: got %q, want %q", c.template, c.instance, r.Subject, c.want)
		}
	}
}

func TestSelectKeepsListedLabelsAndAddsLinks(t *testing.T) {
	own := signalbox.Link{Text: "dashboard", Href: "https://d.example"}
	d := detector(t, "d", "{{alertname}}", nil, func(c *kind.Common) {
		c.Labels, c.Links = []string{"env", "gone"}, []signalbox.Link{own}
	})
	in := signalbox.Reading{Labels: map[string]string{"alertname": "A", "env": "prod", "secret": "x"}, Links: make([]signalbox.Link, 1, 8)}
	r, _ := d.Select(in)
	if !maps.Equal(r.Labels, map[string]string{"env": "prod"}) || r.Subject != "A" || len(r.Links) != 2 || r.Links[1] != own {
		t.Errorf("got %+v", r)
	}
	if len(in.Labels) != 3 || in.Links[:2][1] == own {
		t.Error("the reading that came in was changed")
	}
}

func TestBuildNeedsASourceOfItsKind(t *testing.T) {
	if _, _, err := (&DetectorSettings{}).Build(kind.Common{Name: "d", Source: "metrics"}, 7); err == nil || !strings.Contains(err.Error(), `"metrics" must be of kind alertmanager`) {
		t.Errorf("got %v", err)
	}
}

func firing(received time.Time) signalbox.Reading {
	return signalbox.Reading{Series: "f", Episode: "e", Condition: signalbox.Breached, At: received, SampleAt: received}
}

func resolved(ended, received time.Time) signalbox.Reading {
	return signalbox.Reading{Series: "f", Episode: "e", Condition: signalbox.Clear, At: received, SampleAt: ended, EndedAt: ended}
}

func confirmed(sample, read time.Time) signalbox.Reading {
	return signalbox.Reading{Series: "f", Episode: "e", Condition: signalbox.Breached, At: read, SampleAt: sample, Confirmed: true}
}

func TestSupersedes(t *testing.T) {
	m := func(n int) time.Time { return at.Add(time.Duration(n) * time.Minute) }
	other := firing(m(9))
	other.Episode = "later"
	for name, c := range map[string]struct {
		old, new signalbox.Reading
		want     bool
	}{
		"the end of what fires":                   {firing(m(0)), resolved(m(1), m(2)), true},
		"firing after resolved, from a replica":   {resolved(m(1), m(2)), firing(m(3)), false},
		"resolved that was overtaken by a repeat": {firing(m(3)), resolved(m(1), m(4)), true},
		"a copy of resolved":                      {resolved(m(1), m(2)), resolved(m(1), m(3)), true},
		"fires again, long after the end":         {resolved(m(1), m(2)), firing(m(12)), true},
		"a late copy of the end, when it fires":   {firing(m(12)), resolved(m(1), m(13)), false},
		"read as firing after the end":            {resolved(m(1), m(2)), confirmed(m(3), m(3)), true},
		"read with a sample from before the end":  {resolved(m(1), m(2)), confirmed(m(0), m(3)), false},
		"a late copy of the end, when read":       {confirmed(m(3), m(3)), resolved(m(1), m(4)), false},
		"the end of what was read":                {confirmed(m(3), m(3)), resolved(m(4), m(5)), true},
		"read again":                              {confirmed(m(3), m(3)), confirmed(m(4), m(4)), true},
		"an older reading":                        {confirmed(m(4), m(4)), confirmed(m(3), m(3)), false},
		"another episode":                         {resolved(m(1), m(2)), other, false},
	} {
		if got := Supersedes(c.old, c.new); got != c.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// Whatever the order in which the messages of an episode arrive, and however
// often, the same one stands in the end.
func TestSupersedesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		minute := rapid.IntRange(0, 30)
		message := rapid.Custom(func(t *rapid.T) signalbox.Reading {
			x := at.Add(time.Duration(minute.Draw(t, "x")) * time.Minute)
			y := at.Add(time.Duration(minute.Draw(t, "y")) * time.Minute)
			switch rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				return firing(x)
			case 1:
				return resolved(x, y)
			}
			return confirmed(x, y)
		})
		sent := rapid.SliceOfN(message, 1, 8).Draw(t, "sent")
		other := rapid.Permutation(append(slices.Clone(sent), sent...)).Draw(t, "arrived")
		a, b := last(sent), last(other)
		if a.Condition != b.Condition || !standing(a).Equal(standing(b)) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// An episode that has ended stays ended under copies within LateCopy.
func TestEndedStaysEnded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		end := at
		sent := []signalbox.Reading{resolved(end, end.Add(time.Second))}
		for _, s := range rapid.SliceOfN(rapid.IntRange(-600, 599), 0, 6).Draw(t, "seconds") {
			sent = append(sent, firing(end.Add(time.Duration(s)*time.Second)))
		}
		if got := last(rapid.Permutation(sent).Draw(t, "arrived")); got.Condition != signalbox.Clear {
			t.Fatalf("got %+v", got)
		}
	})
}

func last(sent []signalbox.Reading) signalbox.Reading {
	stands := sent[0]
	for _, r := range sent[1:] {
		if Supersedes(stands, r) {
			stands = r
		}
	}
	return stands
}
