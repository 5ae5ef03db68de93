package share_test

import (
	"context"
	"sync"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// BenchmarkAsk is what it costs both ends, in one process, to have one question
// asked by another replica; so many at once as come due at once.
func BenchmarkAsk(b *testing.B) {
	w := newTown(b)
	one, two := w.join("one"), w.join("two")
	qs := questions(2000)
	spread(b, one, qs, one, two)
	two.source.forget()
	source := one.Source("metrics", one.source)
	var theirs []signalbox.Question
	for _, q := range qs {
		source.Ask(context.Background(), []signalbox.Question{q}, time.Now())
		if n := len(two.source.queries()); n > len(theirs) {
			theirs = append(theirs, q)
		}
		if len(theirs) == 8 {
			break
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		var all sync.WaitGroup
		for _, q := range theirs {
			all.Go(func() { source.Ask(context.Background(), []signalbox.Question{q}, time.Now()) })
		}
		all.Wait()
	}
}
