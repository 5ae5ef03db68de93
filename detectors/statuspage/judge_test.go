package statuspage

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	standin "github.com/signalbox/signalbox/test/standin/statuspage"
)

func build(t testing.TB, d *DetectorSettings, change func(*kind.Common)) *detector {
	t.Helper()
	d.Validate(func(path, rule string, value any) { t.Fatalf("%s: %s, got %v", path, rule, value) })
	c := kind.Common{Name: "psp-status", Source: "psp", Owner: "payments", Interval: time.Minute}
	if err := c.Subject.UnmarshalText([]byte("psp/{{page}}")); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c)
	}
	det, _, err := d.Build(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return det.(*detector)
}

// judged reads a page through a source, and judges it.
func judged(t *testing.T, d *detector, p standin.Page, was map[string]signalbox.Reading) []signalbox.Reading {
	t.Helper()
	now := moment
	stand, s := page(t, &now)
	stand.Set(p)
	return d.Judge([]signalbox.Answer{ask(t, s, now)}, was, now)
}

func with(status map[string]string, incidents ...standin.Incident) standin.Page {
	p := shop
	p.Components = append([]standin.Component(nil), shop.Components...)
	for i := range p.Components {
		p.Components[i].Status = status[p.Components[i].ID]
	}
	p.Incidents = incidents
	return p
}

func TestJudgeAComponent(t *testing.T) {
	const known, breached, clear = signalbox.Unknown, signalbox.Breached, signalbox.Clear
	for _, c := range []struct {
		status string
		with   DetectorSettings
		was    signalbox.Condition
		want   signalbox.Condition
	}{
		{"operational", DetectorSettings{}, known, clear},
		{"partial_outage", DetectorSettings{}, known, breached},
		{"major_outage", DetectorSettings{}, known, breached},
		{"degraded_performance", DetectorSettings{}, known, clear}, // never opens
		{"degraded_performance", DetectorSettings{}, clear, clear},
		{"degraded_performance", DetectorSettings{}, breached, breached}, // not yet well
		{"under_maintenance", DetectorSettings{}, breached, breached},
		{"operational", DetectorSettings{}, breached, clear},
		{"degraded_performance", DetectorSettings{Breach: Side{Status: []string{"degraded_performance"}}}, clear, breached},
		{"major_outage", DetectorSettings{Breach: Side{Status: []string{"degraded_performance"}}}, clear, clear},
		{"under_maintenance", DetectorSettings{Clear: Side{Status: []string{"operational", "under_maintenance"}}}, breached, clear},
	} {
		c.with.Component = "API/Payouts"
		d := build(t, &c.with, nil)
		was := map[string]signalbox.Reading{}
		if c.was != signalbox.Unknown {
			was[d.series()] = signalbox.Reading{Series: d.series(), Condition: c.was}
		}
		rs := judged(t, d, with(map[string]string{"c1": c.status}), was)
		if len(rs) != 1 || rs[0].Condition != c.want || !rs[0].HasValue || rs[0].Reason != "" {
			t.Errorf("%s, was %s: got %+v, want %s", c.status, c.was, rs, c.want)
		}
	}
}

func TestJudgeThePage(t *testing.T) {
	for indicator, want := range map[string]signalbox.Condition{
		"none": signalbox.Clear, "minor": signalbox.Clear, "maintenance": signalbox.Clear,
		"major": signalbox.Breached, "critical": signalbox.Breached, "purple": signalbox.Unknown,
	} {
		p := with(nil)
		p.Indicator = indicator
		rs := judged(t, build(t, &DetectorSettings{}, nil), p, nil)
		if len(rs) != 1 || rs[0].Condition != want || (want == signalbox.Unknown) != strings.Contains(rs[0].Reason, `says "purple"`) {
			t.Errorf("%s: got %+v, want %s", indicator, rs, want)
		}
	}
}

func TestReadingIsWhole(t *testing.T) {
	d := build(t, &DetectorSettings{Component: "c1"}, func(c *kind.Common) {
		_ = c.Subject.UnmarshalText([]byte("psp/{{component}}"))
		c.Labels, c.Origin = []string{"component", "status"}, "psp"
		c.Links = []signalbox.Link{{Text: "runbook", Href: "https://r"}}
	})
	rs := judged(t, d, with(map[string]string{"c1": "major_outage"},
		standin.Incident{ID: "i1", Name: "Payouts fail", Status: "identified", Components: []string{"c1"}},
		standin.Incident{ID: "i2", Name: "Of another", Status: "identified", Components: []string{"c2"}},
		standin.Incident{ID: "m1", Name: "Move", Status: "scheduled", Maintenance: true}), nil)
	if len(rs) != 1 {
		t.Fatalf("got %+v", rs)
	}
	r := rs[0]
	if r.Detector != "psp-status" || r.Owner != "payments" || r.Subject != "psp/Payouts" || r.Condition != signalbox.Breached || r.Value != 4 || !r.Confirmed ||
		r.Origin != "psp" || r.Series != "component/c1" || !r.SampleAt.Equal(moment) || !r.At.Equal(moment) || r.Threshold != "status partial_outage or major_outage" ||
		!maps.Equal(r.Labels, map[string]string{"component": "Payouts", "status": "major_outage"}) {
		t.Errorf("got %+v", r)
	}
	if r.Summary != "psp/Payouts: major_outage; incident Payouts fail (identified); maintenance Move (scheduled)" {
		t.Errorf("summary %q", r.Summary)
	}
	var hrefs []string
	for _, l := range r.Links {
		hrefs = append(hrefs, l.Href)
	}
	if got := strings.Join(hrefs, " "); got != "https://r https://status.example.com https://stspg.io/i1 https://stspg.io/m1" {
		t.Errorf("links %s", got)
	}
}

func TestUnknownIsNeverClear(t *testing.T) {
	sample := func(what, id, name, group, status string, age time.Duration) signalbox.Sample {
		return signalbox.Sample{Labels: map[string]string{"what": what, "id": id, "name": name, "group": group, "status": status}, At: moment.Add(-age)}
	}
	one := sample(ofPage, "p", "Page", "", "none", 0)
	good := sample(ofComponent, "c1", "Payouts", "API", "operational", 0)
	twin := sample(ofComponent, "c3", "Payouts", "Dashboard", "operational", 0)
	for _, c := range []struct {
		name    string
		answers []signalbox.Answer
		want    string // of the reason; "": it is known
	}{
		{"good", []signalbox.Answer{{Samples: []signalbox.Sample{one, good}}}, ""},
		{"error", []signalbox.Answer{{Err: errors.New("no route")}}, "no route"},
		{"warning", []signalbox.Answer{{Warnings: []string{"half"}, Samples: []signalbox.Sample{one, good}}}, "may be partial: half"},
		{"no answer", nil, "0 answers"},
		{"nothing", []signalbox.Answer{{}}, `no component "Payouts"`},
		{"vanished", []signalbox.Answer{{Samples: []signalbox.Sample{one}}}, `no component "Payouts"`},
		{"ambiguous", []signalbox.Answer{{Samples: []signalbox.Sample{one, good, twin}}}, `2 components "Payouts": say Group/Name`},
		{"an unknown word", []signalbox.Answer{{Samples: []signalbox.Sample{one, sample(ofComponent, "c1", "Payouts", "", "purple", 0)}}}, `says "purple"`},
		{"no word", []signalbox.Answer{{Samples: []signalbox.Sample{one, sample(ofComponent, "c1", "Payouts", "", "", 0)}}}, `says ""`},
		{"old", []signalbox.Answer{{Samples: []signalbox.Sample{one, sample(ofComponent, "c1", "Payouts", "", "operational", 6*time.Minute)}}}, "6m0s old, and at most 5m0s"},
		{"of the future", []signalbox.Answer{{Samples: []signalbox.Sample{one, sample(ofComponent, "c1", "Payouts", "", "operational", -time.Minute)}}}, "1m0s in the future"},
		{"no subject", []signalbox.Answer{{Samples: []signalbox.Sample{good}}}, "the label page"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := build(t, &DetectorSettings{Component: "Payouts"}, nil)
			was := map[string]signalbox.Reading{
				d.series(): {Series: d.series(), Subject: "psp/Page", Condition: signalbox.Breached, SampleAt: moment.Add(-time.Minute)},
				"old":      {Series: "old", Subject: "psp/Old", Condition: signalbox.Breached},
			}
			mine, others := 0, 0
			for _, r := range d.Judge(c.answers, was, moment) {
				switch {
				case r.Series == "old":
					others++
					if r.Condition != signalbox.Unknown {
						t.Errorf("of an earlier definition: %+v", r)
					}
				case c.want == "":
					mine++
					if r.Condition != signalbox.Clear {
						t.Errorf("got %+v", r)
					}
				default:
					mine++
					if r.Condition != signalbox.Unknown || !strings.Contains(r.Reason, c.want) || r.HasValue || r.Series == "" && r.Subject != "psp-status" {
						t.Errorf("got %+v, want unknown with %q", r, c.want)
					}
				}
			}
			if mine == 0 || others != 1 {
				t.Errorf("%d readings, and %d of an earlier definition", mine, others)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	now := moment
	_, s := page(t, &now)
	d := &DetectorSettings{Breach: Side{For: 1}, Clear: Side{For: 2}, KeepFiringFor: 3}
	det, timing, err := d.Build(kind.Common{Name: "x", Source: "psp"}, s)
	if err != nil || timing.For != 1 || timing.ClearFor != 2 || timing.KeepFiringFor != 3 || d.Unit() != signalbox.Number || d.Fresh(0) != 5*time.Minute {
		t.Errorf("%+v, %v", timing, err)
	}
	if r := det.Judge(nil, nil, moment)[0]; r.Origin != s.Origin() {
		t.Errorf("origin %q, want %q", r.Origin, s.Origin())
	}
	if qs := det.Questions(); len(qs) != 1 || qs[0] != (signalbox.Question{Source: "psp", Query: question}) {
		t.Errorf("got %+v", qs)
	}
}

func TestSettingsRefuse(t *testing.T) {
	for _, c := range []struct {
		name string
		with DetectorSettings
		want string
	}{
		{"page", DetectorSettings{}, ""},
		{"component", DetectorSettings{Component: "API/Payouts", Breach: Side{Status: []string{"degraded_performance"}}}, ""},
		{"a word of the other scale", DetectorSettings{Breach: Side{Status: []string{"partial_outage"}}}, "breach.status[0]: must be one of none, maintenance, minor, major, critical"},
		{"a word of no scale", DetectorSettings{Component: "a", Breach: Side{Status: []string{"major_outage", "purple"}}}, "breach.status[1]: must be one of operational"},
		{"health is no breach", DetectorSettings{Component: "a", Breach: Side{Status: []string{"operational"}}}, "breach.status[0]: must not hold operational"},
		{"a breach is not clear", DetectorSettings{Component: "a", Clear: Side{Status: []string{"major_outage"}}}, "clear.status[0]: must not hold major_outage"},
		{"space", DetectorSettings{Component: " a"}, "component: must have no space"},
		{"max_age", DetectorSettings{MaxAge: kind.Duration(time.Minute)}, "max_age: must be at least 2m30s"},
	} {
		var got []string
		c.with.Validate(func(path, rule string, _ any) { got = append(got, path+": "+rule) })
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for _, refresh := range []time.Duration{29 * time.Second, 3 * time.Minute} {
		s := newSettings()
		s.URL, s.Refresh = "https://status.example.com", kind.Duration(refresh)
		told := 0
		s.Validate(func(path, _ string, _ any) {
			if path == "refresh" {
				told++
			}
		})
		if told != 1 {
			t.Errorf("refresh %v was accepted", refresh)
		}
	}
}

// Whatever a page says, nothing is known but from a known word, freshly read.
func FuzzSummary(f *testing.F) {
	f.Add([]byte(`{"page":{"id":"p","name":"n","url":"https://x"},"status":{"indicator":"none"},"components":[{"id":"c","name":"Payouts","status":"operational"}],"incidents":[{"id":"i","components":[{"id":"c"}],"shortlink":"javascript:alert(1)"}]}`))
	f.Add([]byte(`{"page":{"id":"p"},"status":{"indicator":"major"},"components":[null,{"id":"c","name":"Payouts","group_id":"c","status":null}]}`))
	part, whole := build(f, &DetectorSettings{Component: "Payouts"}, nil), build(f, &DetectorSettings{}, nil)
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := readSummary(body)
		if err != nil {
			if len(err.Error()) > 500 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			return
		}
		samples := s.samples(moment, strings.Clone)
		for _, d := range []*detector{part, whole} {
			for _, r := range d.Judge([]signalbox.Answer{{Samples: samples}}, nil, moment) {
				_, known := d.known[r.Labels["status"]]
				if r.Condition != signalbox.Unknown && !known {
					t.Errorf("known from nothing: %+v", r)
				}
				for _, l := range r.Links {
					if !strings.HasPrefix(l.Href, "http://") && !strings.HasPrefix(l.Href, "https://") {
						t.Errorf("link %q", l.Href)
					}
				}
			}
		}
	})
}
