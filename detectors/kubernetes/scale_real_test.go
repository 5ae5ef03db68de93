package kubernetes

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// maxHeap bounds what the memory of 10,000 pods may take of the heap.
const maxHeap = 60 << 20

// 10,000 pods; 100 of them fail at once, are seen, and recover while 100 others
// fail and the API server is killed in the middle of it and started again:
// nothing is missed, nothing is said of others, and the memory is bounded. How
// fast it is stands in bench/README.md.
func TestTenThousandPods(t *testing.T) {
	if testing.Short() {
		t.Skip("a minute of a real API server's work")
	}
	const workloads, each, failing = 1000, 10, 100
	k := servers.KubeAPI(t, "--watch-cache=true")
	grant(t, k, "", "pods")
	crowd := k.Crowd("core", workloads, each)
	before := heap()
	w := play(t, k, options{stale: lasting}, map[string]*DetectorSettings{"pods": {Pods: &Scope{}}})
	w.settled("pods")
	if n := w.objects(); n != workloads*each {
		t.Fatalf("%d pods are known, of %d", n, workloads*each)
	}
	with := heap()
	t.Logf("heap: %.1f MB with the memory of %d pods, %.1f MB before", mb(with), workloads*each, mb(before))
	if with > before+maxHeap {
		t.Errorf("the memory of %d pods takes %.1f MB, at most %.1f MB is borne", workloads*each, mb(with-before), mb(maxHeap))
	}

	first, second := crowd.Workloads[:failing], crowd.Workloads[failing:2*failing]
	set(t, crowd, first, "CrashLoopBackOff")
	w.all(first, signalbox.Breached)
	var writing sync.WaitGroup
	writing.Go(func() { set(t, crowd, first, "") })
	writing.Go(func() { set(t, crowd, second, "ImagePullBackOff") })
	w.some(second)
	k.Kill()
	k.Restart()
	writing.Wait()
	w.all(first, signalbox.Clear)
	w.all(second, signalbox.Breached)

	for _, name := range first {
		if got := w.told("pods", "core/"+name); got != "bc" {
			t.Errorf("%s: told %q, want breached and then clear", name, got)
		}
	}
	for _, name := range second {
		if got := w.told("pods", "core/"+name); got != "b" {
			t.Errorf("%s: told %q, want breached", name, got)
		}
	}
	got := w.subjects("pods")
	if len(got) != 2*failing {
		t.Errorf("something was said of %d workloads, %d failed: %q", len(got), 2*failing, got)
	}
	if now := heap(); now > before+maxHeap {
		t.Errorf("after a relist the memory takes %.1f MB", mb(now-before))
	}
}

func mb(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

// heap is what is in use after a collection. The test's etcd is in it, on both
// sides of a difference.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// objects is how many are known.
func (w *watching) objects() (n int) {
	w.src.mu.Lock()
	defer w.src.mu.Unlock()
	for _, f := range w.src.feeds {
		n += len(f.objects)
	}
	return n
}

// set sets the first pod of each workload, all at once, over and over until it
// is written: the API server may be away.
func set(t testing.TB, crowd *servers.Crowd, workloads []string, waits string) {
	var writing sync.WaitGroup
	for _, name := range workloads {
		writing.Go(func() {
			err := crowd.Set(t.Context(), name, 0, waits)
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for ; err != nil; err = crowd.Set(t.Context(), name, 0, waits) {
				select {
				case <-tick.C:
				case <-t.Context().Done():
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
}

// all waits until all of the workloads are so.
func (w *watching) all(workloads []string, c signalbox.Condition) {
	w.t.Helper()
	servers.Await(w.t, patience, fmt.Sprintf("%d workloads are %s", len(workloads), c), func(context.Context) error {
		for _, name := range workloads {
			if r, ok := w.reading("pods", "core/"+name); !ok || r.Condition != c {
				return fmt.Errorf("%s: %s %q", name, r.Condition, r.Summary)
			}
		}
		return nil
	})
}

// some waits until something is said of one of the workloads.
func (w *watching) some(workloads []string) {
	w.t.Helper()
	servers.Await(w.t, patience, "the first of the workloads is told", func(context.Context) error {
		if !slices.ContainsFunc(workloads, func(name string) bool { return w.told("pods", "core/"+name) != "" }) {
			return fmt.Errorf("none of %d is", len(workloads))
		}
		return nil
	})
}
