package acceptance

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// How many detectors are shared, and how often each is asked.
const (
	sharedDetectors = 60
	sharedEvery     = 8 * time.Second
)

// asked is a proxy before Prometheus that counts what is asked.
type asked struct {
	url string
	mu  sync.Mutex
	by  map[string]int // by query
}

func newAsked(t *testing.T, metrics string) *asked {
	t.Helper()
	to, err := url.Parse(metrics)
	if err != nil {
		t.Fatal(err)
	}
	a, proxy := &asked{by: map[string]int{}}, httputil.NewSingleHostReverseProxy(to)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // who asked is gone
		}
		said, _ := url.QueryUnescape(r.URL.RawQuery + " " + string(body))
		a.mu.Lock()
		for i := range sharedDetectors {
			if strings.Contains(said, fmt.Sprintf("%q", lane(i))) {
				a.by[lane(i)]++
			}
		}
		a.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func lane(i int) string { return fmt.Sprintf("lane-%d", i) }

// since returns how often each was asked since the last call.
func (a *asked) since() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	by := a.by
	a.by = map[string]int{}
	return by
}

// shares is how many questions each replica asked, as the leader counts.
func (b *box) shares() (map[string]float64, error) {
	body, err := b.metrics()
	by := map[string]float64{}
	for _, line := range strings.Split(body, "\n") {
		rest, ok := strings.CutPrefix(line, `signalbox_share_questions_total{replica="`)
		if name, value, both := strings.Cut(rest, `"} `); ok && both {
			if by[name], err = strconv.ParseFloat(value, 64); err != nil {
				return nil, err
			}
		}
	}
	return by, err
}

// asks waits until, in the time of two rounds, exactly the named replicas were asking for
// the leader.
func (h *house) asks(leader *box, names ...string) {
	h.t.Helper()
	before, at := map[string]float64(nil), time.Time{}
	servers.Await(h.t, 3*servers.Patience, fmt.Sprintf("%q to ask for %s", names, leader.name), func(context.Context) error {
		now, err := leader.shares()
		if err != nil {
			return err
		}
		if before == nil || time.Since(at) > 4*sharedEvery {
			before, at = now, time.Now()
		}
		if time.Since(at) < 2*sharedEvery {
			return fmt.Errorf("not looked for long enough")
		}
		var who []string
		for name, n := range now {
			if n > before[name] {
				who = append(who, name)
			}
		}
		slices.Sort(who)
		slices.Sort(names)
		if !slices.Equal(who, names) {
			return fmt.Errorf("questions before %v, now %v", before, now)
		}
		return nil
	})
}

// once looks at what Prometheus is asked: each detector once in its interval,
// whoever asks. Two that ask the same would be seen; a few rounds more or fewer
// are a busy machine's.
func (a *asked) once(h *house) {
	h.t.Helper()
	const rounds, borne = 4, 3
	a.since()
	h.steadily(rounds*sharedEvery, "", func() error { return nil })
	by := a.since()
	if len(by) != sharedDetectors {
		h.t.Errorf("%d of %d detectors were asked for", len(by), sharedDetectors)
	}
	sum := 0
	for name, n := range by {
		if sum += n; n < rounds-borne || n > rounds+borne {
			h.t.Errorf("%s was asked for %d times in %d intervals", name, n, rounds)
		}
	}
	if want := rounds * sharedDetectors; sum < want/2 || sum > want*3/2 {
		h.t.Errorf("%d questions were asked in %d intervals, want about %d", sum, rounds, want)
	}
}

// Three replicas share the asking: each detector is asked for once in its
// interval, by one of them. A standby is stopped, killed and started again, the
// leader is killed: who is left asks all of it, and the source is not lost; who
// comes takes a share. What another replica saw is paged by the leader.
func TestReplicasShareTheAsking(t *testing.T) {
	t.Parallel()
	exporter := servers.Exporter(t)
	for i := range sharedDetectors {
		exporter.Set("lane_depth", 1, "lane", lane(i))
	}
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"lanes": {exporter.Host()}}})
	seen := newAsked(t, metrics.URL)
	h := newHouse(t)
	var text strings.Builder
	fmt.Fprintf(&text, "sources:\n  metrics: {kind: prometheus, url: %q, timeout: 7s, unknown_after: 60s}\ndetectors:\n", seen.url)
	for i := range sharedDetectors {
		fmt.Fprintf(&text, "  - {name: %s, source: metrics, query: 'lane_depth{lane=%q}', interval: %s, breach: {above: 100, for: 0s}, subject: %q, owner: devops}\n",
			lane(i), lane(i), sharedEvery, "lane/"+lane(i))
	}
	h.write("lanes.yaml", text.String())
	h.open()
	leader, others := h.leader()
	all := []string{"one", "two", "three"}
	h.asks(leader, all...)
	seen.once(h)
	by, err := leader.shares()
	if err != nil || len(by) != len(all) {
		t.Fatalf("shares: %v, %v", by, err)
	}
	t.Logf("questions asked by %v", by)

	still, gone := others[0], others[1]
	unknown := func() string { return leader.metric(`signalbox_poll_rounds_total{result="unknown",source="metrics"}`) }
	before := unknown()
	if err := still.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	h.asks(leader, leader.name, gone.name)
	if err := still.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	gone.kill()
	h.asks(leader, leader.name, still.name)
	seen.once(h)
	// A busy machine may fail to answer in time, whoever asks; what is lost would be lost
	// again in the next round. That not one round is, TestWhoIsStoppedIsAskedInsteadOf says.
	t.Logf("rounds that were unknown: %s, and before one was stopped and one killed %s:\n%s", unknown(), before, leader.log.lines("a round was unknown"))
	if lost := leader.metric(`signalbox_poll_source_unknown{source="metrics"}`); lost != "0" {
		t.Errorf("the source is taken for lost: %s", lost)
	}
	gone.launch()
	h.whole()
	h.asks(leader, all...)

	for i := range sharedDetectors {
		exporter.Set("lane_depth", 500, "lane", lane(i))
	}
	h.eventually("all that is ill to be paged", func() error {
		st, err := leader.statusNow()
		if err != nil || len(st.Incidents) != sharedDetectors {
			return fmt.Errorf("%d incidents %w", len(st.Incidents), err)
		}
		return nil
	})
	leader.kill()
	next := h.successor(leader)
	h.asks(next, slices.DeleteFunc(slices.Clone(all), func(n string) bool { return n == leader.name })...)
	for i := range sharedDetectors {
		exporter.Set("lane_depth", 1, "lane", lane(i))
	}
	h.eventually("all to be over", func() error {
		st, err := next.statusNow()
		if err != nil || len(st.Incidents) > 0 {
			return fmt.Errorf("%d are open %w", len(st.Incidents), err)
		}
		return nil
	})
	h.noneTwice()
	if n := len(slices.Collect(maps.Keys(seen.since()))); n != sharedDetectors {
		t.Errorf("%d of %d detectors were asked for at the end", n, sharedDetectors)
	}
}
