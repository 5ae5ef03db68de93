package journal

import (
	"context"
	"errors"
	"fmt"

	"github.com/signalbox/signalbox/internal/store"
)

// Mark is a place in the journal, to be kept outside of its store.
type Mark struct {
	Seq      uint64
	Hash     string         // of that entry
	Revision store.Revision // that wrote it
}

// Written returns the newest entry that this process has written, which is
// durable in the store; false: none yet.
func (j *Journal) Written() (Mark, bool) {
	m := j.written.Load()
	if m == nil {
		return Mark{}, false
	}
	return *m, true
}

// Newest is the newest entry that the store has, whoever wrote it.
func (j *Journal) Newest(ctx context.Context) (Mark, error) {
	h, err := j.readHead(ctx)
	return Mark{h.Seq, h.Hash, h.mod}, err
}

// Lacks says by how much the store is behind a mark, or in what it is another;
// empty: it has all of it. The archive is compared too.
func (j *Journal) Lacks(ctx context.Context, m Mark) (string, error) {
	h, err := j.readHead(ctx)
	if err != nil {
		return "", err
	}
	if h.Seq < m.Seq {
		return fmt.Sprintf("its journal ends with entry %d, and there were %d: %d are missing", h.Seq, m.Seq, m.Seq-h.Seq), nil
	}
	has, err := j.hashOf(ctx, m.Seq, h.position)
	switch {
	case err != nil:
		return "", err
	case has != "" && has != m.Hash:
		return fmt.Sprintf("its entry %d is %s, and was %s: it goes on from an older copy", m.Seq, brief(has), brief(m.Hash)), nil
	case h.mod < m.Revision:
		return fmt.Sprintf("its journal was last written at revision %d, and had been at %d", h.mod, m.Revision), nil
	}
	return "", nil
}

// LacksArchived says in what the store is not the one of the archive; empty: it
// is.
func (j *Journal) LacksArchived(ctx context.Context) (string, error) {
	if j.o.Dir == "" {
		return "", nil
	}
	x, _, err := j.readExported(ctx)
	if err == nil {
		err = j.compareEnds(ctx, x)
	}
	if errors.Is(err, ErrDiverged) {
		return err.Error(), nil
	}
	return "", err
}

// hashOf returns the hash of an entry not after the head; empty: it is in
// another replica's archive.
func (j *Journal) hashOf(ctx context.Context, seq uint64, h position) (string, error) {
	if seq == h.Seq {
		return h.Hash, nil
	}
	kv, ok, err := j.store.Get(ctx, entryKey(seq))
	if err != nil {
		return "", err
	}
	if ok {
		return hash(kv.Value), nil
	}
	for l, err := range archived(j.o.Dir, seq, seq) {
		if err != nil {
			return "", err
		}
		return hash(l.bytes), nil
	}
	return "", nil
}
