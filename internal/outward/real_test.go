package outward

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/test/servers"
)

// realLoki is a Loki, of which a tenant is ours, and a journal that is told to it.
type realLoki struct {
	*lab
	server *servers.LokiServer
	opts   LokiOptions
}

// TestRealLoki runs its stories against one Loki, each as a tenant of its own.
func TestRealLoki(t *testing.T) {
	server := servers.Loki(t, servers.LokiOptions{Tenants: true})
	for tenant, story := range map[string]func(*testing.T, *realLoki){
		"crashes": trailThroughCrashes, "still": lokiThatStandsStill, "promises": whatLokiDoes, "queries": documentedQueries,
	} {
		t.Run(tenant, func(t *testing.T) { story(t, newRealLoki(t, server, tenant)) })
	}
}

func newRealLoki(t *testing.T, server *servers.LokiServer, tenant string) *realLoki {
	return &realLoki{lab: newLab(t, ""), server: server, opts: LokiOptions{
		Name: "logs", URL: server.URL, Tenant: tenant, Timeout: 5 * time.Second, HTTP: promconfig.DefaultHTTPClientConfig,
		Labels: map[string]string{"job": "signalbox", "env": "test"}, Env: kind.Env{Now: time.Now, Agent: "signalbox"},
	}}
}

// begin is a start of the daemon.
func (r *realLoki) begin() (stop func()) {
	r.t.Helper()
	sink, err := NewLoki(r.opts)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	a := r.audit(10_000)
	a.o.Sink = sink
	return r.start(a)
}

// told waits until all that was written is told.
func (r *realLoki) told() {
	r.t.Helper()
	r.until("all to be told", func() bool { return r.marked() == uint64(r.written) })
}

// ask asks Loki as a person does.
func (r *realLoki) ask(path string, q url.Values) []byte {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.server.URL+path+"?"+q.Encode(), http.NoBody)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	req.Header.Set("X-Scope-OrgID", r.opts.Tenant)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	defer resp.Body.Close()
	var raw json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&raw); err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s, %v", q.Get("query"), resp.Status, err)
	}
	return raw
}

// lines are those that a query finds, by their numbers: equal ones twice.
func (r *realLoki) lines(query string) []string {
	r.t.Helper()
	found, err := decodeStreams(r.ask(rangePath, url.Values{
		"query": {query}, "limit": {"5000"}, "direction": {"forward"}, "since": {"3h"},
	}))
	if err != nil {
		r.t.Fatalf("%v", err)
	}
	seq := func(s stamped) int {
		var e struct{ Seq int }
		_ = json.Unmarshal([]byte(s.text), &e)
		return e.Seq
	}
	slices.SortStableFunc(found, func(a, b stamped) int { return seq(a) - seq(b) })
	texts := make([]string, len(found))
	for i, f := range found {
		texts[i] = f.text
	}
	return texts
}

// counted is how many lines Loki counts, without leaving out equal ones.
func (r *realLoki) counted() int {
	r.t.Helper()
	var v struct {
		Data struct {
			Result []struct {
				Value [2]any
			}
		}
	}
	raw := r.ask("/loki/api/v1/query", url.Values{"query": {`sum(count_over_time({job="signalbox"}[3h]))`}})
	if err := json.Unmarshal(raw, &v); err != nil || len(v.Data.Result) != 1 {
		r.t.Fatalf("%s: %v", raw, err)
	}
	text, _ := v.Data.Result[0].Value[1].(string)
	n, err := strconv.Atoi(text)
	if err != nil {
		r.t.Fatalf("%s: %v", raw, err)
	}
	return n
}

// mustHaveAll checks that Loki has each entry once, and that the chain can be
// verified on what it has.
func (r *realLoki) mustHaveAll(t *testing.T) {
	t.Helper()
	got := r.lines(`{job="signalbox", env="test"}`)
	if len(got) != r.written || r.counted() != r.written {
		t.Errorf("Loki has %d lines and counts %d, want %d", len(got), r.counted(), r.written)
	}
	mustChain(t, got)
}

// The story of an audit trail: a start, a crash after the acknowledgement and
// before the mark, a restart, a Loki that is killed in the middle and comes
// back. Loki has every entry once, and the chain holds.
func trailThroughCrashes(t *testing.T, r *realLoki) {
	r.write(700)
	stop := r.begin()
	r.told()
	r.mustHaveAll(t)

	r.marks.before.Store(1 << 40) // the process dies before it can put a mark
	r.write(120)
	r.until("Loki to have what was not marked", func() bool { return r.counted() == r.written })
	stop()
	r.marks.before.Store(0)
	r.write(30)
	stop = r.begin()
	r.told()
	r.mustHaveAll(t)

	r.server.Kill()
	r.write(300)
	failures := r.errors(stepAsk) + r.errors(stepPush)
	r.until("a failure", func() bool { return r.errors(stepAsk)+r.errors(stepPush) > failures })
	r.server.Restart()
	r.write(10)
	r.told()
	stop()
	r.mustHaveAll(t)
	if r.dropped(droppedOverflow)+r.dropped(droppedRefused) != 0 {
		t.Errorf("entries were dropped: %s", r.log.String())
	}
}

// A Loki that accepts connections and answers nothing holds nobody up, and has
// each entry once when it goes on.
func lokiThatStandsStill(t *testing.T, r *realLoki) {
	r.opts.Timeout = 500 * time.Millisecond
	stop := r.begin()
	r.write(20)
	r.told()
	r.server.Pause()
	r.write(200)
	r.until("two failures", func() bool { return r.errors(stepAsk)+r.errors(stepPush) >= 2 })
	r.server.Resume()
	r.write(20)
	r.told()
	stop()
	r.mustHaveAll(t)
}

// What the package's doc says of Loki: of a batch in which one line is too
// long the others are taken, and lines that are pushed again are there once.
func whatLokiDoes(t *testing.T, r *realLoki) {
	l := newTestLoki(t, r.opts)
	at := time.Now().Add(-time.Minute)
	lines := make([]Line, 200)
	for i := range lines {
		lines[i] = Line{uint64(i + 1), at.Add(time.Duration(i/3) * time.Millisecond), `{"seq":` + strconv.Itoa(i+1) + `,"x":"` + strings.Repeat("x", 2000) + `"}`}
	}
	for range 3 {
		if err := l.Push(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.lines(`{job="signalbox"}`); len(got) != len(lines) {
		t.Errorf("pushed three times, %d lines are found, want %d", len(got), len(lines))
	}
	has, err := l.Has(t.Context(), append(slices.Clone(lines[150:]), Line{201, at, "another"}))
	if err != nil || len(has) != 50 {
		t.Errorf("has %d, %v, want 50", len(has), err)
	}

	mixed := []Line{
		{301, at.Add(time.Second), `{"seq":301}`},
		{302, at.Add(time.Second), strings.Repeat("y", maxLine+1)},
		{303, at.Add(time.Second), `{"seq":303}`},
		{304, at.Add(time.Second), `{"seq":304,"x":"` + strings.Repeat("z", maxLine-18) + `"}`},
	}
	if len(mixed[3].Text) != maxLine {
		t.Fatalf("the line has %d bytes, want %d", len(mixed[3].Text), maxLine)
	}
	err = l.Push(t.Context(), mixed)
	if _, ok := errors.AsType[*Refused](err); !ok || !strings.Contains(err.Error(), "max entry size") {
		t.Fatalf("got %v", err)
	}
	has, err = l.Has(t.Context(), mixed)
	if err != nil || !has[301] || has[302] || !has[303] || !has[304] {
		t.Errorf("has %v, %v", has, err)
	}
}

// The queries of docs/operations.md find what they say.
func documentedQueries(t *testing.T, r *realLoki) {
	stop := r.begin()
	for _, k := range []journal.Kind{journal.Intent, journal.Receipt} {
		r.written++
		rec := journal.Record{Kind: k, Incident: incidentOf(1).ID, Action: "a", Data: map[string]any{"kind": "other", "n": 1}, Put: []journal.Change{journal.PutIncident(incidentOf(1))}}
		if _, err := r.journal.Write(t.Context(), nil, nil, []journal.Record{rec}, nil); err != nil {
			t.Fatal(err)
		}
	}
	r.write(3)
	r.told()
	stop()
	for query, want := range map[string]int{
		`{job="signalbox"} | json | kind="intent"`:               1,
		`{job="signalbox"} | json | incident="0000000000000001"`: 2,
	} {
		if got := r.lines(query); len(got) != want {
			t.Errorf("%s: %d lines, want %d", query, len(got), want)
		}
	}
}
