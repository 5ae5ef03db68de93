package bench

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/app"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
	"github.com/signalbox/signalbox/internal/store/mem"
)

// What the daemon of BenchmarkRecovery finds.
const (
	recoveryOpen = 100_000 // incidents
	recoveryPast = 300_000 // incidents that are over: three entries each
)

// BenchmarkRecovery starts the real binary on a store with 100,000 open
// incidents and an archive of 1,000,000 entries: after a stop in good order, and
// after a kill. It tells the time from exec until the daemon is ready, until a
// new alert has its 2xx, and until that one is paged, which its decision
// precedes, and the processor time until ready, which says more on a machine that is
// busy. Run it with -benchtime 1x -timeout 30m; with SIGNALBOX_RECOVERY the
// directory that it names, whose path must be short, is made once and used again.
func BenchmarkRecovery(b *testing.B) {
	dir := os.Getenv("SIGNALBOX_RECOVERY")
	if dir == "" {
		dir = shortDir(b)
	}
	pages := &paged{at: map[string]time.Time{}}
	_ = os.RemoveAll(filepath.Join(dir, "config"))
	writeStorm(b, filepath.Join(dir, "config"), pages)
	program := build(b, dir)
	if _, err := os.Stat(filepath.Join(dir, "data", "store")); err != nil {
		past(b, filepath.Join(dir, "data"))
		firstRun(b, program, dir)
	}
	for b.Loop() {
		restart(b, program, dir, "stop", pages, (*process).end)
		restart(b, program, dir, "kill", pages, func(p *process, _ *testing.B) {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		})
		restart(b, program, dir, "after-kill", pages, (*process).end)
	}
}

// restart starts the daemon, tells how long it took, and ends it.
func restart(b *testing.B, program, dir, name string, pages *paged, end func(*process, *testing.B)) {
	b.Helper()
	subject := fmt.Sprintf("one-%s-%d", name, time.Now().UnixNano())
	began := time.Now()
	team := fmt.Sprintf("ordinary-%d", began.UnixMilli()%ordinary) // several of one owner would be one page
	body := alertsMessage("Ordinary", began, time.Time{}, []string{subject}, team)
	p := run(b, program, dir)
	took := map[string]time.Duration{}
	eventually(b, "the daemon is ready", func() bool { return answers(b, p.control+"/-/ready") })
	took["ready"] = time.Since(began)
	cpu, storeCPU := spent(b, p.cmd.Process.Pid), spent(b, p.member(b))
	b.ReportMetric(cpu, name+"-ready-cpu-s")
	b.ReportMetric(storeCPU, name+"-ready-store-cpu-s")
	eventually(b, "a webhook is taken", func() bool { return p.takes(b, body) })
	took["2xx"] = time.Since(began)
	eventually(b, "it is decided and paged", func() bool {
		at, ok := pages.of("Ordinary/" + subject)
		took["page"] = at.Sub(began)
		return ok
	})
	for what, d := range took {
		b.ReportMetric(d.Seconds(), name+"-"+what+"-s")
	}
	b.Log(name, took)
	quietFor(b, dir, 5*time.Second)
	after := scrape(b, p.control)
	if open, frozen := total(after, "signalbox_incidents_open", ""), total(after, "signalbox_frozen", ""); open <= recoveryOpen || frozen != 0 {
		b.Errorf("%s: %.0f incidents are open, of %d and a new one; frozen: %.0f", name, open, recoveryOpen, frozen)
	}
	b.ReportMetric(resident(b, p.cmd.Process.Pid), name+"-rss-MB")
	b.ReportMetric(resident(b, p.member(b)), name+"-store-rss-MB")
	end(p, b)
}

// takes posts a message, and reports whether it got its 2xx: before the store is
// there it gets a 503, or nobody listens yet.
func (p *process) takes(b *testing.B, body []byte) bool {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, p.webhooks, strings.NewReader(string(body)))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// quietFor waits until nothing has been written to the journal for a while.
func quietFor(b *testing.B, dir string, still time.Duration) {
	b.Helper()
	s := dial(b, dir)
	j, err := journal.Open(b.Context(), s, journal.Options{Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	last, since := uint64(0), time.Now()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	for time.Since(since) < still {
		head, err := j.Head(ctx)
		if err != nil {
			b.Fatal(err)
		}
		if head != last {
			last, since = head, time.Now()
		}
		wait(b, 100*time.Millisecond)
	}
}

// firstRun has the daemon decide and page all that is open, as it would have
// over time.
func firstRun(b *testing.B, program, dir string) {
	b.Helper()
	p := run(b, program, dir)
	p.ready(b)
	quietFor(b, dir, 70*time.Second) // its archive is exported once a minute
	settle(b, p, dir)
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		b.Fatalf("%v: %s", err, p.said())
	}
}

// settle forgets the store's history, as the daemon does within two of its
// intervals of five minutes, and waits until what that frees is free, and the
// file made small where it is mostly free.
func settle(b *testing.B, p *process, dir string) {
	b.Helper()
	s := dial(b, dir)
	_, rev, err := s.List(b.Context(), "none/")
	if err == nil {
		err = s.Compact(b.Context(), rev)
	}
	if err != nil {
		b.Fatal(err)
	}
	last, since := 0.0, time.Now()
	for time.Since(since) < 10*time.Second {
		wait(b, time.Second)
		at := scrape(b, p.control)
		used := total(at, "signalbox_store_db_in_use_bytes", "")
		if used != last || used < total(at, "signalbox_store_db_size_bytes", "")/2 {
			last, since = used, time.Now()
		}
	}
}

// past makes the data directory: a journal is written over a store in memory and
// archived, and what is left in the store is copied to an embedded one.
func past(b *testing.B, data string) {
	b.Helper()
	ctx, s, now := b.Context(), mem.New(), time.Now().Add(-24*time.Hour)
	j, err := journal.Open(ctx, s, journal.Options{Now: func() time.Time { return now }, Dir: filepath.Join(data, "archive")})
	if err != nil {
		b.Fatal(err)
	}
	writes := 0
	write := func(recs []journal.Record) {
		rev, err := j.Write(ctx, nil, nil, recs, nil)
		if err == nil {
			if writes++; writes%100 == 0 {
				err = s.Compact(ctx, rev)
			}
		}
		if err == nil && writes%200 == 0 {
			err = j.Archive(ctx, 10_000)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	const each = 20 // incidents in a transaction
	for n := 0; n < recoveryPast; n += each {
		var recs, over []journal.Record
		var gone []signalbox.Key
		for i := n; i < n+each; i++ {
			inc := pastIncident(i, now)
			recs = append(recs, journal.Record{Kind: journal.IncidentOpened, Incident: inc.ID, Put: []journal.Change{journal.PutIncident(inc)}},
				journal.Record{Kind: journal.Decision, Incident: inc.ID, Data: map[string]string{"verdict": "escalate"}})
			closed := *inc
			closed.ClosedAt, closed.End = now, signalbox.Escalated
			over = append(over, journal.Record{Kind: journal.IncidentClosed, Incident: inc.ID, Put: []journal.Change{journal.PutIncident(&closed)}})
			gone = append(gone, signalbox.IncidentKey(inc.ID))
		}
		write(recs)
		write(over)
		write([]journal.Record{{Kind: journal.IncidentForgotten, Delete: gone}})
	}
	for n := 0; n < recoveryOpen; n += each {
		var recs []journal.Record
		for i := n; i < n+each; i++ {
			inc := pastIncident(recoveryPast+i, now)
			recs = append(recs, journal.Record{Kind: journal.IncidentOpened, Incident: inc.ID, Put: []journal.Change{journal.PutIncident(inc)}})
		}
		write(recs)
	}
	if err := j.Archive(ctx, 10_000); err != nil {
		b.Fatal(err)
	}
	copyStore(b, s, filepath.Join(data, "store"))
}

// pastIncident is an alert's incident.
func pastIncident(i int, now time.Time) *signalbox.Incident {
	team := fmt.Sprintf("team-%d", i%stormOwners)
	r := signalbox.Reading{
		Detector: team, Series: fmt.Sprintf("%016x", i), Episode: now.UTC().Format(time.RFC3339Nano), Condition: signalbox.Breached, Threshold: "firing",
		Subject: fmt.Sprintf("Alert%02d/10.%d.%d.%d:9100", i%100, i>>16, i>>8&255, i&255),
		Labels: map[string]string{
			"alertname": fmt.Sprintf("Alert%02d", i%100), "cluster": "eu-1", "instance": fmt.Sprintf("10.%d.%d.%d:9100", i>>16, i>>8&255, i&255),
			"job": "node", "namespace": "core", "severity": "critical", "team": team,
		},
		SampleAt: now, At: now, OnsetAt: now, WellAt: now, Owner: team, Summary: "p99 latency is 1.2s",
		Links: []signalbox.Link{{Text: "runbook", Href: "https://runbooks.example/latency"}, {Text: "expression", Href: "http://prometheus:9090/graph?g0.expr=x&g0.tab=1"}},
	}
	return &signalbox.Incident{ID: signalbox.NewIncidentID(r), DedupKey: signalbox.DedupKey(r), Reading: r, Owner: team, OnsetAt: now, OpenedAt: now, WellAt: now}
}

// copyStore writes all keys of a store to a new embedded one.
func copyStore(b *testing.B, from store.Store, dir string) {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	to, err := etcd.Start(b.Context(), etcd.EmbeddedOptions{Dir: dir, Binary: []string{self, app.MemberCommand}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	if err := to.Await(ctx); err != nil {
		b.Fatal(err)
	}
	kvs, _, err := from.List(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	txn := store.Txn{}
	for i, kv := range kvs {
		txn.Puts = append(txn.Puts, store.Put{Key: kv.Key, Value: kv.Value})
		if len(txn.Puts) == 100 || txn.Size() > store.MaxBytes/2 || i == len(kvs)-1 {
			if _, err := to.Commit(b.Context(), txn); err != nil {
				b.Fatal(err)
			}
			txn = store.Txn{}
		}
	}
	if err := to.Close(); err != nil {
		b.Fatal(err)
	}
}
