package grafana

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/internal/track"
	standin "github.com/signalbox/signalbox/test/standin/grafana"
)

// inProcess is a server without a network.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	r.Header.Set("User-Agent", "signalbox/test")
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w.Result(), nil
}

// watched is a poller that asks for one panel, and what it told: the conditions
// of the edges of the panel's series, and the readings of its source.
type watched struct {
	mu     sync.Mutex
	edges  []string
	source []signalbox.Reading
}

func (w *watched) emit(r poll.Round) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range r.Edges {
		if r.Detector == poll.SourceDetector("dashboards") {
			w.source = append(w.source, e)
			continue
		}
		w.edges = append(w.edges, e.Condition.String())
	}
}

func (w *watched) told() (edges string, source []signalbox.Reading) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.edges, " "), append([]signalbox.Reading(nil), w.source...)
}

// A panel that vanishes while it is ill never looks well: it is Unknown, and when
// that lasts its source's own reading is ill, which is paged.
func TestAVanishedPanelIsAPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stand, err := standin.New(standin.Options{})
		if err != nil {
			t.Fatal(err)
		}
		stand.SetDatasources(steady)
		stand.SetDashboards(prod(panelOf(7, "Replication lag", "lag")))
		client := httpclient.Over(inProcess{stand}, &url.URL{Scheme: "http", Host: "grafana:3000"}, true, time.Now)
		source := newSource("dashboards", newSettings(), client, kind.Env{Now: time.Now, ConfigDir: "/"})
		d := (&house{t: t, source: source}).detector(lagKeys)
		var w watched
		p := poll.New(poll.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Emit: w.emit})
		p.Set([]poll.Detector{{
			Name: "replication-lag", Detector: d, Source: "dashboards", Asks: source, Interval: 15 * time.Second, Timeout: 10 * time.Second,
			UnknownAfter: 5 * time.Minute, Timing: track.Timing{For: 30 * time.Second}, Hash: "1",
		}})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- p.Run(ctx) }()
		after := func(pause time.Duration) (string, []signalbox.Reading) {
			<-time.After(pause) // of the bubble's clock
			synctest.Wait()
			return w.told()
		}
		if edges, ill := after(2 * time.Minute); edges != "breached" || len(ill) != 0 {
			t.Fatalf("at first: %s, %+v", edges, ill)
		}
		stand.SetDashboards(prod(panelOf(7, "Lag of replicas", "lag")))
		if edges, ill := after(5 * time.Minute); strings.Contains(edges, "clear") || len(ill) != 0 {
			t.Errorf("before its time: %s, %+v", edges, ill)
		}
		edges, ill := after(2 * time.Minute)
		if strings.Contains(edges, "clear") || len(ill) != 1 || ill[0].Condition != signalbox.Breached || !strings.Contains(ill[0].Summary+ill[0].Reason, `number 7, is now called "Lag of replicas"`) {
			t.Errorf("when it lasts: %s, %+v", edges, ill)
		}
		stand.SetDashboards(prod(panelOf(7, "Replication lag", "lag")))
		edges, ill = after(3 * time.Minute)
		if strings.Contains(edges, "clear") || len(ill) != 2 || ill[1].Condition != signalbox.Clear {
			t.Errorf("when it is back: %s, %+v", edges, ill)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if v := stand.Violations(); len(v) > 0 {
			t.Errorf("violations %q", v)
		}
	})
}
