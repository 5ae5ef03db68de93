package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/store"
)

// A store that was restored from an older copy goes back in time. Marks outside
// of it notice that at the begin of each term; then nothing is started, as by
// the kill file, until a person confirms the store.

// aliveFor is how young another replica's heartbeat must be so that a replica
// without marks relies on the store that both share.
const aliveFor = 30 * time.Second

// doubt is why the store is not to be relied on; the zero doubt: it agrees with
// what is kept outside of it, or nothing is.
type doubt struct {
	why string
	// blind: this replica has nothing to compare the store with. It does not start
	// anything by itself then, but what others have it says nothing about.
	blind bool
}

// doubts compares the store with what is kept outside of it. An error is the
// store's.
func (e *Engine) doubts(ctx context.Context, s *signalbox.State) (doubt, error) {
	if f := s.Store.Frozen; f != nil || e.o.Marks == nil {
		return doubt{why: frozenWhy(f)}, nil
	}
	m, err := e.o.Marks.Read()
	if err != nil {
		return doubt{why: "its marks can't be read: " + err.Error(), blind: true}, nil
	}
	d, err := e.compare(ctx, s, m)
	if err == nil && (d.why == "" || d.blind) && restoredSince(m, s.Store.Confirmed) {
		return doubt{why: "the store was restored by hand at " + stamp(m.Restored) + ": whether the copy had all that a majority acknowledged can't be known"}, nil
	}
	if err != nil || d.why != "" {
		return d, err
	}
	d.why, err = e.o.Journal.LacksArchived(ctx)
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		return doubt{why: "its journal's archive can't be compared: " + err.Error(), blind: true}, nil
	}
	return d, err
}

// restoredSince reports whether a member of a cluster was restored, and nobody
// has confirmed the store after that. Its marks and copy may both be of a member
// that lagged behind the majority that is lost.
func restoredSince(m *marks.Marks, confirmed *signalbox.Control) bool {
	return m != nil && !m.Restored.IsZero() && (confirmed == nil || confirmed.At.Before(m.Restored))
}

func frozenWhy(f *signalbox.Frozen) string {
	if f == nil {
		return ""
	}
	return f.Why
}

// compare compares the store with its marks.
func (e *Engine) compare(ctx context.Context, s *signalbox.State, m *marks.Marks) (doubt, error) {
	has := &s.Store
	if m != nil && m.Seq == 0 && m.Store != has.ID { // written before the store had its id, which it then did not get
		m = nil
	}
	switch {
	case m == nil && has.ID == "": // a first start, or the first that keeps marks
		return doubt{}, nil
	case m == nil && e.o.Shared && e.othersAlive(s):
		return doubt{}, nil
	case m == nil:
		return doubt{why: "the store was led before, and there are no marks beside it: whether it is the newest can't be known", blind: true}, nil
	case has.ID == "":
		return doubt{why: fmt.Sprintf("the store is not the one of its marks: it was never led, and at %s there were %d entries", stamp(m.At), m.Seq)}, nil
	case has.ID != m.Store:
		return doubt{why: fmt.Sprintf("the store is another's: its id is %.8q, and the marks of %s are of %.8q", has.ID, stamp(m.At), m.Store)}, nil
	case has.Epoch > m.Epoch: // a person confirmed it, and the marks were not written yet
		return doubt{}, nil
	case has.Epoch < m.Epoch:
		return doubt{why: fmt.Sprintf("the store is older than its marks: it was confirmed %d times, and by %s %d times", has.Epoch, stamp(m.At), m.Epoch)}, nil
	}
	why, err := e.o.Journal.Lacks(ctx, journal.Mark{Seq: m.Seq, Hash: m.Hash, Revision: store.Revision(m.Revision)})
	if why != "" {
		why = "the store is older than its marks of " + stamp(m.At) + ": " + why
	}
	return doubt{why: why}, err
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// othersAlive reports whether another replica, which has marks of its own, has
// led this store just now.
func (e *Engine) othersAlive(s *signalbox.State) bool {
	for _, b := range s.Beats {
		if b.Replica != e.o.Replica && e.o.Now().Sub(b.At).Abs() < aliveFor {
			return true
		}
	}
	return false
}

// identify gives a store that is led for the first time its id, and puts on
// record that it is frozen.
func (l *loop) identify(why string) {
	if l.e.o.Marks == nil {
		return
	}
	next, w := l.state.Store, &write{}
	if next.ID == "" {
		next.ID = rand.Text()
		if why == "" {
			l.firstMarks(&next)
		}
		w.entry(journal.StoreBegun, "", "", map[string]string{"id": next.ID})
		// Whoever finds the id finds who led: others have no marks of it yet.
		w.put(journal.PutHeartbeat(&signalbox.Heartbeat{Replica: l.e.o.Replica, At: l.now(), Good: maps.Clone(l.good)}))
	}
	if why != "" && next.Frozen == nil {
		next.Frozen = &signalbox.Frozen{Why: why, At: l.now(), Replica: l.e.o.Replica}
		w.entry(journal.StoreFrozen, "", "", next.Frozen)
	}
	if len(w.entries) > 0 {
		w.put(journal.PutStore(next))
		w.require(l.state, signalbox.StoreKey)
		if !l.commit(w) {
			return
		}
	}
	l.e.stored.Store(&next)
}

// firstMarks come before the store has its id: a process that is killed right
// after that must find some. They say nothing of what the store must have.
func (l *loop) firstMarks(s *signalbox.StoreState) {
	if err := l.e.o.Marks.Advance(marksOf(s, journal.Mark{}, l.now())); err != nil {
		l.e.o.Log.Warn("marks", "error", err)
	}
}

// trust begins a term: with a store that agrees with its marks, or frozen.
func (l *loop) trust(why string) {
	if why != "" {
		l.freeze(why)
		return
	}
	if l.e.o.Marks != nil { // else what froze it stands until a restart
		l.e.frozen.Store(nil)
		l.e.metrics.frozen.Set(0)
		l.readKillFile()
	}
	l.identify("")
}

// freeze stops all remediation until a person confirms the store.
func (l *loop) freeze(why string) {
	if l.e.frozen.Load() == nil {
		l.e.frozen.Store(&why)
		l.e.metrics.frozen.Set(1)
		l.e.o.Log.Error("frozen: nothing is started until a person confirms the store", "why", why)
	}
	if l.auth != nil {
		l.identify(why)
	}
	l.readKillFile()
}

// confirmStore takes a person's word that the store may be relied on. A new
// epoch begins, whose tokens are above all that any copy of the store gave out.
func (l *loop) confirmStore(w *write, c signalbox.Control) error {
	next := l.state.Store
	switch {
	case c.Scope != "all":
		return fmt.Errorf("confirm is about the whole store: its scope must be all, got %q", c.Scope)
	case strings.TrimSpace(c.Reason) == "":
		return errors.New("confirm needs a reason: what was compared, and with what")
	case next.Frozen == nil:
		return errors.New("there is nothing to confirm: the store agrees with its marks")
	}
	next.Frozen, next.Confirmed = nil, &c
	if l.e.o.Marks != nil {
		if m, err := l.e.o.Marks.Read(); err == nil && m != nil {
			next.Epoch = max(next.Epoch, m.Epoch)
		}
	}
	next.Epoch++
	w.put(journal.PutStore(next))
	w.require(l.state, signalbox.StoreKey)
	return nil
}

// storeConfirmed lets the store be relied on, once the word is durable.
func (l *loop) storeConfirmed() {
	now := l.state.Store
	l.e.stored.Store(&now)
	l.e.frozen.Store(nil)
	l.e.metrics.frozen.Set(0)
	l.readKillFile()
	l.killPage()
	l.mark()
}

// mark brings the marks up to what was written, beside the loop: a disk that
// hangs must not hold up a page.
func (l *loop) mark() {
	if l.marking || l.auth == nil || l.e.o.Marks == nil {
		return
	}
	l.marking = true
	ctx := context.WithoutCancel(l.auth.ctx)
	l.e.marking.Go(func() {
		err := l.e.advance()
		l.e.post(ctx, func(l *loop) {
			l.marking = false
			if err != nil {
				l.e.metrics.loopFailed("marks")
				l.e.o.Log.Warn("marks", "error", err)
				return
			}
			l.e.metrics.loopDone("marks", l.now())
		})
	})
}

// advance makes the marks durable, as far as this process has written; not of a
// store that is frozen, which must not become what it is compared with.
func (e *Engine) advance() error {
	has := e.stored.Load()
	m, ok := e.o.Journal.Written()
	if e.o.Marks == nil || !ok || has == nil || has.Frozen != nil || e.frozen.Load() != nil {
		return nil
	}
	return e.o.Marks.Advance(marksOf(has, m, e.o.Now()))
}

// Copied puts on record that somebody took a backup of the store.
func (e *Engine) Copied(ctx context.Context, b signalbox.Backup) error {
	result := ErrNoTerm
	err := e.call(ctx, func(l *loop) {
		if l.auth == nil {
			return
		}
		next, w := l.state.Store, &write{}
		next.Backup = &b
		w.put(journal.PutStore(next))
		w.require(l.state, signalbox.StoreKey)
		w.entries = append(w.entries, journal.Record{Kind: journal.StoreCopied, Who: b.Who, Data: b})
		if l.commit(w) {
			result = nil
		}
	})
	return errors.Join(err, result)
}
