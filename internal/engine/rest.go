package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
)

// A process that is stopped between its last check and its send can't be held
// back: it sends when it is woken, though another leads by then. A class A
// target refuses that write once the successor has sealed it. Of the others no
// look says that nothing will come, as long as the process may still live. So
// each action says which process claimed it, and each process says of itself
// when it begins, and when it is at rest, which of its actions are over. Until
// one of the two is on record, "not there" settles nothing: the action stays in
// doubt and holds its targets, and after Timing.Doubt a person is paged, whose
// word settles it too.

// arrive says that earlier processes of this home are over; it goes on until
// that is on record or ctx ends.
func (e *Engine) arrive(ctx context.Context) {
	pause := e.timing.Retry
	for ctx.Err() == nil {
		if store.Await(ctx, e.o.Store) == nil && e.sayRest(ctx, 0, true) == nil {
			return
		}
		pause = e.wait(ctx, pause)
	}
}

// sayRest says that of what this process claimed nothing up to past is under
// way.
func (e *Engine) sayRest(ctx context.Context, past signalbox.Token, begins bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err := e.o.Journal.PutRest(ctx, &signalbox.Rest{Process: e.o.Process, Past: past}, begins)
	if errors.Is(err, journal.ErrTwoProcesses) {
		why := fmt.Sprintf("another process has the home %s too, as a copy of a data directory has: nothing can be told of either until one is stopped and the other started again", e.o.Process.Home)
		e.barred.Store(&why)
		e.o.Log.Error("frozen", "why", why)
	}
	return err
}

// mayStillCome says why a write of an action may still reach its target, though
// this process does not send it; empty: none can, but what is on its way
// already.
func (e *Engine) mayStillCome(ctx context.Context, a *signalbox.Action) string {
	switch {
	case a.Forecast.Class == signalbox.ClassA: // the seal shuts it out
		return ""
	case a.By.Home == e.o.Process.Home: // this process, or one whose home it took over
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	rest, err := e.o.Journal.RestOf(ctx, a.By.Home)
	if err != nil {
		return "whether the process that began it is over can't be read: " + err.Error()
	}
	if rest != nil && rest.Clears(a) {
		return ""
	}
	return fmt.Sprintf("replica %q, which began it, is not known to be over, and may still send it: start that replica again, or make sure that it is gone and say signalboxctl settle %s done|not-done", a.By.Replica, a.ID)
}

// atRest says it where this process does not lead, and nothing that it began is
// still under way.
func (l *loop) atRest() {
	if l.auth != nil || len(l.running) > 0 || l.claimed == l.rested || l.resting {
		return
	}
	l.resting = true
	past := l.claimed
	go func() {
		// Once the loop has ended nobody asks.
		ctx := context.Background() //nolint:forbidigo // bounded by sayRest
		err := l.e.sayRest(ctx, past, false)
		l.e.post(ctx, func(l *loop) {
			if l.resting = false; err == nil {
				l.rested = past
			}
		})
	}()
}
