package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// testCompany is a company whose time the test moves, and its metrics.
func testCompany(t *testing.T, o Options) (c *Company, ask func(query string, at time.Time) model.Vector) {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c.routes())
	t.Cleanup(func() {
		server.Close()
		if err := errors.Join(c.Close(), c.Close()); err != nil {
			t.Error(err)
		}
	})
	client, err := api.NewClient(api.Config{Address: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c, func(query string, at time.Time) model.Vector {
		t.Helper()
		v, _, _, err := promv1.NewAPI(client).Query(t.Context(), query, at)
		vector, ok := v.(model.Vector)
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", query, v, err)
		}
		return vector
	}
}

// run steps through a length of time and returns its end.
func (c *Company) run(from time.Time, d time.Duration) time.Time {
	for end := from.Add(d); from.Before(end); {
		from = from.Add(testTick)
		c.step(context.Background(), from)
	}
	return from
}

// throw writes a switch as the daemon would.
func throw(t *testing.T, c *Company, name, value, fence string) {
	t.Helper()
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPut, "/switches/"+name, strings.NewReader(fmt.Sprintf(`{"value":%q,"signalbox":%s}`, value, fence)))
	r.Header.Set("If-Match", "*")
	if c.routes().ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Fatalf("put %s: %d %s", name, w.Code, w.Body)
	}
}

// The first minute, with the test in the daemon's place: what people are told,
// and the metrics beneath it.
func TestTheFirstMinute(t *testing.T) {
	var out bytes.Buffer
	clock := noon
	c, ask := testCompany(t, Options{Out: &out, Now: func() time.Time { return clock }})
	step := func(d time.Duration) { clock = c.run(clock, d) }
	lag := func() float64 { return worst(t, ask(`reads_lag_seconds{cluster="eu",env="prod"}`, clock)) }
	c.step(t.Context(), clock)

	if step(15 * time.Second); lag() < 4 {
		t.Fatalf("reads are %v behind, 5s after the replica stopped", lag())
	}
	throw(t, c, switchReads, endpointB, `{"token":7,"action":"a1","value":"pg-b.data-plane:5432","standing":true}`)
	if step(2 * time.Second); lag() > 0.1 {
		t.Fatalf("reads are %v behind, 2s after the flip", lag())
	}
	step(18 * time.Second)
	throw(t, c, switchReads, endpointA, `{"token":9,"action":"a2","value":"pg-a.data-plane:5432"}`)
	if step(2 * time.Second); lag() > 0.1 {
		t.Fatalf("reads are %v behind, after the undo", lag())
	}
	step(23 * time.Second)

	var told []string
	for line := range strings.Lines(out.String()) {
		if who := strings.Fields(line)[1]; who != whoMetrics {
			told = append(told, strings.TrimSpace(line[10:]))
		}
	}
	want := []string{
		"company   replica-a of db/eu stops replaying: it falls behind",
		"company   readers of db/eu see data that is 1.0s old",
		"switch    read-endpoint: pg-a.data-plane:5432 -> pg-b.data-plane:5432, written by signalbox, action a1 (token 7)",
		"company   readers of db/eu now read from pg-b.data-plane:5432",
		"company   readers of db/eu see fresh data again (13ms old)",
		"company   replica-a of db/eu replays again: it catches up",
		"company   the PSP refuses most webhooks: they pile up",
		"company   63 PSP webhooks wait, the oldest for 3.2s",
		"switch    read-endpoint: pg-b.data-plane:5432 -> pg-a.data-plane:5432, written by signalbox, action a2 (token 9)",
		"company   readers of db/eu now read from pg-a.data-plane:5432",
		"company   the PSP takes webhooks again: the queue drains",
		"company   the PSP webhook queue is short again",
	}
	if !slices.Equal(told, want) {
		t.Errorf("told\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(want, "\n"))
	}
}

func TestAClockThatGoesBackIsToldOnce(t *testing.T) {
	var out bytes.Buffer
	c, _ := testCompany(t, Options{Out: &out, Calm: true})
	c.step(t.Context(), noon)
	c.run(noon.Add(-time.Hour), 10*time.Second)
	c.run(noon, 5*time.Second)
	if n := strings.Count(out.String(), "is the clock going back?"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &out)
	}
	if lived := 10*time.Second + maxStep + 5*time.Second; c.state.uptime > lived {
		t.Errorf("the company aged %v in %v", c.state.uptime, lived)
	}
}

// lockedBuffer may be written and read at the same time.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The real thing: real time, a real port, and nothing left behind.
func TestRun(t *testing.T) {
	var out lockedBuffer
	c, err := New(Options{Out: &out, Calm: true, Tick: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	for path, want := range map[string]string{
		"/":                                 "sandbox company",
		"/-/healthy":                        "OK",
		"/-/ready":                          "OK",
		"/switches":                         `"cdn-provider"`,
		"/pages":                            "[]",
		"/api/v1/query?query=count%28up%29": `"4"]`,
		"/nowhere":                          "404",
	} {
		eventually(t, path+" to answer "+want, func() bool {
			_, body := do(t, http.MethodGet, c.URL()+path, "")
			return strings.Contains(body, want)
		})
	}
	if resp, _ := do(t, http.MethodPost, c.URL()+"/breaks/earthquake", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown scene: %d", resp.StatusCode)
	}
	if resp, _ := do(t, http.MethodPost, c.URL()+"/breaks/cdn", ""); resp.StatusCode != http.StatusAccepted {
		t.Errorf("a scene: %d", resp.StatusCode)
	}
	eventually(t, "the scene to be told", func() bool { return strings.Contains(out.String(), "POP fra of the main CDN answers 503") })
	dir := c.history.dir
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is left behind: %v", dir, err)
	}
	again, err := New(Options{Listen: strings.TrimPrefix(c.URL(), "http://")})
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// eventually polls until ok, or until the test's own deadline is near.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited for %s", what)
		case <-tick.C:
		}
	}
}

func TestNewRefusesAnAddressInUse(t *testing.T) {
	c, _ := testCompany(t, Options{})
	if _, err := New(Options{Listen: strings.TrimPrefix(c.URL(), "http://")}); err == nil || !strings.HasPrefix(err.Error(), "sandbox: ") {
		t.Errorf("the address is in use: %v", err)
	}
}
