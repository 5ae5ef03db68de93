package loki

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/track"
	"github.com/signalbox/signalbox/test/servers"
)

// now is the wall clock's moment. A real Loki takes lines of the past, so rounds
// are asked at moments of the test's own, up to this, and at most 3h before:
// what lies further back Loki looks for in its store only.
func now() time.Time { return time.Now().UTC().Truncate(time.Second) }

func connect(t testing.TB, l *servers.LokiServer, change func(*Settings)) *Source {
	t.Helper()
	s := newSettings()
	s.URL = l.URL
	if change != nil {
		change(s)
	}
	mustBeGood(t, problems(s))
	opened, err := Kind().Open("logs", s, kind.Env{Agent: "signalbox/test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return opened.(*Source)
}

func mustBeGood(t testing.TB, got []string) {
	t.Helper()
	if len(got) > 0 {
		t.Fatalf("%q", got)
	}
}

func build(t testing.TB, d *DetectorSettings, about string) (signalbox.Detector, track.Timing) {
	t.Helper()
	mustBeGood(t, problems(d))
	det, timing, err := d.Build(kind.Common{Name: "failures", Source: "logs", Subject: subject(t, about), Interval: 15 * time.Second, UnknownAfter: 5 * time.Minute}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return det, timing
}

// words is a round in words: "psp/eu breached 3".
func words(rs []signalbox.Reading) string {
	var out []string
	for _, r := range rs {
		text := r.Subject + " " + r.Condition.String()
		if r.HasValue {
			text += fmt.Sprintf(" %v", float64(r.Value))
		}
		out = append(out, text)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func line(at time.Time, event int) servers.Line {
	return servers.Line{At: at, Text: fmt.Sprintf("webhook failed event_id=evt_%08d try=1 flow_id=%s", event, flow)}
}

func event(n int) string { return fmt.Sprintf("evt_%08d", n) }

var psp = map[string]string{"app": "psp", "env": "eu"}

func TestRealValues(t *testing.T) {
	t.Parallel()
	l := servers.Loki(t, servers.LokiOptions{})
	s := connect(t, l, nil)
	at := now().Add(-time.Hour)
	ago := func(d time.Duration) time.Time { return at.Add(-d) }
	var lines []servers.Line
	for i := range 30 {
		lines = append(lines, servers.Line{At: ago(time.Duration(i+1) * time.Second), Text: "failed"})
	}
	l.Push("", psp, lines...)
	l.Push("", map[string]string{"app": "psp", "env": "us"}, servers.Line{At: ago(time.Minute), Text: "ok"})
	look := func(d *DetectorSettings, was map[string]signalbox.Reading, at time.Time) []signalbox.Reading {
		det, _ := build(t, d, "psp/{{env}}")
		return det.Judge(s.Ask(t.Context(), det.Questions(), at), was, at)
	}
	d := rateSettings(t)
	d.Query = `sum by (env) (count_over_time({app="psp"} |= "failed" [5m]))`
	first := look(d, nil, at)
	if got := words(first); got != "psp/eu breached 30" {
		t.Errorf("got %s", got)
	}
	was := map[string]signalbox.Reading{first[0].Series: first[0]}
	l.Push("", psp, servers.Line{At: at.Add(5 * time.Minute), Text: "ok"})
	if got := words(look(d, was, at.Add(6*time.Minute))); got != "psp/eu clear" {
		t.Errorf("no failed line, and others prove that the log is written: got %s", got)
	}
	if got := words(look(d, was, at.Add(20*time.Minute))); got != "failures unknown, psp/eu unknown" {
		t.Errorf("no line at all: got %s", got)
	}
	d.Presence = ""
	if got := words(look(d, was, at.Add(6*time.Minute))); got != "failures unknown, psp/eu unknown" {
		t.Errorf("no failed line, and no presence: got %s", got)
	}
	d.Query, d.Presence = `sum(count_over_time({app="psp"} |= "failed" [5m])) or vector(0)`, presenceQuery
	det, _ := build(t, d, "psp")
	if got := words(det.Judge(s.Ask(t.Context(), det.Questions(), at.Add(20*time.Minute)), nil, at.Add(20*time.Minute))); got != "psp unknown" {
		t.Errorf("a vector(0) of a log that is not written: got %s", got)
	}
	if skew, known := s.Skew(); !known || skew.Abs() > time.Minute {
		t.Errorf("skew %s, %v", skew, known)
	}
}

// What Loki itself says of what it does not take is in the reading, in a line.
func TestRealErrors(t *testing.T) {
	t.Parallel()
	l := servers.Loki(t, servers.LokiOptions{Lines: 500})
	lines := func(query string, back time.Duration) string {
		return question{query: query, back: back, reach: back, lines: 9}.text()
	}
	s := connect(t, l, func(s *Settings) { s.PageSize = 500 })
	for query, want := range map[string]string{
		`sum(rate({app="psp"}[5m])) and`:                   "HTTP 400 Bad Request: parse error",
		`rate({app=~".*"}[5m])`:                            "HTTP 400 Bad Request: parse error",
		linesQuery:                                         "HTTP 400 Bad Request: log queries are not supported as an instant query type",
		lines(`{app="psp"} |~ "("`, time.Minute):           "HTTP 400 Bad Request: parse error",
		lines(`{app="psp"} | nothing`, time.Minute):        "HTTP 400 Bad Request: parse error",
		lines(`{app="psp"} | json | x > `, time.Minute):    "HTTP 400 Bad Request: parse error",
		lines(linesQuery, 1000*time.Hour):                  "HTTP 400 Bad Request: the query time range exceeds the limit",
		lines(`sum(rate({app="psp"}[5m]))`, 5*time.Minute): "the query gives values, and one that selects lines was expected",
	} {
		at := now()
		a := s.Ask(t.Context(), []signalbox.Question{{Source: "logs", Query: query}}, at)[0]
		if a.Err == nil || !strings.HasPrefix(a.Err.Error(), want) {
			t.Errorf("%s: got %v, want %s", query, a.Err, want)
		} else {
			t.Log(a.Err)
		}
	}
	large := connect(t, l, nil)
	const want = "HTTP 400 Bad Request: max entries limit per query exceeded, limit > max_entries_limit_per_query (1000 > 500)"
	if a := large.Ask(t.Context(), []signalbox.Question{{Query: streamText}}, now())[0]; a.Err == nil || a.Err.Error() != want {
		t.Errorf("got %v, want %s", a.Err, want)
	}
}

// daemon is what the daemon does with a stream, round by round: what was known
// is judged, tracked, and kept.
type daemon struct {
	detector signalbox.Follower
	source   signalbox.Source
	timing   track.Timing
	tracker  *track.Tracker
	told     map[string][]string // ids by the incident (its series and onset) that they were told in
	last     []signalbox.Reading
}

func follow(t testing.TB, d *DetectorSettings, about string, s signalbox.Source) *daemon {
	det, timing := build(t, d, about)
	made := &daemon{detector: det.(signalbox.Follower), source: s, timing: timing, told: map[string][]string{}}
	made.tracker = newTracker(made)
	return made
}

func newTracker(d *daemon) *track.Tracker { return track.New(d.timing, time.Hour) }

func (d *daemon) round(ctx context.Context, at time.Time) string {
	answers := d.source.Ask(ctx, d.detector.QuestionsSince(d.tracker.Good()), at)
	return d.judge(answers, at)
}

func (d *daemon) judge(answers []signalbox.Answer, at time.Time) string {
	out, edges := d.tracker.Step(d.detector.Judge(answers, d.tracker.Last(), at), at)
	for _, e := range edges {
		if e.Condition == signalbox.Breached {
			d.told[e.Series+" "+e.OnsetAt.String()] = e.Items
		}
	}
	d.last = out
	return words(out)
}

// restart begins anew with what was durable: what is open, and a moment of the
// last good round that is some seconds old.
func (d *daemon) restart(behind time.Duration) {
	open, good := d.tracker.Open(), d.tracker.Good()
	d.tracker = newTracker(d)
	if !good.IsZero() {
		good = good.Add(-behind)
	}
	d.tracker.Restore(open, good)
}

// ids are all that were told, in all incidents, sorted.
func (d *daemon) ids() []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(d.told)) {
		all = append(all, d.told[key]...)
	}
	slices.Sort(all)
	return all
}

// Events come while rounds are asked, on time and late, the daemon restarts in
// between, and is down for a while: each id is told, and once.
func TestRealStream(t *testing.T) {
	t.Parallel()
	l := servers.Loki(t, servers.LokiOptions{})
	s := connect(t, l, func(s *Settings) { s.PageSize = 50 })
	settings := logSettings(t)
	settings.Logs.Window, settings.Logs.Delay = kind.Duration(time.Minute), kind.Duration(2*time.Minute)
	d := follow(t, settings, "psp/{{env}}", s)
	at := now().Add(-2 * time.Hour)
	var want []string
	fail := func(when time.Time) {
		l.Push("", psp, line(when, len(want)))
		want = append(want, event(len(want)))
	}
	for i := range 200 { // 50 minutes
		at = at.Add(15 * time.Second)
		l.Push("", psp, servers.Line{At: at.Add(-time.Millisecond), Text: "webhook sent"})
		switch i % 40 {
		case 3, 4, 5:
			fail(at.Add(-time.Second))
			fail(at.Add(-110 * time.Second)) // late
		case 6:
			fail(at.Add(-15 * time.Second)) // the moment of the round before, which is not in its range
			fail(at)                        // and of this
		case 7:
			d.restart(10 * time.Second)
		case 30: // when the incident is over, or nearly
			d.restart(10 * time.Second)
		}
		if i > 80 && i < 110 {
			continue // the daemon is down
		}
		if got := d.round(t.Context(), at); strings.Contains(got, "unknown") {
			t.Fatalf("round %d: %s, %+v", i, got, d.last)
		}
	}
	slices.Sort(want)
	if got := d.ids(); !slices.Equal(got, want) {
		t.Errorf("told %d ids in %d incidents\n%v\nwant %d\n%v", len(got), len(d.told), got, len(want), want)
	}
	if len(d.told) < 4 {
		t.Errorf("%d incidents: the test is to have several, one after the other", len(d.told))
	}
}

func TestRealPages(t *testing.T) {
	t.Parallel()
	l := servers.Loki(t, servers.LokiOptions{})
	at := now().Add(-time.Hour)
	const page = 100
	s := connect(t, l, func(s *Settings) { s.PageSize = page })
	var lines []servers.Line
	for i := range 250 { // in several streams, and many at one time
		lines = append(lines, line(at.Add(-2*time.Minute+time.Duration(i/60)*time.Second), i))
	}
	for i, chunk := range slices.Collect(slices.Chunk(lines, 25)) {
		l.Push("", map[string]string{"app": "psp", "env": fmt.Sprint("e", i%3)}, chunk...)
	}
	read := func(most int) signalbox.Answer {
		q := question{query: linesQuery, back: 5 * time.Minute, reach: time.Hour, lines: most}
		return s.Ask(t.Context(), []signalbox.Question{{Source: "logs", Query: q.text()}}, at)[0]
	}
	a := read(1000)
	seen := map[string]bool{}
	for _, sample := range a.Samples {
		seen[sample.Text] = true
	}
	if a.Err != nil || len(a.Samples) != len(lines) || len(seen) != len(lines) || len(a.Warnings) > 0 {
		t.Errorf("%d samples, %d different, want %d: %v %v", len(a.Samples), len(seen), len(lines), a.Warnings, a.Err)
	}
	if !slices.IsSortedFunc(a.Samples, func(a, b signalbox.Sample) int { return a.At.Compare(b.At) }) {
		t.Error("the lines are not in the order of their time")
	}
	if a := read(120); a.Err != nil || len(a.Samples) != 120 || len(a.Warnings) != 1 || !strings.Contains(a.Warnings[0], "more lines") {
		t.Errorf("%d samples, %v, %v: want the first 120, and a warning", len(a.Samples), a.Warnings, a.Err)
	}
	same := at.Add(-time.Minute)
	for i := range page { // a page of one time, and more behind
		l.Push("", psp, line(same, 1000+i))
	}
	l.Push("", psp, line(same.Add(time.Second), 2000))
	if a := read(1000); a.Err == nil || !strings.Contains(a.Err.Error(), "have the same time") {
		t.Errorf("%d samples, %v: want an error that says that they have the same time", len(a.Samples), a.Err)
	}
	wider := connect(t, l, func(s *Settings) { s.PageSize = page + 1 })
	q := question{query: linesQuery, back: 5 * time.Minute, reach: time.Hour, lines: 1000}
	if a := wider.Ask(t.Context(), []signalbox.Question{{Query: q.text()}}, at)[0]; a.Err != nil || len(a.Samples) != len(lines)+page+1 {
		t.Errorf("%d samples, %v, want %d", len(a.Samples), a.Err, len(lines)+page+1)
	}
}

func TestRealTenants(t *testing.T) {
	t.Parallel()
	l := servers.Loki(t, servers.LokiOptions{Tenants: true})
	at := now().Add(-time.Hour)
	for i, tenant := range []string{"a", "b"} {
		l.Push(tenant, psp, line(at.Add(-time.Minute), i), servers.Line{At: at.Add(-time.Second), Text: "webhook sent"})
	}
	for tenant, want := range map[string]string{"a": event(0), "b": event(1), "a|b": event(0) + " " + event(1)} {
		s := connect(t, l, func(s *Settings) { s.Tenant = tenant })
		d := follow(t, logSettings(t), "psp/{{env}}", s)
		d.round(t.Context(), at)
		if got := strings.Join(d.ids(), " "); got != want {
			t.Errorf("tenant %s: %s, want %s: %+v", tenant, got, want, d.last)
		}
	}
	if a := connect(t, l, nil).Ask(t.Context(), []signalbox.Question{{Query: streamText}}, at)[0]; a.Err == nil || !strings.Contains(a.Err.Error(), "HTTP 401") {
		t.Errorf("without a tenant: %v", a.Err)
	}
}

// Loki is away for a while: everything is Unknown, nothing is lost or told
// twice, and what was written meanwhile is read.
func TestRealLokiStops(t *testing.T) {
	t.Parallel()
	l := servers.Loki(t, servers.LokiOptions{})
	d := follow(t, logSettings(t), "psp/{{env}}", connect(t, l, nil))
	at := now().Add(-2 * time.Hour)
	sent := func() { l.Push("", psp, servers.Line{At: at.Add(-time.Second), Text: "webhook sent"}) }
	sent()
	l.Push("", psp, line(at.Add(-time.Minute), 0))
	if got := d.round(t.Context(), at); got != "psp/eu breached 1" {
		t.Fatal(got)
	}
	l.Stop()
	for range 3 {
		at = at.Add(15 * time.Second)
		if got := d.round(t.Context(), at); got != "failures unknown, psp/eu unknown" || !strings.Contains(d.last[0].Reason, "connection refused") {
			t.Fatalf("%s: %+v", got, d.last)
		}
	}
	l.Restart()
	l.Push("", psp, line(at.Add(-20*time.Second), 1)) // kept by its sender while Loki was away
	at = at.Add(20 * time.Minute)
	sent()
	servers.Await(t, servers.Patience, "a good round", func(ctx context.Context) error {
		if got := d.round(ctx, at); got != "psp/eu breached 2" {
			return fmt.Errorf("%s: %+v", got, d.last)
		}
		return nil
	})
	if got := d.ids(); !slices.Equal(got, []string{event(0), event(1)}) {
		t.Errorf("told %v", got)
	}
	for range 12 {
		at = at.Add(time.Minute)
		sent()
		d.round(t.Context(), at)
	}
	if open := d.tracker.Open(); len(open) > 0 {
		t.Errorf("still open: %+v", open)
	}
}
