package day

import (
	"container/heap"
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	promkind "github.com/signalbox/signalbox/detectors/prometheus"
	"github.com/signalbox/signalbox/detectors/threshold"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/test/parity"
)

// A day of flapping, gaps, counter resets, late samples and skewed clocks: no
// breach is missed that lasts longer than `for`, none is invented, and nothing
// is said of what can't be known.
func TestDay(t *testing.T) {
	seed := uint64(20261126)
	if text := os.Getenv("SIGNALBOX_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	d := newDay(t, seed)
	synctest.Test(t, func(t *testing.T) { d.play(t) })
	d.judge(t)
	if t.Failed() {
		t.Logf("seed %d", seed)
	}
}

// day is one run.
type day struct {
	servers []*server
	polled  []poll.Detector

	mu    sync.Mutex
	began time.Time
	edges map[string][]told // by series
	whole map[string]int    // conditions told of sources
}

func newDay(t *testing.T, seed uint64) *day {
	r := rand.New(rand.NewPCG(seed, 1))
	d := &day{edges: map[string][]told{}, whole: map[string]int{}}
	for i := range 4 {
		s := &server{Engine: parity.NewEngine(t), target: newTarget(r, i, 4, 2)}
		d.servers = append(d.servers, s)
		d.polled = append(d.polled,
			detector(t, s, "load-"+s.target.name, "load", "5"),
			detector(t, s, "errors-"+s.target.name, "rate(errors_total["+kind.Duration(rateOver).String()+"])", "2"))
	}
	return d
}

func detector(t *testing.T, s *server, name, query, above string) poll.Detector {
	settings := &promkind.DetectorSettings{Query: query, Breach: threshold.Side{For: kind.Duration(forTime)}, Clear: threshold.Side{For: kind.Duration(clearFor)}}
	if err := settings.Breach.Above.UnmarshalText([]byte(above)); err != nil {
		t.Fatal(err)
	}
	settings.Validate(func(path, rule string, v any) { t.Fatalf("%s %s, got %v", path, rule, v) })
	c := kind.Common{Name: name, Source: s.target.name, Interval: step}
	if err := c.Subject.UnmarshalText([]byte("{{series}}")); err != nil {
		t.Fatal(err)
	}
	det, timing, err := settings.Build(c, s)
	if err != nil {
		t.Fatal(err)
	}
	return poll.Detector{Name: name, Detector: det, Source: c.Source, Asks: s, Interval: step, UnknownAfter: 5 * time.Minute, Timing: timing, Hash: name}
}

// play runs the poller's own schedule beside the scrapes.
func (d *day) play(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := poll.New(poll.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Emit: d.emit})
	d.began = time.Now()
	events := &events{}
	for _, s := range d.servers {
		s.began = d.began
		heap.Push(events, event{s.target.offset, s, nil})
	}
	p.Set(d.polled)
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	for events.Len() > 0 {
		e := heap.Pop(events).(event)
		if e.at >= length {
			continue
		}
		timer := time.NewTimer(time.Until(d.began.Add(e.at)))
		<-timer.C
		if e.late != nil {
			d.append(t, e.server, e.late)
			continue
		}
		all, seen := e.server.target.scrape(d.began, e.at)
		if seen > e.at {
			heap.Push(events, event{seen, e.server, all})
		} else {
			d.append(t, e.server, all)
		}
		heap.Push(events, event{e.at + step, e.server, nil})
	}
	cancel()
	running.Wait()
}

func (d *day) append(t *testing.T, s *server, all []sample) {
	if err := s.add(t.Context(), all); err != nil {
		t.Error(err)
	}
}

// emit keeps the edges.
func (d *day) emit(r poll.Round) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range r.Edges {
		name := e.Labels["series"]
		if name == "" {
			d.whole[e.Subject+" "+e.Condition.String()]++
			continue
		}
		d.edges[name] = append(d.edges[name], told{r.At.Sub(d.began), e.OnsetAt.Sub(d.began), e.Condition})
	}
}

func (d *day) judge(t *testing.T) {
	episodes, incidents, unknown := 0, 0, 0
	for _, s := range d.servers {
		for _, one := range s.target.series {
			for _, wrong := range s.target.check(one, d.edges[one.name]) {
				t.Error(wrong)
			}
			episodes += len(one.ill)
			incidents += len(open(d.edges[one.name]))
			for _, e := range d.edges[one.name] {
				if e.condition == signalbox.Unknown {
					unknown++
				}
			}
		}
	}
	t.Logf("%d illnesses, %d incidents, %d times open and unknown, sources: %v", episodes, incidents, unknown, d.whole)
	if episodes < 3000 || incidents < 500 || unknown < 50 {
		t.Error("the day was too quiet to show anything")
	}
}

// event is a scrape, or the arrival of one that is late.
type event struct {
	at     time.Duration
	server *server
	late   []sample
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
