package share

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// Options is what a Share is made of. All fields are needed.
type Options struct {
	Replica    string        // this one's stable name
	Config     func() string // hash of the configuration in force here
	Source     func(name string) (signalbox.Source, bool)
	Now        func() time.Time
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Place is where the replicas of a store meet. All fields are needed.
type Place struct {
	Store    store.Store
	Listener net.Listener
	Address  string // at which the others reach Listener
	// Present lists the replicas that are there, by name, with the hashes of
	// the configurations that they have; Presence is the prefix of its keys in the store.
	Present  func(ctx context.Context) (map[string]string, error)
	Presence string
}

// Share is one replica's part of the asking. Its methods are safe for
// concurrent use.
type Share struct {
	o       Options
	at      Place // since Run
	id      *identity
	metrics *metrics

	mu    sync.Mutex
	links map[string]*link        // to the other replicas, by name
	among atomic.Pointer[[]*link] // over whom questions are spread, beside this one; replaced whole
	own   clocks                  // how the clocks of sources go, as asked here
}

// New returns a Share that has nothing asked by others before Run.
func New(o Options) (*Share, error) {
	id, err := newIdentity(o.Replica, o.Now())
	if err != nil {
		return nil, err
	}
	s := &Share{o: o, id: id, metrics: newMetrics(o.Registerer, o.Replica), links: map[string]*link{}}
	s.among.Store(&[]*link{})
	return s, nil
}

// Run answers others, and keeps connections to them, until ctx ends. It closes
// the listener. It is called once.
func (s *Share) Run(ctx context.Context, at Place) error {
	s.at = at
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { s.follow(ctx) })
	err := s.serve(ctx)
	cancel()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("answering other replicas: %w", err)
	}
	return nil
}

// metrics are the package's own.
type metrics struct {
	replicas  prometheus.Gauge
	questions *prometheus.CounterVec
	instead   prometheus.Counter
	served    prometheus.Counter
}

func newMetrics(r prometheus.Registerer, replica string) *metrics {
	m := &metrics{
		replicas: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "signalbox_share_replicas", Help: "Replicas over which the asking is spread when this one leads, itself included.",
		}),
		questions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signalbox_share_questions_total", Help: "Questions of this replica's schedule, by the replica that asked them.",
		}, []string{"replica"}),
		instead: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_share_asked_instead_total", Help: "Questions that were asked here since the replica to which they were assigned did not answer.",
		}),
		served: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "signalbox_share_served_total", Help: "Questions that this replica asked for another.",
		}),
	}
	m.questions.WithLabelValues(replica)
	m.replicas.Set(1)
	r.MustRegister(m.replicas, m.questions, m.instead, m.served)
	return m
}
