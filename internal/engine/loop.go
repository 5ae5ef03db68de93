package engine

import (
	"context"
	"errors"
	"maps"
	"os"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/policy"
)

// loop is the state of the one goroutine that owns the world.
type loop struct {
	e     *Engine
	auth  *authority       // nil between terms
	state *signalbox.State // the term's
	facts *signalbox.Facts // outlive terms
	index *index
	due   *dueSet

	last      map[signalbox.IncidentID]*signalbox.Decision // newest decision of each open incident
	confirmed map[signalbox.IncidentID]confirmation
	asking    map[signalbox.IncidentID]bool    // confirmations and previews under way
	running   map[signalbox.ActionID]bool      // a goroutine of ours drives it
	settling  map[signalbox.ActionID]*settling // of running: those whose doubt it settles
	claimed   signalbox.Token                  // the newest action's that this process claimed
	rested    signalbox.Token                  // up to which it has said that nothing is under way
	resting   bool                             // it is saying so
	sending   map[string]bool                  // pages on their way, by key
	retry     map[string]retry                 // pages that failed, by key
	good      map[string]time.Time             // last good round of each detector
	recalled  map[string]time.Time             // of good, what the store knew when the term began
	durable   map[string]time.Time             // of good, what this replica recorded or found
	inbox     []inboxItem                      // readings that are durable and not yet incidents
	taken     map[string]bool                  // the keys of inbox
	seen      map[string]bool                  // detectors that had a round since the start
	warmBy    time.Time                        // when decisions begin at the latest; zero: no term yet
	warm      bool
	stopping  bool

	streaks  []signalbox.Streak // that the leader before counted
	counted  []signalbox.Streak // that the last heartbeat told
	terms    int                // that began here
	standing bool               // another replica leads
	otherAt  time.Time          // when that was seen last
	mirrors  *signalbox.State   // the leader's state, while standing by; nil: not known

	goneSince  time.Time        // since when there is no term, and nobody is known to lead
	wasState   *signalbox.State // of the last term, for direct pages
	pending    []waiting        // readings that could not be recorded yet
	direct     *directPager
	made       map[string][]policy.Made // pages made lately for one incident each, by owner
	failed     map[string]bool          // owners whose pager is told to fail
	nextAcks   time.Time
	nextBeat   time.Time
	nextSweep  time.Time
	nextExport time.Time                          // of old entries to the archive
	shadowed   map[signalbox.IncidentID]time.Time // when what a shadow would throw was last looked at
	nextLate   time.Time                          // an estimate passes then at the earliest; zero: pages or owners have changed
	nextClimb  time.Time                          // a page is not acknowledged in time then at the earliest; zero: pages or owners have changed
	archiving  bool
	nextPrune  time.Time // of the archive, while standing by
	pruning    bool
	marking    bool

	looks    map[signalbox.IncidentID]bool // incidents that are being looked around, or wait for it
	unlooked []signalbox.IncidentID        // those that wait, in the order of their opening
	looking  int
}

type retry struct {
	at    time.Time
	pause time.Duration
	tries int
}

func newLoop(e *Engine) *loop {
	return &loop{
		e: e, state: signalbox.NewState(), facts: signalbox.NewFacts(), due: newDueSet(),
		index: newIndex(signalbox.NewState()),
		last:  map[signalbox.IncidentID]*signalbox.Decision{}, confirmed: map[signalbox.IncidentID]confirmation{},
		asking: map[signalbox.IncidentID]bool{}, running: map[signalbox.ActionID]bool{}, settling: map[signalbox.ActionID]*settling{},
		sending: map[string]bool{}, retry: map[string]retry{}, good: map[string]time.Time{}, taken: map[string]bool{},
		seen: map[string]bool{}, shadowed: map[signalbox.IncidentID]time.Time{},
		looks: map[signalbox.IncidentID]bool{},
		made:  map[string][]policy.Made{}, failed: map[string]bool{},
		goneSince: e.o.Now(), direct: newDirectPager(),
	}
}

func (l *loop) now() time.Time { return l.e.o.Now() }
func (l *loop) set() *Set      { return l.e.set.Load() }

// run is the loop. Once ctx has ended it starts nothing more and waits for
// what is in flight.
func (l *loop) run(ctx context.Context) {
	defer close(l.e.done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	ended, last := ctx.Done(), (<-chan time.Time)(nil)
	for {
		timer := time.NewTimer(l.untilDue())
		select {
		case f := <-l.e.mail:
			f(l)
			l.drainMail()
		case <-timer.C:
		case <-tick.C:
			l.tick()
		case <-ended:
			ended, l.stopping = nil, true
			grace := time.NewTimer(l.e.timing.Start)
			defer grace.Stop()
			last = grace.C
		case <-last:
			l.e.o.Log.Warn("stopping with actions in flight: the next start settles them", "actions", len(l.running))
			return
		}
		timer.Stop()
		if l.stopping && len(l.running) == 0 && len(l.sending) == 0 {
			return
		}
		l.work()
	}
}

// drainMail takes what has come in meanwhile, so that one round of decisions
// serves many changes.
func (l *loop) drainMail() {
	for range cap(l.e.mail) {
		select {
		case f := <-l.e.mail:
			f(l)
		default:
			return
		}
	}
}

func (l *loop) untilDue() time.Duration {
	at, ok := l.due.next()
	if !ok || l.auth == nil || l.stopping {
		return time.Hour
	}
	return max(0, at.Sub(l.now()))
}

// tick does what comes around each second: the kill file, heartbeats, pages
// that are owed, closed incidents that can be forgotten, direct pages.
func (l *loop) tick() {
	l.readKillFile()
	now := l.now()
	if l.auth == nil {
		l.atRest()
		l.between(now)
		return
	}
	l.e.metrics.agrees(true)
	l.warmUp()
	l.settleDirect(now)
	l.flushPending()
	l.mark()
	l.overdue(now)
	if l.auth != nil {
		l.climb(now)
		l.late(now)
	}
	if l.auth != nil {
		l.pollAcks(now)
		l.useSecond(now)
	}
	if (!now.Before(l.nextBeat) || l.broken()) && l.auth != nil {
		l.nextBeat = now.Add(l.e.timing.Beat)
		l.beat(now)
	}
	if !now.Before(l.nextSweep) && l.auth != nil {
		l.nextSweep = now.Add(l.e.timing.Beat)
		l.sweep(now)
	}
	if !now.Before(l.nextExport) && l.auth != nil {
		l.nextExport = now.Add(l.e.timing.Archive)
		l.archive()
	}
}

// work does what there is to do, in a term.
func (l *loop) work() {
	if l.auth == nil || l.stopping {
		return
	}
	l.consume()
	l.look()
	l.decide()
	l.sendPages()
	l.sendNotes(l.now())
	if l.auth != nil {
		l.e.metrics.loopDone("decide", l.now())
		l.e.metrics.world(l.state, l.now())
	}
}

// readKillFile looks whether the local kill file is there. When it can't be
// known it counts as there. A frozen engine counts as killed too.
func (l *loop) readKillFile() {
	was := l.facts.KillFile
	l.facts.KillFile = l.e.killed()
	if l.facts.KillFile != was {
		l.e.o.Log.Warn("kill file changed", "says", l.facts.KillFile)
		l.touch(signalbox.KillFileKey)
		l.killPage()
	}
}

func killFileReason(path string) string {
	if path == "" {
		return ""
	}
	switch _, err := os.Stat(path); {
	case err == nil:
		return "the kill file is there"
	case errors.Is(err, os.ErrNotExist):
		return ""
	default:
		return "the kill file can't be looked for: " + err.Error()
	}
}

// beat records when each detector's last good round was; of a detector with
// edges that still wait to be recorded, what was recorded last: a stream is read
// on from there, and what those edges tell must not be passed over.
func (l *loop) beat(now time.Time) {
	b := &signalbox.Heartbeat{Replica: l.e.o.Replica, At: now, Good: maps.Clone(l.good)}
	for _, p := range l.pending {
		d := p.reading.Detector
		delete(b.Good, d)
		if at, ok := l.durable[d]; ok {
			b.Good[d] = at
		}
	}
	l.counting(b)
	var w write
	w.put(journal.PutHeartbeat(b))
	if l.commit(&w) {
		l.durable = maps.Clone(b.Good)
		l.e.metrics.loopDone("heartbeat", now)
	}
}

// archive exports old journal entries beside the loop.
func (l *loop) archive() {
	if l.archiving || l.auth == nil {
		return
	}
	l.archiving = true
	ctx := l.auth.ctx
	go func() {
		err := l.e.o.Journal.Archive(ctx, l.e.timing.KeepInLine)
		l.e.post(context.WithoutCancel(ctx), func(l *loop) {
			l.archiving = false
			if errors.Is(err, journal.ErrDiverged) {
				// What was exported is not what the store holds: it was
				// restored from an older copy, or changed by another's hand.
				l.freeze("the journal's archive and the store differ: " + err.Error())
			}
			if err != nil {
				l.e.metrics.loopFailed("archive")
				l.e.o.Log.Warn("archive", "error", err)
				return
			}
			l.e.metrics.loopDone("archive", l.now())
		})
	}()
}

// prune deletes, beside the loop, what the archive of a replica that stands by
// no longer keeps: it has files from when it led, and archives nothing now.
func (l *loop) prune(ctx context.Context) {
	now := l.now()
	if l.pruning || l.auth != nil || !l.standing || now.Before(l.nextPrune) {
		return
	}
	l.pruning, l.nextPrune = true, now.Add(l.e.timing.Archive)
	go func() {
		err := l.e.o.Journal.Prune(ctx)
		l.e.post(context.WithoutCancel(ctx), func(l *loop) {
			l.pruning = false
			if err != nil && ctx.Err() == nil {
				l.e.metrics.loopFailed("archive")
				l.e.o.Log.Warn("archive", "error", err)
			}
		})
	}()
}

// watched takes in what changed in the store by others' hands: inbox records,
// and controls that another process wrote.
func (l *loop) watched(a *authority, b store.Batch) {
	if l.auth != a {
		return
	}
	for _, ev := range b.Events {
		if ev.Deleted {
			continue
		}
		if journal.IsInbox(ev.Key) {
			l.take(ev.KV)
		}
	}
	foreign := b.Events[:0:0]
	for _, ev := range b.Events {
		if k := signalbox.Key(ev.Key); (k == signalbox.ControlsKey || k == signalbox.StoreKey) && int64(ev.Mod) > l.state.Rev[k] {
			foreign = append(foreign, ev)
		}
	}
	if len(foreign) == 0 {
		return
	}
	keys, err := journal.ApplyEvents(l.state, foreign)
	if err != nil {
		l.fail(err)
		return
	}
	for _, k := range keys {
		l.touch(k)
	}
	if f := l.state.Store.Frozen; f != nil && l.e.frozen.Load() == nil { // another replica's marks know more
		l.freeze(f.Why)
	}
}
