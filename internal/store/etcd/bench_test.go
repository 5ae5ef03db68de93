package etcd_test

import (
	"fmt"
	"testing"

	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/etcd"
)

// BenchmarkCommit does what an action costs: 3 conditions and 5 puts of 512
// bytes, durable, over the member's socket.
func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			e := startUp(b, etcd.EmbeddedOptions{})
			work := make(chan int)
			failed := make(chan error, writers)
			for range writers {
				go func() {
					var err error
					for i := range work {
						if err == nil {
							_, err = e.Commit(b.Context(), action(i))
						}
					}
					failed <- err
				}()
			}
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			for range writers {
				if err := <-failed; err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

func action(i int) store.Txn {
	var txn store.Txn
	value := make([]byte, 512)
	for j := range 5 {
		txn.Puts = append(txn.Puts, store.Put{Key: fmt.Sprintf("action/%d/%d", i, j), Value: value})
	}
	for _, p := range txn.Puts[:3] {
		txn.Ifs = append(txn.Ifs, store.Cond{Key: p.Key})
	}
	return txn
}

// BenchmarkList reads 10,000 keys of 512 bytes, as at a start.
func BenchmarkList(b *testing.B) {
	e := startUp(b, etcd.EmbeddedOptions{})
	for i := range 2000 {
		if _, err := e.Commit(b.Context(), action(i)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if kvs, _, err := e.List(b.Context(), "action/"); err != nil || len(kvs) != 10_000 {
			b.Fatalf("List = %d keys, %v", len(kvs), err)
		}
	}
}
