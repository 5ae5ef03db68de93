package alerts

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
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
	d := &Detector{Common: c, Match: match}
	if len(d.Questions()) != 0 || len(d.Judge(nil, nil, time.Now())) != 0 {
		t.Fatal("it asks")
	}
	return d
}

func TestAssign(t *testing.T) {
	critical := detector(t, "critical", "{{alertname}}/{{instance}}", map[string]string{"severity": "critical"}, nil)
	disks := detector(t, "disks", "disk/{{instance}}", map[string]string{"alertname": "DiskFull"}, nil)
	batch := signalbox.Batch{Source: "alerts", Synced: true, Readings: []signalbox.Reading{
		{Series: "1", Labels: map[string]string{"alertname": "DiskFull", "severity": "critical", "instance": "a"}},
		{Series: "2", Labels: map[string]string{"alertname": "DiskFull", "severity": "warning", "instance": "a"}},
		{Series: "3", Labels: map[string]string{"alertname": "Other"}},
		{Series: "4", Labels: map[string]string{"job": "nameless"}},
	}}
	got := Assign(batch, []Selector{critical, disks}, Fallback("alerts"))
	var lines []string
	for _, r := range got.Readings {
		lines = append(lines, strings.Join([]string{r.Series, r.Detector, r.Owner, r.Subject}, " "))
	}
	want := []string{"1 critical critical-owner DiskFull/a", "2 disks disks-owner disk/a", "3 alerts  Other", "4 alerts  /4"}
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
