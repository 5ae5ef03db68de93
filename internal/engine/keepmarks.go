package engine

import (
	"context"
	"errors"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/marks"
	"github.com/signalbox/signalbox/internal/store"
)

// keepMarks keeps the marks of a replica that does not lead, so that it knows the
// store when it does; and tells who leads when the store is not to be relied on.
func (e *Engine) keepMarks(ctx context.Context) {
	if !e.o.Shared || e.o.Marks == nil {
		return
	}
	pause := e.timing.Retry // until there are some: without any it could not rely on the store
	for ctx.Err() == nil {
		if !e.Leading() {
			kept, err := e.agree(ctx)
			if err != nil {
				e.o.Log.Debug("marks of who stands by", "error", err)
			}
			if kept {
				pause = e.timing.Beat
			}
		}
		e.wait(ctx, pause)
	}
}

// agree compares the store with this replica's marks, and brings those up to it;
// kept says that it did. It reads no more of the state than that needs, however much
// is open.
func (e *Engine) agree(ctx context.Context) (kept bool, err error) {
	s, err := e.o.Journal.LoadStore(ctx)
	if err != nil || s.Store.ID == "" || s.Store.Frozen != nil {
		return false, err
	}
	switch d, err := e.doubts(ctx, s); {
	case err != nil:
		return false, err
	case d.blind: // the store is not to be frozen for what this replica lacks
		return false, errors.New(d.why)
	case d.why != "":
		return false, e.tellFrozen(ctx, s, d.why)
	}
	m, err := e.o.Journal.Newest(ctx)
	if err != nil {
		return false, err
	}
	err = e.o.Marks.Advance(marksOf(&s.Store, m, e.o.Now()))
	return err == nil, err
}

func marksOf(s *signalbox.StoreState, m journal.Mark, now time.Time) marks.Marks {
	return marks.Marks{Store: s.ID, Epoch: s.Epoch, Seq: m.Seq, Hash: m.Hash, Revision: int64(m.Revision), At: now.UTC()}
}

// tellFrozen puts on record that the store is not to be relied on; who leads
// sees it there.
func (e *Engine) tellFrozen(ctx context.Context, s *signalbox.State, why string) error {
	next := s.Store
	next.Frozen = &signalbox.Frozen{Why: why, At: e.o.Now(), Replica: e.o.Replica}
	_, err := e.o.Journal.Write(ctx, nil, []store.Cond{{Key: signalbox.StoreKey, Rev: store.Revision(s.Rev[signalbox.StoreKey])}},
		[]journal.Record{{Kind: journal.StoreFrozen, Data: next.Frozen, Put: []journal.Change{journal.PutStore(next)}}}, nil)
	return err
}
