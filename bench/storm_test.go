package bench

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/test/standin/pagerduty"
)

// The storm: 100 groups of 100 alerts that fire at once, each posted whole ten
// times within a minute, as Alertmanager does with what goes on firing. In
// the last round some groups are resolved.
const (
	stormGroups   = 100
	stormAlerts   = 100 // in a group
	stormRounds   = 10
	stormEvery    = 6 * time.Second
	stormOwners   = 5
	stormResolved = 10 // groups
	// ordinary incidents come in the midst, each of an owner of its own.
	ordinary = 11
)

// BenchmarkStorm posts 100,000 alerts, of which 10,000 are distinct, to the real
// binary in a minute, and beside them ordinary incidents: of these it tells how
// long it takes from their 2xx to their decision and to their page. That each
// alert with a 2xx is accounted for is checked in the journal and in the state.
// Run it with -benchtime 1x.
func BenchmarkStorm(b *testing.B) {
	for b.Loop() {
		storm(b)
	}
}

func storm(b *testing.B) {
	dir := shortDir(b)
	pages := &paged{at: map[string]time.Time{}}
	writeStorm(b, filepath.Join(dir, "config"), pages)
	d := launch(b, dir)
	d.ready(b)
	began := time.Now()
	sent := d.pour(b, began)
	b.ReportMetric(time.Since(began).Seconds(), "storm-s")
	before := scrape(b, d.control)
	b.ReportMetric(total(before, "signalbox_incidents_open", ""), "open-at-end")
	s := dial(b, dir)
	j, err := journal.Open(b.Context(), s, journal.Options{Now: time.Now, Dir: filepath.Join(dir, "data", "archive")})
	if err != nil {
		b.Fatal(err)
	}
	ended := time.Now()
	(&daemon{store: s}).drained(b)
	b.ReportMetric(quiet(b, j).Sub(ended).Seconds(), "drain-s")
	after := scrape(b, d.control)
	b.ReportMetric(total(after, "signalbox_page_events_total", "sent"), "page-events")
	b.ReportMetric(resident(b, d.cmd.Process.Pid), "rss-MB")
	b.ReportMetric(resident(b, d.member(b)), "store-rss-MB")
	b.ReportMetric(total(after, "process_cpu_seconds_total", ""), "cpu-s")
	b.ReportMetric(slowest(after, "signalbox_decide_seconds"), "decide-round-max-s")
	if n := total(after, "signalbox_readings_received_total", ""); n != stormGroups*stormAlerts*stormRounds+ordinary {
		b.Errorf("the daemon counts %.0f readings, %d got their 2xx", n, stormGroups*stormAlerts*stormRounds+ordinary)
	}
	accounted(b, j)
	prompt(b, j, sent, pages)
}

// pour posts the storm, and returns when each ordinary incident got its 2xx.
func (d *process) pour(b *testing.B, began time.Time) (sent map[string]time.Time) {
	at := &daemon{webhooks: d.webhooks}
	var all sync.WaitGroup
	var lock sync.Mutex
	var took []time.Duration
	sent = map[string]time.Time{}
	for g := range stormGroups {
		firing := stormMessage(g, began, time.Time{})
		all.Go(func() {
			for round := range stormRounds {
				due := began.Add(time.Duration(round)*stormEvery + time.Duration(g)*stormEvery/stormGroups)
				until(b, due)
				body := firing
				if round == stormRounds-1 && g < stormResolved {
					body = stormMessage(g, began, due)
				}
				at.post(b, body)
				lock.Lock()
				took = append(took, time.Since(due))
				lock.Unlock()
			}
		})
	}
	for i := range ordinary {
		all.Go(func() {
			until(b, began.Add(time.Duration(i)*stormEvery*stormRounds/ordinary+time.Second))
			at.post(b, alertsMessage("Ordinary", time.Now(), time.Time{}, []string{fmt.Sprintf("one-%d", i)}, fmt.Sprintf("ordinary-%d", i)))
			lock.Lock()
			sent[fmt.Sprintf("Ordinary/one-%d", i)] = time.Now()
			lock.Unlock()
		})
	}
	all.Wait()
	slices.Sort(took)
	b.ReportMetric(float64(len(took)*stormAlerts)/time.Since(began).Seconds(), "alerts/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1e3, "post-p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1e3, "post-p99-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1e3, "post-max-ms")
	return sent
}

// quiet waits until the journal stands still, for longer than a group's page
// gathers, and returns since when it does.
func quiet(b *testing.B, j *journal.Journal) (since time.Time) {
	last := uint64(0)
	eventually(b, "the journal stands still", func() bool {
		head, err := j.Head(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if head != last {
			last, since = head, time.Now()
		}
		return time.Since(since) > 4*time.Second
	})
	return since
}

// until waits for a moment of the schedule: the storm comes when it comes.
func until(b *testing.B, at time.Time) {
	ctx, cancel := context.WithDeadline(b.Context(), at)
	defer cancel()
	<-ctx.Done()
}

// accounted checks that each distinct alert is one incident, opened once in the
// journal, which is as it should be now, and on one page that was sent.
func accounted(b *testing.B, j *journal.Journal) {
	b.Helper()
	state, _, err := j.Load(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	opened := map[signalbox.IncidentID]int{}
	for e, err := range j.Read(b.Context(), 0, 0) {
		if err != nil {
			b.Fatal(err)
		}
		if e.Kind == journal.IncidentOpened {
			opened[e.Incident]++
		}
	}
	on := map[signalbox.IncidentID]int{}
	for _, p := range state.Pages {
		if p.Sent != p.Want {
			b.Errorf("page %s is owed", p.Key)
		}
		for _, id := range p.Incidents {
			on[id]++
		}
	}
	b.ReportMetric(float64(len(state.Pages)), "pages")
	of := map[string]*signalbox.Incident{}
	for _, inc := range state.Incidents {
		if of[inc.Reading.Subject] != nil {
			b.Errorf("%s has two incidents", inc.Reading.Subject)
		}
		of[inc.Reading.Subject] = inc
	}
	lost := 0
	for g := range stormGroups {
		for _, instance := range instances(g) {
			inc := of[groupName(g)+"/"+instance]
			if inc == nil || opened[inc.ID] != 1 || inc.Closed() != (g < stormResolved) || !inc.Closed() && on[inc.ID] != 1 {
				lost++
			}
		}
	}
	if lost > 0 || len(of) != stormGroups*stormAlerts+ordinary {
		b.Errorf("%d alerts with a 2xx are not accounted for; there are %d incidents for %d alerts", lost, len(of), stormGroups*stormAlerts+ordinary)
	}
	if _, err := j.Verify(b.Context()); err != nil {
		b.Error(err)
	}
}

// prompt tells how long the ordinary incidents took.
func prompt(b *testing.B, j *journal.Journal, sent map[string]time.Time, pages *paged) {
	b.Helper()
	state, _, err := j.Load(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	decided := map[string]time.Time{}
	for e, err := range j.Read(b.Context(), 0, 0) {
		if err != nil {
			b.Fatal(err)
		}
		if inc := state.Incidents[e.Incident]; inc != nil && e.Kind == journal.Decision && decided[inc.Reading.Subject].IsZero() {
			decided[inc.Reading.Subject] = e.At
		}
	}
	var decisions, paging []time.Duration
	for _, subject := range slices.Sorted(maps.Keys(sent)) {
		page, ok := pages.of(subject)
		if !ok || decided[subject].IsZero() {
			b.Errorf("%s was not decided, or not paged", subject)
			continue
		}
		decisions, paging = append(decisions, decided[subject].Sub(sent[subject])), append(paging, page.Sub(sent[subject]))
	}
	if len(paging) < len(sent) {
		return
	}
	b.Log("from the 2xx to the page:", paging)
	b.ReportMetric(slices.Max(decisions).Seconds(), "decision-max-s")
	b.ReportMetric(slices.Max(paging).Seconds(), "page-max-s")
}

// paged notes when the pager got each subject's page first.
type paged struct {
	lock sync.Mutex
	at   map[string]time.Time
}

func (p *paged) seen(e pagerduty.Event) {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.at[e.Payload.Source].IsZero() {
		p.at[e.Payload.Source] = time.Now()
	}
}

func (p *paged) of(subject string) (time.Time, bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	at, ok := p.at[subject]
	return at, ok
}

// slowest is the upper bound of the last bucket of a histogram that has
// something.
func slowest(m map[string]*dto.MetricFamily, name string) (most float64) {
	for _, one := range m[name].GetMetric() {
		before := uint64(0)
		for _, bucket := range one.GetHistogram().GetBucket() {
			if bucket.GetCumulativeCount() > before {
				most = bucket.GetUpperBound()
			}
			before = bucket.GetCumulativeCount()
		}
	}
	return most
}

func groupName(g int) string { return fmt.Sprintf("Alert%02d", g) }

func instances(g int) []string {
	names := make([]string, stormAlerts)
	for i := range names {
		names[i] = fmt.Sprintf("10.0.%d.%d:9100", g, i)
	}
	return names
}

func stormMessage(g int, from, ended time.Time) []byte {
	return alertsMessage(groupName(g), from, ended, instances(g), fmt.Sprintf("team-%d", g%stormOwners))
}

// alertsMessage is a message of Alertmanager for one group; zero ended: it fires.
func alertsMessage(name string, from, ended time.Time, instances []string, team string) []byte {
	status := "firing"
	if !ended.IsZero() {
		status = "resolved"
	}
	var m bytes.Buffer
	fmt.Fprintf(&m, `{"receiver":"signalbox","status":%q,"alerts":[`, status)
	for i, instance := range instances {
		if i > 0 {
			m.WriteByte(',')
		}
		fmt.Fprintf(&m, `{"status":%q,"labels":{"alertname":%q,"cluster":"eu-1","instance":%q,"job":"node","namespace":"core","severity":"critical","team":%q},`+
			`"annotations":{"summary":"p99 latency of %s is 1.2s","description":"It has been above 1s for 5 minutes.","runbook_url":"https://runbooks.example/latency"},`+
			`"startsAt":%q,"endsAt":%q,"generatorURL":"http://prometheus:9090/graph?g0.expr=x\u0026g0.tab=1"}`,
			status, name, instance, team, instance, from.UTC().Format(time.RFC3339Nano), ended.UTC().Format(time.RFC3339Nano))
	}
	fmt.Fprintf(&m, `],"groupLabels":{"alertname":%q},"commonLabels":{"alertname":%q},"commonAnnotations":{},"externalURL":"http://alertmanager:9093","version":"4","groupKey":"{}:{alertname=\"%s\"}","truncatedAlerts":0}`,
		name, name, name)
	return m.Bytes()
}

// writeStorm writes the configuration: a detector and an owner for each team.
func writeStorm(b *testing.B, dir string, pages *paged) {
	b.Helper()
	pager, err := pagerduty.New(pagerduty.Options{Keys: []string{pagerKey}, Seen: pages.seen})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(pager)
	b.Cleanup(func() { pager.Close(); server.Close() })
	var teams []string
	for i := range stormOwners {
		teams = append(teams, fmt.Sprintf("team-%d", i))
	}
	for i := range ordinary {
		teams = append(teams, fmt.Sprintf("ordinary-%d", i))
	}
	var owners, detectors strings.Builder
	for _, team := range teams {
		fmt.Fprintf(&owners, "  %s: {primary: \"@%s\", escalation: pagerduty, pagerduty: {primary_key_file: pager, url: %q}}\n", team, team, server.URL)
		fmt.Fprintf(&detectors, "  - {name: %s, source: alerts, match: {team: %s}, owner: %s, subject: \"{{alertname}}/{{instance}}\"}\n", team, team, team)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"pager": pagerKey,
		"token": token,
		"storm.yaml": "default_owner: team-0\nowners:\n" + owners.String() +
			"sources:\n  alerts: {kind: alertmanager, receive: " + path + ", auth: {bearer_file: token}, reconcile: 0}\ndetectors:\n" + detectors.String(),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}
