package remediators_test

import (
	"errors"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// long is past whatever a target of class C may take until it shows a write.
const long = 5 * time.Minute

// writes counts the writes that one whole Start sends.
func (b *bench) writes() int {
	n := 0
	for _, write := range b.door.asked() {
		if write {
			n++
		}
	}
	return n
}

// checkWell: a suite whose healthy target is not seen to be well would prove
// nothing. It counts the writes of a Start for those checks that come.
func checkWell(b *bench) {
	a := b.theAction()
	if n := b.effects(); n != 0 {
		b.fail("before it was started there are %d effects", n)
	}
	if err := b.start(b.process(), b.t.Context(), &a); err != nil {
		b.fail("start: %v", err)
		return
	}
	if n := b.effects(); n != 1 {
		b.fail("there are %d effects, want 1", n)
	}
	if b.writes() == 0 {
		b.fail("no write came by the door")
	}
	b.finish(a)
	if b.moves != nil && b.moved == 0 && !b.e.apart { // whose end is awaited to count its effects
		b.fail("it is said to be done before the target has brought it about")
	}
	if n := b.effects(); n != 1 {
		b.fail("at its end there are %d effects, want 1", n)
	}
}

// checkTwice: the same action again, by another process, has no second effect. A
// target of class C or D does not tell whose an effect is, so that the engine
// never starts such an action twice; one that is started though, as begun, must
// not say that there was no effect.
func checkTwice(b *bench) {
	a := b.theAction()
	if err := b.start(b.process(), b.t.Context(), &a); err != nil {
		b.fail("start: %v", err)
		return
	}
	before := len(b.record())
	switch err := b.startAgain(a); {
	case b.effects() != 1:
		b.fail("started twice, it has %d effects", b.effects())
	case isFailure(err):
		b.fail("it had an effect, and the second start says that there was none: %v", err)
	case (b.e.class == signalbox.ClassA || b.e.class == signalbox.ClassB) && err != nil:
		b.fail("the second start does not find what the first one did: %v", err)
	case (b.e.class == signalbox.ClassA || b.e.class == signalbox.ClassD) && len(b.record()) != before:
		b.fail("the second start wrote again: %q", b.record()[before:])
	}
	b.finish(a)
	if b.effects() != 1 {
		b.fail("at its end there are %d effects, want 1", b.effects())
	}
}

// startAgain starts an action that was started, by another process that does not
// know what was answered.
func (b *bench) startAgain(a signalbox.Action) error {
	a.Receipt, a.Stage = signalbox.Receipt{}, signalbox.Claimed
	if b.e.class == signalbox.ClassC || b.e.class == signalbox.ClassD {
		a.Stage = signalbox.Doubt
	}
	return b.start(b.process(), b.t.Context(), &a)
}

// seen lets the target's controller look.
func (b *bench) seen() {
	if b.sees != nil {
		b.sees()
	}
}

// settle does what the engine does for an action in doubt, by another process:
// see engine.follow. It returns what is known in the end.
func (b *bench) settle(a *signalbox.Action) signalbox.Progress {
	a.Stage = signalbox.Doubt
	switch a.Forecast.Class {
	case signalbox.ClassA:
		b.token += 10
		for range 2 { // it is idempotent
			err := b.process().(signalbox.Sealer).Seal(b.t.Context(), *a, b.token)
			b.hear(nil, err)
			if err != nil {
				b.fail("seal: %v", err)
				panic(stopped{})
			}
		}
		a.Sealed = b.token
	case signalbox.ClassB:
		if err := b.start(b.process(), b.t.Context(), a); err != nil {
			return signalbox.Progress{Phase: signalbox.InDoubt, Reason: err.Error()}
		}
		if a.Receipt.Final {
			return signalbox.Progress{Phase: signalbox.Succeeded, Receipt: a.Receipt}
		}
	case signalbox.ClassC:
		b.later(long)
	case signalbox.ClassD:
	}
	return b.probe(*a)
}

// settles settles a doubt after a fault, and compares with what is there.
func (b *bench) settles(a signalbox.Action, what string) {
	b.door.mend()
	there := b.effects() > 0
	p := b.settle(&a)
	yes, no := isThere(p)
	switch a.Forecast.Class {
	case signalbox.ClassA, signalbox.ClassC:
		open := !yes && !no && b.e.without[map[bool]string{true: "done", false: "not done"}[there]] != ""
		if !open && (yes != there || no == there) {
			b.fail("%s: the effect is there: %t, and it is said to be %q (%s)", what, there, p.Phase, p.Reason)
		}
		if no && !there { // so it may be done anew
			a.Stage, a.Attempts = signalbox.Claimed, 1
			if a.Forecast.Class == signalbox.ClassA {
				b.seen()
				if err := b.start(b.process(), b.t.Context(), &a); err != nil {
					b.fail("%s: after the seal, its successor can't start it: %v", what, err)
				}
				there = true
			}
		}
	case signalbox.ClassB:
		if there = true; !yes {
			b.fail("%s: sent again under its key, it is %q (%s)", what, p.Phase, p.Reason)
		}
	case signalbox.ClassD:
		if yes || no {
			b.fail("%s: nobody can know what happened, and it is said to be %q (%s)", what, p.Phase, p.Reason)
		}
	}
	if n := b.effects(); there && n != 1 || !there && n != 0 {
		b.fail("%s: there are %d effects at the end", what, n)
	}
}

// checkFault: a fault of one write. A Failure says that there was no effect; all
// else is a doubt, which is settled by what is found. When to come back is
// passed on.
func checkFault(n int, f fault) func(b *bench) {
	return func(b *bench) {
		a := b.theAction()
		b.door.meet(n, f)
		err := b.start(b.process(), b.t.Context(), &a)
		effects := b.effects()
		if err == nil && b.e.apart {
			b.settles(a, f.name)
			return
		}
		if err == nil {
			if effects != 1 {
				b.fail("it is said to be done, with %d effects", effects)
			}
			return
		}
		later, _ := errors.AsType[*signalbox.RetryAfter](err)
		if f.code == 429 && (later == nil || later.After != retryAfter*time.Second) {
			b.fail("%v does not say when to come back", err)
		}
		if isFailure(err) {
			if effects != 0 {
				b.fail("it is said to have had no effect, and has %d: %v", effects, err)
			}
			if f.code == 0 || f.code >= 500 {
				b.fail("nobody can tell whether it was done, and it is said that it was not: %v", err)
			}
			return
		}
		b.settles(a, f.name)
	}
}

// checkReads: when no look succeeds nothing is written, and nothing is claimed
// to be done or not done.
func checkReads(f fault) func(b *bench) {
	return func(b *bench) {
		a := b.theAction()
		before := len(b.record())
		b.door.meet(0, f)
		if fc, err := b.preview(b.resolved); err == nil && fc.Refused == "" {
			b.fail("the preview saw nothing, and allows it: %+v", fc)
		}
		looks := len(b.door.asked())
		p, err := b.process().Probe(b.t.Context(), a)
		b.hear(p, err)
		if yes, no := isThere(p); err == nil && (yes || no) && len(b.door.asked()) > looks {
			b.fail("the probe saw nothing, and says %q (%s)", p.Phase, p.Reason)
		}
		if err := b.start(b.process(), b.t.Context(), &a); err != nil && !isFailure(err) && b.e.class != signalbox.ClassB { // which may be sent again
			b.fail("nothing was sent, and it is said to be in doubt: %v", err)
		} else if err == nil {
			b.fail("the start saw nothing, and went on")
		} else if err != nil && len(b.record()) != before {
			b.fail("it wrote %q", b.record()[before:])
		}
	}
}

// checkPreview: a preview writes nothing, before, after, or where it refuses.
func checkPreview(b *bench) {
	looks := func(when string) {
		before := b.record()
		for range 2 {
			_, _ = b.preview(b.resolved)
		}
		if after := b.record(); !slices.Equal(before, after) {
			b.fail("%s, the preview wrote %q", when, after[len(before):])
		}
	}
	looks("before it was started")
	a := b.theAction()
	if err := b.start(b.process(), b.t.Context(), &a); err != nil {
		b.fail("start: %v", err)
		return
	}
	looks("after it was started")
	if b.strange != nil {
		b.strange()
		looks("at a position that is not listed")
	}
}

// checkStrange: what is found and not listed is somebody else's, whether it is
// there at the preview or comes after it.
func checkStrange(b *bench) {
	a := b.theAction()
	b.strange()
	before, value := b.record(), b.value()
	if f, err := b.preview(b.resolved); err != nil || f.Refused == "" {
		b.fail("the preview allows it: %+v, %v", f, err)
	}
	if err := b.start(b.process(), b.t.Context(), &a); !isFailure(err) {
		b.fail("it came since the preview, and is not refused: %v", err)
	}
	if after := b.record(); !slices.Equal(before, after) || b.value() != value {
		b.fail("it wrote %q over %q", after, value)
	}
}

// checkUndo: the step back that the preview gave brings back what was there.
func checkUndo(b *bench) {
	was := b.value()
	a := b.theAction()
	if a.Forecast.Undo == nil {
		b.fail("the preview gives no way back")
		return
	}
	if err := b.start(b.process(), b.t.Context(), &a); err != nil {
		b.fail("start: %v", err)
		return
	}
	b.finish(a)
	if b.value() == was {
		b.fail("it changed nothing of %q", was)
	}
	b.later(time.Minute)
	back := *a.Forecast.Undo
	back.About = b.resolved.About
	u := b.claim(back, a.ID+"-u", a.ID)
	if err := b.start(b.process(), b.t.Context(), &u); err != nil {
		b.fail("the way back: %v", err)
		return
	}
	if err := b.startAgain(u); isFailure(err) {
		b.fail("the way back, again: %v", err)
	}
	b.finish(u)
	if got := b.value(); got != was {
		b.fail("it brought back %q, and %q was there", got, was)
	}
}

// checkGate: the last check stands right before each write, and what it holds
// back is not sent.
func checkGate(b *bench) {
	closed := errors.New("the lease is lost")
	a := b.theAction()
	before := len(b.record())
	a.Gate = func() error { return closed }
	err := b.start(b.process(), b.t.Context(), &a)
	if b.e.apart { // what is on record by an id stays so
		a = b.claim(b.resolved, a.ID+"-b", "")
	}
	if !isFailure(err) || !errors.Is(err, closed) || len(b.record()) != before || b.writes() != 0 {
		b.fail("held back by the last check: got %v, it wrote %q", err, b.record()[before:])
	}
	var gates []int // how many requests had come when it was asked
	a.Gate = func() error {
		gates = append(gates, len(b.door.asked()))
		return nil
	}
	from := len(b.door.asked())
	if err := b.start(b.process(), b.t.Context(), &a); err != nil {
		b.fail("start: %v", err)
	}
	if n := b.effects(); n != 1 {
		b.fail("let through by the last check, it has %d effects", n)
	}
	for i, write := range b.door.asked() {
		if i >= from && write && !slices.Contains(gates, i) {
			b.fail("request %d is a write, and the last check was asked before requests %d", i, gates)
		}
	}
}
