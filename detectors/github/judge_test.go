package github

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
)

func build(t testing.TB, d *DetectorSettings, change func(*kind.Common)) *detector {
	t.Helper()
	if d.Repository == "" {
		d.Repository, d.Workflow = "acme/shop", "deploy.yml"
	}
	d.Validate(func(path, rule string, value any) { t.Fatalf("%s: %s, got %v", path, rule, value) })
	c := kind.Common{Name: "deploy-failed", Source: "actions", Owner: "devops", Interval: time.Minute}
	if err := c.Subject.UnmarshalText([]byte("deploy/{{repository}}")); err != nil {
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

// listed makes an answer of runs written as "id[.attempt] conclusion-or-status
// [@minute]": a run was created at the minute of its id, and its latest attempt
// began then or at the minute that is given.
func listed(t testing.TB, text string) signalbox.Answer {
	t.Helper()
	var runs []run
	minute := func(n string) time.Time {
		m, err := strconv.Atoi(n)
		if err != nil {
			t.Fatal(err)
		}
		return moment.Add(time.Duration(m-100) * time.Minute)
	}
	for _, one := range strings.Split(text, ",") {
		words := strings.Fields(one)
		if len(words) == 0 {
			continue
		}
		id, attempt, _ := strings.Cut(words[0], ".")
		r := run{Attempt: 1, Status: "completed", Branch: "main", Event: "push", Head: &origin{ID: 1}, Repository: &origin{ID: 1}}
		r.ID, _ = strconv.ParseInt(id, 10, 64)
		r.Number = r.ID
		if attempt != "" {
			r.Attempt, _ = strconv.ParseInt(attempt, 10, 64)
		}
		r.Created = minute(id)
		r.Started = r.Created
		if len(words) > 2 {
			r.Started = minute(words[2][1:])
		}
		r.Updated, r.Link = r.Started, "https://github.com/acme/shop/actions/runs/"+id
		switch words[1] {
		case "queued", "in_progress", "waiting", "requested", "pending":
			r.Status = words[1]
		case "null":
		default:
			r.Conclusion = words[1]
		}
		runs = append(runs, r)
	}
	return signalbox.Answer{Samples: samples(runs, moment, strings.Clone)}
}

// said is a reading in few words: condition, value and items.
func said(r signalbox.Reading) string {
	return strings.TrimSpace(fmt.Sprintf("%s %g %s", r.Condition, float64(r.Value), strings.Join(r.Items, " ")))
}

// Each story is rounds of lists with what is said of them; between, the known
// readings are remembered as the tracker does.
func TestJudge(t *testing.T) {
	for name, story := range map[string][]string{
		"well":                                {"3 success, 2 failure: clear 0"},
		"a failure":                           {"3 failure, 2 success: breached 1 3"},
		"three in a row, once seen":           {"4 failure, 3 timed_out, 2 startup_failure, 1 success: breached 3 2 3 4"},
		"and over":                            {"3 failure: breached 1 3", "4 success, 3 failure: clear 0"},
		"more and more":                       {"3 failure: breached 1 3", "4 failure, 3 failure: breached 2 3 4", "4 failure: breached 1 3 4"},
		"under way changes nothing, ill":      {"5 in_progress, 4 queued, 3 failure, 2 success: breached 1 3"},
		"under way changes nothing, well":     {"5 waiting, 4 pending, 3 success, 2 failure: clear 0"},
		"all under way":                       {"5 in_progress, 4 requested: unknown 0"},
		"cancelled says nothing":              {"5 cancelled, 4 skipped, 3 failure: breached 1 3", "6 neutral, 5 cancelled, 4 stale, 3 failure: breached 1 3"},
		"cancelled after a success":           {"5 cancelled, 4 action_required, 3 success: clear 0"},
		"only cancelled":                      {"5 cancelled, 4 skipped: unknown 0"},
		"nothing is listed":                   {": unknown 0"},
		"a word that is new":                  {"5 exploded, 4 success: unknown 0"},
		"completed without a conclusion":      {"5 null, 4 success: unknown 0"},
		"a new word behind a verdict":         {"5 success, 4 exploded: clear 0"},
		"a failed run is run again":           {"3 failure, 2 success: breached 1 3", "3.2 in_progress @50, 2 success: breached 1 3", "3.2 success @50, 2 success: clear 0"},
		"run again, and cancelled":            {"3 failure, 2 success: breached 1 3", "3.2 cancelled @50, 2 success: breached 1 3"},
		"run again, and failed again":         {"3 failure: breached 1 3", "3.2 in_progress @50: breached 1 3", "3.2 failure @50: breached 1 3"},
		"a success is run again":              {"3 success: clear 0", "3.2 queued @50, 2 failure: clear 0", "3.2 failure @50, 2 failure: breached 2 2 3"},
		"run again before it was ever seen":   {"3.2 in_progress @50, 2 success: unknown 0", "3.2 success @50, 2 success: clear 0"},
		"failed and run again between looks":  {"2 success: clear 0", "3.2 queued @50, 2 success: unknown 0"},
		"an old one is run again, under way":  {"4 success, 3 success: clear 0", "4 success, 3.2 in_progress @50: clear 0"},
		"an old one is run again, and fails":  {"4 success, 3 success: clear 0", "4 success, 3.2 failure @50: breached 1 3"},
		"a rollback is run again, and well":   {"4 failure, 3 success: breached 1 4", "4 failure, 3.2 success @50: clear 0"},
		"the list is of long ago":             {"3 success: clear 0", "4 failure, 3 success: breached 1 4", "3 success: unknown 0", "4 failure, 3 success: breached 1 4"},
		"the told run is gone, a newer tells": {"3 failure: breached 1 3", "4 success: clear 0"},
		"the told success is gone":            {"3 failure: breached 1 3", "4 success, 3 failure: clear 0", "3 failure: unknown 0"},
		"a list out of order":                 {"2 success, 4 failure, 3 success: breached 1 4"},
	} {
		t.Run(name, func(t *testing.T) {
			d := build(t, &DetectorSettings{}, nil)
			was := map[string]signalbox.Reading{}
			for i, round := range story {
				list, want, _ := strings.Cut(round, ":")
				rs := d.Judge([]signalbox.Answer{listed(t, list)}, was, moment)
				r := rs[len(rs)-1]
				if got := said(signalbox.Reading{Condition: r.Condition, Value: r.Value}); r.Condition == signalbox.Unknown {
					if strings.TrimSpace(want) != got || r.Reason == "" || r.HasValue {
						t.Fatalf("round %d: got %+v, want %s", i, r, want)
					}
					continue
				}
				if len(rs) != 1 || said(r) != strings.TrimSpace(want) || r.Reason != "" || !r.HasValue {
					t.Fatalf("round %d: got %s (%+v), want %s", i, said(r), rs, want)
				}
				was[r.Series] = r
			}
		})
	}
}

// Runs that are under way are the breach where the detector says so, and how
// others ended does not count.
func TestUnderWay(t *testing.T) {
	for name, story := range map[string][]string{
		"none":                              {"3 success, 2 failure: clear 0"},
		"the last one failed":               {"3 failure: clear 0"},
		"a word that is new":                {"3 exploded: clear 0"},
		"one":                               {"4 in_progress, 3 success: breached 1"},
		"one that is queued, one that runs": {"5 queued, 4 in_progress, 3 success: breached 2"},
		"one that waits":                    {"5 success, 4 waiting, 3 success: breached 1"},
		"an old one that is run again":      {"4 success, 3.2 in_progress @50: breached 1"},
		"over":                              {"4 in_progress, 3 success: breached 1", "4 cancelled, 3 success: clear 0"},
		"the list is of long ago":           {"4 in_progress, 3 success: breached 1", "3 success: unknown 0", "4 success, 3 success: clear 0"},
		"nothing is listed":                 {": unknown 0"},
	} {
		t.Run(name, func(t *testing.T) {
			d := build(t, &DetectorSettings{Breach: Breach{UnderWay: true}}, nil)
			was := map[string]signalbox.Reading{}
			for i, round := range story {
				list, want, _ := strings.Cut(round, ":")
				rs := d.Judge([]signalbox.Answer{listed(t, list)}, was, moment)
				r := rs[len(rs)-1]
				if said(r) != strings.TrimSpace(want) || (r.Condition == signalbox.Unknown) == r.HasValue || r.Threshold != "under way" {
					t.Fatalf("round %d: got %s (%+v), want %s", i, said(r), r, want)
				}
				if r.Condition != signalbox.Unknown {
					was[r.Series] = r
				}
			}
		})
	}
	d := build(t, &DetectorSettings{Breach: Breach{UnderWay: true}}, nil)
	r := d.Judge([]signalbox.Answer{listed(t, "4 in_progress, 3 success")}, nil, moment)[0]
	if r.Summary != "deploy/acme/shop: run 4 is in_progress, begun at 2026-03-01T10:24:00Z; 1 under way" || r.Labels[runLabel] != "4" || len(r.Links) != 1 {
		t.Errorf("got %+v", r)
	}
}

func TestReadingIsWhole(t *testing.T) {
	d := build(t, &DetectorSettings{Branch: "main"}, func(c *kind.Common) {
		_ = c.Subject.UnmarshalText([]byte("deploy/{{branch}}"))
		c.Labels, c.Origin, c.Links = []string{"branch", "conclusion"}, "ci", []signalbox.Link{{Text: "runbook", Href: "https://r"}}
	})
	r := d.Judge([]signalbox.Answer{listed(t, "5 in_progress, 3 failure, 2 success")}, nil, moment)[0]
	if r.Detector != "deploy-failed" || r.Owner != "devops" || r.Subject != "deploy/main" || !r.Confirmed || r.Origin != "ci" || r.Series != d.series() ||
		!r.SampleAt.Equal(moment) || !r.At.Equal(moment) || r.Threshold != "conclusion failure or startup_failure or timed_out" ||
		!maps.Equal(r.Labels, map[string]string{"branch": "main", "conclusion": "failure", "run_id": "3"}) {
		t.Errorf("got %+v", r)
	}
	if r.Summary != "deploy/main: failure of run 3 at 2026-03-01T10:23:00Z; 1 newer under way" {
		t.Errorf("summary %q", r.Summary)
	}
	if len(r.Links) != 2 || r.Links[1].Href != "https://github.com/acme/shop/actions/runs/3" || len(d.common.Links) != 1 {
		t.Errorf("links %+v", r.Links)
	}
	if q := d.Questions(); len(q) != 1 || q[0].Source != "actions" || q[0].Query != "branch=main&repository=acme%2Fshop&workflow=deploy.yml" {
		t.Errorf("asks %+v", q)
	}
}

func TestUnknownIsNeverClear(t *testing.T) {
	good := listed(t, "3 success")
	of := func(change func(*signalbox.Answer)) signalbox.Answer {
		a := listed(t, "3 success")
		change(&a)
		return a
	}
	for _, c := range []struct {
		name    string
		answers []signalbox.Answer
		want    string // of the reason; "": it is known
	}{
		{"good", []signalbox.Answer{good}, ""},
		{"error", []signalbox.Answer{{Err: errors.New("no route")}}, "no route"},
		{"warning", []signalbox.Answer{of(func(a *signalbox.Answer) { a.Warnings = []string{"half"} })}, "may be partial: half"},
		{"no answer", nil, "0 answers"},
		{"nothing", []signalbox.Answer{{}}, "no run is listed"},
		{"old", []signalbox.Answer{of(func(a *signalbox.Answer) { a.Samples[0].At = moment.Add(-8 * time.Minute) })}, "8m0s old, and at most 7m30s"},
		{"of the future", []signalbox.Answer{of(func(a *signalbox.Answer) { a.Samples[0].At = moment.Add(time.Minute) })}, "1m0s in the future"},
		{"of another branch", []signalbox.Answer{of(func(a *signalbox.Answer) { a.Samples[0].Labels["branch"] = "dev" })}, "another branch"},
		{"of another event", []signalbox.Answer{of(func(a *signalbox.Answer) { a.Samples[0].Labels["event"] = "schedule" })}, "another branch or event"},
		{"no runs", []signalbox.Answer{of(func(a *signalbox.Answer) { a.Samples[0].Labels["started"] = "yesterday" })}, "not a list of runs"},
		{"an old success", []signalbox.Answer{of(func(a *signalbox.Answer) { a.Samples[0].Labels["started"] = stamp(moment.Add(-27 * time.Hour)) })}, "27h0m0s ago, and at most 26h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := build(t, &DetectorSettings{Branch: "main", Event: "push", MaxAge: kind.Duration(26 * time.Hour)}, nil)
			was := map[string]signalbox.Reading{
				d.series(): {Series: d.series(), Subject: "deploy/acme/shop", Condition: signalbox.Breached, Items: []string{"2"}},
				"old":      {Series: "old", Subject: "deploy/old", Condition: signalbox.Breached},
			}
			var series []string
			for _, r := range d.Judge(c.answers, was, moment) {
				series = append(series, r.Series)
				want := signalbox.Unknown
				if c.want == "" && r.Series == d.series() {
					want = signalbox.Clear
				}
				if r.Condition != want || want == signalbox.Unknown && (r.HasValue || r.Reason == "" || r.Series != "old" && !strings.Contains(r.Reason, c.want)) {
					t.Errorf("got %+v, want %s with %q", r, want, c.want)
				}
			}
			if !slices.Contains(series, d.series()) || !slices.Contains(series, "old") {
				t.Errorf("readings of %q: one is missing", series)
			}
		})
	}
	d := build(t, &DetectorSettings{}, func(c *kind.Common) { _ = c.Subject.UnmarshalText([]byte("x/{{actor}}")) })
	if r := d.Judge([]signalbox.Answer{good}, nil, moment)[0]; r.Condition != signalbox.Unknown || !strings.Contains(r.Reason, "the label actor") {
		t.Errorf("got %+v", r)
	}
}

// An old failure stays one, whatever max_age says of successes.
func TestMaxAgeHidesNoFailure(t *testing.T) {
	d := build(t, &DetectorSettings{MaxAge: kind.Duration(time.Minute)}, nil)
	if r := d.Judge([]signalbox.Answer{listed(t, "3 failure")}, nil, moment)[0]; r.Condition != signalbox.Breached {
		t.Errorf("got %+v", r)
	}
}

func TestListedConclusions(t *testing.T) {
	d := build(t, &DetectorSettings{Breach: Breach{Conclusion: []string{"cancelled"}}}, nil)
	for list, want := range map[string]string{"4 cancelled, 3 success": "breached 1 4", "4 failure, 3 success": "clear 0", "4 failure, 3 cancelled": "breached 1 3"} {
		if r := d.Judge([]signalbox.Answer{listed(t, list)}, nil, moment)[0]; said(r) != want {
			t.Errorf("%s: got %s, want %s", list, said(r), want)
		}
	}
}

func TestItemsAreBounded(t *testing.T) {
	d := build(t, &DetectorSettings{}, nil)
	was := map[string]signalbox.Reading{}
	for id := range 80 {
		r := d.Judge([]signalbox.Answer{listed(t, fmt.Sprintf("%d failure", id+1))}, was, moment)[0]
		was[r.Series] = r
		if len(r.Items) != min(id+1, maxItems) || r.Items[len(r.Items)-1] != strconv.Itoa(id+1) {
			t.Fatalf("after %d failures: %v", id+1, r.Items)
		}
	}
}

func TestBuild(t *testing.T) {
	now := moment
	s := source(t, "http://127.0.0.1:1", &now)
	d := &DetectorSettings{Repository: "a/b", Workflow: "1", Breach: Breach{For: 1}, Clear: Clear{For: 2}, KeepFiringFor: 3}
	det, timing, err := d.Build(kind.Common{Name: "x", Source: "actions"}, s)
	if err != nil || timing.For != 1 || timing.ClearFor != 2 || timing.KeepFiringFor != 3 || d.Unit() != signalbox.Number || d.Fresh(0) != maxListAge {
		t.Errorf("%+v, %v", timing, err)
	}
	if r := det.Judge(nil, nil, moment)[0]; r.Origin != s.Origin() {
		t.Errorf("origin %q, want %q", r.Origin, s.Origin())
	}
	if _, _, err := (&DetectorSettings{Repository: "a", Workflow: "1"}).Build(kind.Common{Name: "x"}, s); err == nil {
		t.Error("a repository without its owner was accepted")
	}
}

func TestSettingsRefuse(t *testing.T) {
	for _, c := range []struct {
		repository, workflow, branch, event, conclusion string
		want                                            string
	}{
		{"acme/shop", "deploy.yml", "main", "push", "failure", ""},
		{"acme/shop", "Deploy to production", "release/1.2", "", "cancelled", ""},
		{"acme", "1", "", "", "", "repository: must be owner/name"},
		{"acme/..", "1", "", "", "", "repository: must be owner/name"},
		{"acme/shop/x", "1", "", "", "", "repository: must be owner/name"},
		{"acme/shop?x", "1", "", "", "", "repository: must be owner/name"},
		{"acme/shop", "", "", "", "", "workflow: must be"},
		{"acme/shop", ".github/workflows/deploy.yml", "", "", "", "workflow: must be the file name without its folder"},
		{"acme/shop", "9999999999999999999", "", "", "", "workflow: must be an id"},
		{"acme/shop", "a\x1b[1mb", "", "", "", "workflow: must be"},
		{"acme/shop", "1", "release/*", "", "", "branch: must be one branch"},
		{"acme/shop", "1", "", "Push!", "", "event: must be"},
		{"acme/shop", "1", "", "", "success", "breach.conclusion[0]: must not be success"},
		{"acme/shop", "1", "", "", "skipped", "breach.conclusion[0]: must not be skipped"},
		{"acme/shop", "1", "", "", "broken", "breach.conclusion[0]: must be one of action_required"},
	} {
		d := &DetectorSettings{Repository: c.repository, Workflow: c.workflow, Branch: c.branch, Event: c.event}
		if c.conclusion != "" {
			d.Breach.Conclusion = []string{c.conclusion}
		}
		var got []string
		d.Validate(func(path, rule string, _ any) { got = append(got, path+": "+rule) })
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], c.want)) {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}

func TestUnderWayIsAlone(t *testing.T) {
	d := &DetectorSettings{Repository: "acme/shop", Workflow: "1", Breach: Breach{UnderWay: true, Conclusion: []string{"failure"}}, MaxAge: 1}
	var got []string
	d.Validate(func(path, _ string, _ any) { got = append(got, path) })
	if !slices.Equal(got, []string{"breach.conclusion", "max_age"}) {
		t.Errorf("refused %q", got)
	}
}

func TestSourceSettings(t *testing.T) {
	for _, c := range []struct {
		url     string
		refresh time.Duration
		token   bool
		want    int
	}{
		{defaultURL, defaultRefresh, true, 0},
		{defaultURL, 4 * time.Second, true, 1},
		{defaultURL, 6 * time.Minute, true, 1},
		{defaultURL, defaultRefresh, false, 1},
		{defaultURL, 2 * time.Minute, false, 0},
		{"https://github.acme.example/api/v3", defaultRefresh, false, 0},
	} {
		s := newSettings()
		s.URL, s.Refresh = c.url, kind.Duration(c.refresh)
		if c.token {
			s.HTTP.BearerTokenFile = "secrets/token"
		}
		told := 0
		s.Validate(func(path, _ string, _ any) {
			if path == "refresh" {
				told++
			}
		})
		if told != c.want {
			t.Errorf("%+v: %d rules are broken, want %d", c, told, c.want)
		}
	}
}

// Whatever is answered, nothing is known but from a known word of a completed
// run, and no link leads elsewhere than to the web.
func FuzzRuns(f *testing.F) {
	f.Add([]byte(`{"workflow_runs":[{"id":1,"status":"completed","conclusion":"success","head_branch":"main","event":"push","created_at":"2026-03-01T10:00:00Z","html_url":"javascript:alert(1)","head_repository":{"id":1}}]}`))
	f.Add([]byte(`{"workflow_runs":[{"id":1,"run_attempt":2,"status":"queued","conclusion":null,"created_at":"2026-03-01T10:00:00Z","head_repository":{}},null]}`))
	d := build(f, &DetectorSettings{}, nil)
	known := conclusions()
	f.Fuzz(func(t *testing.T, body []byte) {
		read, err := readReply(body)
		if err != nil {
			if len(err.Error()) > 500 {
				t.Errorf("error of %d bytes", len(err.Error()))
			}
			return
		}
		for _, r := range d.Judge([]signalbox.Answer{{Samples: samples(read.Runs, moment, strings.Clone)}}, nil, moment) {
			if told := known[r.Labels["conclusion"]]; r.Condition != signalbox.Unknown && told != health && told != illness {
				t.Errorf("known from nothing: %+v", r)
			}
			for _, l := range r.Links {
				if !strings.HasPrefix(l.Href, "https://") && !strings.HasPrefix(l.Href, "http://") {
					t.Errorf("link %q", l.Href)
				}
			}
		}
	})
}
