package outward

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/grafana/loki-client-go/loki"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// statusBlocked is what Loki answers for a tenant whose pushes are blocked: a
// success, so that clients do not try again.
const statusBlocked = 260

// told are the answers of success that are told from each other.
var told = []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent, statusBlocked}

// outcomes reads the library's own counters, which it registers for all
// clients of the process, by host.
type outcomes struct {
	host          string
	sent, dropped prometheus.Counter
	answered      map[int]prometheus.Metric // by status
}

// counts are outcomes, in entries, and answers by status.
type counts struct {
	sent, dropped int
	status        map[int]int
}

func newOutcomes(host string) (*outcomes, error) {
	byHost := []string{loki.HostLabel}
	sent, err := registered(prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "promtail", Name: "sent_entries_total", Help: "Number of log entries sent to the ingester.",
	}, byHost))
	if err != nil {
		return nil, err
	}
	dropped, err := registered(prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "promtail", Name: "dropped_entries_total",
		Help: "Number of log entries dropped because failed to be sent to the ingester after all retries.",
	}, byHost))
	if err != nil {
		return nil, err
	}
	duration, err := registered(prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "promtail", Name: "request_duration_seconds", Help: "Duration of send requests.",
	}, []string{"status_code", loki.HostLabel}))
	if err != nil {
		return nil, err
	}
	o := &outcomes{host: host, sent: sent.WithLabelValues(host), dropped: dropped.WithLabelValues(host), answered: map[int]prometheus.Metric{}}
	for _, status := range told {
		m, ok := duration.WithLabelValues(strconv.Itoa(status), host).(prometheus.Metric)
		if !ok {
			return nil, errors.New("loki-client-go keeps its durations in another way than is known")
		}
		o.answered[status] = m
	}
	return o, nil
}

// registered returns the collector that the library registered under the same
// description.
func registered[C prometheus.Collector](like C) (C, error) {
	err := prometheus.DefaultRegisterer.Register(like)
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if theirs, ok := already.ExistingCollector.(C); ok {
			return theirs, nil
		}
	}
	if err == nil {
		prometheus.DefaultRegisterer.Unregister(like)
	}
	return like, fmt.Errorf("loki-client-go counts in another way than is known: %w", errors.Join(err, errUnknownCounter))
}

var errUnknownCounter = errors.New("a counter of it was not found")

// now reads the counters.
func (o *outcomes) now() counts {
	c := counts{sent: int(counterValue(o.sent)), dropped: int(counterValue(o.dropped)), status: map[int]int{}}
	for status, m := range o.answered {
		var d dto.Metric
		if m.Write(&d) == nil {
			c.status[status] = int(d.GetHistogram().GetSampleCount())
		}
	}
	return c
}

func counterValue(c prometheus.Counter) float64 {
	var d dto.Metric
	if c.Write(&d) != nil {
		return 0
	}
	return d.GetCounter().GetValue()
}

// since is what was counted since was; statuses that were not seen are left
// out.
func (c counts) since(was counts) counts {
	d := counts{sent: c.sent - was.sent, dropped: c.dropped - was.dropped, status: map[int]int{}}
	for status, n := range c.status {
		if n > was.status[status] {
			d.status[status] = n - was.status[status]
		}
	}
	return d
}

// said is the library's log: it keeps the last status and error. The library
// logs before it counts.
type said struct {
	mu     sync.Mutex
	status int
	err    error
}

// Log implements go-kit's log.Logger.
func (s *said) Log(keyvals ...any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i+1 < len(keyvals); i += 2 {
		switch key, _ := keyvals[i].(string); key {
		case "status":
			s.status, _ = keyvals[i+1].(int)
		case "error":
			s.err, _ = keyvals[i+1].(error)
		}
	}
	return nil
}

func (s *said) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.err = 0, nil
}

// last returns the status of the last failure, -1 or 0 where no answer came,
// and its error.
func (s *said) last() (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return s.status, errors.New("the client did not say why it dropped a batch")
	}
	return s.status, s.err
}
