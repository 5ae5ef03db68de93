package remediators_test

import (
	"context"
	"slices"

	signalbox "github.com/signalbox/signalbox"
)

// checkOnwards: a fault of the n-th of all writes, which comes after the Start:
// what was begun is brought to its end all the same, and nothing is done twice.
func checkOnwards(n int, f fault) func(b *bench) {
	return func(b *bench) {
		a := b.theAction()
		b.door.meet(n, f)
		if err := b.start(b.process(), b.t.Context(), &a); err != nil {
			b.fail("start: %v", err)
			return
		}
		b.finish(a)
		if got := b.effects(); got != 1 {
			b.fail("after %s of write %d there are %d effects at the end, want 1", f.name, n, got)
		}
	}
}

// checkOnwardsLate: the process that sends the n-th of all writes is killed while
// it is on its way, and it arrives when its successor has come to the end.
func checkOnwardsLate(n int) func(b *bench) {
	return func(b *bench) {
		a := b.theAction()
		reached, release := b.door.hold(n)
		if err := b.start(b.process(), b.t.Context(), &a); err != nil {
			b.fail("start: %v", err)
			return
		}
		ctx, cancel := context.WithCancel(b.t.Context())
		defer cancel()
		b.goOn = func(r signalbox.Continuer) error {
			ended := make(chan error, 1)
			go func() { ended <- r.Continue(ctx, a) }()
			select {
			case <-reached:
				cancel()
				b.goOn = nil
			case err := <-ended:
				return err
			}
			if err := <-ended; err == nil {
				b.fail("its time was over while write %d was under way, and it says that it is done", n)
			}
			return ctx.Err()
		}
		b.finish(a)
		if b.goOn != nil {
			b.fail("its write %d was not sent", n)
			return
		}
		release()
		if got := b.effects(); got != 1 {
			b.fail("write %d came late, and there are %d effects, want 1", n, got)
		}
		if p := b.probe(a); p.Phase != signalbox.Succeeded {
			b.fail("write %d came late, and it is said to be %q (%s)", n, p.Phase, p.Reason)
		}
	}
}

// checkStill: what only looks writes nothing, however often it is done and
// settled.
func checkStill(b *bench) {
	before := b.record()
	a := b.theAction()
	for range 2 {
		if err := b.start(b.process(), b.t.Context(), &a); err != nil {
			b.fail("start: %v", err)
			return
		}
	}
	b.finish(a)
	if p := b.settle(&a); p.Phase != signalbox.Succeeded {
		b.fail("settled, it is said to be %q (%s)", p.Phase, p.Reason)
	}
	if after := b.record(); !slices.Equal(before, after) || b.writes() != 0 {
		b.fail("it wrote %q", after[len(before):])
	}
}
