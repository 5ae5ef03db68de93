package bench

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/detectors/kubernetes"
	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/poll"
	"github.com/signalbox/signalbox/test/servers"
)

// BenchmarkKubernetesPods watches 10,000 pods of a real API server, of which
// 100 fail at once, each of another workload, and recover at once; an op is
// both. A latency ends with the reading that the poller emits. It begins when
// the write of the status is answered (0 where the reading came first), and as
// "sent" before it is sent: then the API server's own time, for 100 writes at
// once, is in it.
//
// heap-MB is what the memory of the pods takes: the heap in use, after a
// collection, with it and without.
func BenchmarkKubernetesPods(b *testing.B) {
	const workloads, each, failing = 1000, 10, 100
	k := servers.KubeAPI(b, "--watch-cache=true")
	crowd := k.Crowd("core", workloads, each)
	without := inUse()
	told := watchPods(b, k)
	with := inUse()
	var ill, well latencies
	for b.Loop() {
		told.play(b, &ill, crowd, crowd.Workloads[:failing], "CrashLoopBackOff", signalbox.Breached)
		told.play(b, &well, crowd, crowd.Workloads[:failing], "", signalbox.Clear)
	}
	b.ReportMetric((float64(with)-float64(without))/(1<<20), "heap-MB")
	for name, all := range map[string][]time.Duration{"ill": ill.answered, "ill-sent": ill.sent, "well": well.answered, "well-sent": well.sent} {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1e3, name+"-p50-ms")
		b.ReportMetric(float64(all[len(all)*99/100].Microseconds())/1e3, name+"-p99-ms")
	}
}

func inUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// podNews are the moments at which workloads were first told to be so.
type podNews struct {
	mu   sync.Mutex
	now  map[string]signalbox.Condition // by subject
	at   map[string]time.Time
	good chan struct{} // closed after the first good round
}

// watchPods watches all pods under a poller, as the daemon does, and returns
// when they are known.
func watchPods(b *testing.B, k *servers.KubeServer) *podNews {
	b.Helper()
	settings := cluster.New()
	settings.Kubeconfig = k.Kubeconfig(servers.Admin)
	of := kubernetes.Kind()
	opened, err := of.Open("cluster", settings, kind.Env{Now: time.Now, Agent: "signalbox"})
	if err != nil {
		b.Fatal(err)
	}
	common := kind.Common{Name: "pods", Source: "cluster", Interval: 15 * time.Second}
	if err := common.Subject.UnmarshalText([]byte("{{workload}}")); err != nil {
		b.Fatal(err)
	}
	det, timing, err := (&kubernetes.DetectorSettings{Pods: &kubernetes.Scope{}}).Build(common, opened)
	if err != nil {
		b.Fatal(err)
	}
	n := &podNews{now: map[string]signalbox.Condition{}, at: map[string]time.Time{}, good: make(chan struct{})}
	p := poll.New(poll.Options{Now: time.Now, Log: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(), Emit: n.take})
	watcher := opened.(signalbox.Watcher)
	p.Set([]poll.Detector{{Name: "pods", Detector: det, Source: "cluster", Asks: watcher, Interval: common.Interval, UnknownAfter: time.Hour, Timing: timing}})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.Run(ctx) })
	running.Go(func() { p.Watch(ctx, "cluster", watcher) })
	b.Cleanup(func() { cancel(); running.Wait() })
	select {
	case <-n.good:
	case <-time.After(patience):
		b.Fatal("the pods are not known")
	}
	return n
}

func (n *podNews) take(r poll.Round) {
	at := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, x := range r.Readings {
		if n.now[x.Subject] != x.Condition {
			n.now[x.Subject], n.at[x.Subject] = x.Condition, at
		}
	}
	if r.Good && r.Detector == "pods" {
		select {
		case <-n.good:
		default:
			close(n.good)
		}
	}
}

// latencies are how long it took until readings were told, since their writes
// were answered, and sent.
type latencies struct{ answered, sent []time.Duration }

// play writes the status of the first pod of each workload, all at once, and
// adds how long each took to be told.
func (n *podNews) play(b *testing.B, to *latencies, crowd *servers.Crowd, workloads []string, waits string, c signalbox.Condition) {
	b.Helper()
	sent, answered := make([]time.Time, len(workloads)), make([]time.Time, len(workloads))
	var writing sync.WaitGroup
	for i, name := range workloads {
		writing.Go(func() {
			sent[i] = time.Now()
			if err := crowd.Set(b.Context(), name, 0, waits); err != nil {
				b.Error(err)
			}
			answered[i] = time.Now()
		})
	}
	writing.Wait()
	servers.Await(b, patience, "all are told", func(context.Context) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		for _, name := range workloads {
			if n.now[name] != c {
				return errNotTold
			}
		}
		return nil
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, name := range workloads {
		to.sent = append(to.sent, n.at[name].Sub(sent[i]))
		to.answered = append(to.answered, max(0, n.at[name].Sub(answered[i])))
	}
}

var errNotTold = errors.New("a workload is not told yet")
