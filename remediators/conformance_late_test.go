package remediators_test

import (
	"context"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// checkLate: the answer to the n-th of all writes does not come before our time is over,
// and another process takes over while it is still under way. What is on its way
// still must not be said not to be done, unless it is shut out.
func checkLate(n, writes int) func(b *bench) {
	return func(b *bench) {
		a := b.theAction()
		reached, release := b.door.hold(n)
		ctx, cancel := context.WithCancel(b.t.Context())
		ended := make(chan error, 1)
		go func() {
			started := a
			ended <- b.start(b.process(), ctx, &started)
		}()
		select {
		case <-reached:
		case err := <-ended:
			if !b.e.apart || err != nil {
				cancel()
				b.fail("it ended before its write %d: %v", n, err)
				return
			}
			ended <- err
			<-reached
		}
		cancel()
		err := <-ended
		if (err == nil) != b.e.apart || isFailure(err) {
			b.fail("its time was over while it was under way: want a doubt, got %v", err)
		}
		if b.effects() != 0 && n == 1 {
			b.fail("it has an effect though it was held")
		}
		switch a.Forecast.Class {
		case signalbox.ClassA:
			b.lateA(a, release)
		case signalbox.ClassB, signalbox.ClassD:
			b.settle(&a)
			release()
		case signalbox.ClassC:
			for _, wait := range []time.Duration{0, time.Duration(a.Forecast.Latency)} {
				b.later(wait)
				if p := b.probe(a); p.Phase == signalbox.NotStarted || p.Phase == signalbox.Fell {
					b.fail("%s after it was sent it may still come, and is said to be %q (%s)", wait, p.Phase, p.Reason)
				}
			}
			release()
			b.later(long)
			if p := b.probe(a); b.effects() == 1 != (p.Phase == signalbox.Succeeded || p.Phase == signalbox.Running) {
				b.fail("it came late, with %d effects, and is said to be %q (%s)", b.effects(), p.Phase, p.Reason)
			}
		}
		if got := b.effects(); got != 1 && (a.Forecast.Class != signalbox.ClassC || n == writes) || got > 1 {
			b.fail("there are %d effects at the end, want 1", got)
		}
	}
}

// lateA: the successor's seal shuts the late write out, and what it then sees is
// final.
func (b *bench) lateA(a signalbox.Action, release func()) {
	p := b.settle(&a)
	release()
	yes, no := isThere(p)
	if !no || yes {
		b.fail("sealed before it came, it is said to be %q (%s)", p.Phase, p.Reason)
	}
	if n := b.effects(); n != 0 {
		b.fail("it came after the seal, and has %d effects", n)
	}
	late := a
	late.Sealed, late.Stage = 0, signalbox.Claimed
	if err := b.start(b.process(), b.t.Context(), &late); err == nil || b.effects() != 0 {
		b.fail("a late start with the older token is not refused: %v, %d effects", err, b.effects())
	}
	a.Stage = signalbox.Claimed
	b.seen()
	if err := b.start(b.process(), b.t.Context(), &a); err != nil {
		b.fail("the successor can't start it: %v", err)
	}
}
