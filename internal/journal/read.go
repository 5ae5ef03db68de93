package journal

import (
	"context"
	"fmt"
	"iter"
	"math"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// Read returns the entries from to to, both included, of archive and store as
// one sequence. From zero begins with the oldest that is left; to zero ends
// with the newest. An entry that is missing or can't be decoded ends it with an
// error that names it. It does not compare hashes: Verify does.
func (j *Journal) Read(ctx context.Context, from, to uint64) iter.Seq2[Entry, error] {
	return decoded(j.lines(ctx, from, to), nil)
}

// Incident returns the entries that speak of an incident, oldest first, of
// archive and store. It reads all of the archive that is left, one file at a
// time.
func (j *Journal) Incident(ctx context.Context, id signalbox.IncidentID) iter.Seq2[Entry, error] {
	all := decoded(j.lines(ctx, 0, 0), func(l line) bool { return mentions(l.bytes, id) })
	return func(yield func(Entry, error) bool) {
		for e, err := range all {
			if (err != nil || speaksOf(&e, id)) && !yield(e, err) {
				return
			}
		}
	}
}

func speaksOf(e *Entry, id signalbox.IncidentID) bool {
	if e.Incident == id {
		return true
	}
	for i := range e.Changes {
		if e.Changes[i].Key == signalbox.IncidentKey(id) {
			return true
		}
	}
	return false
}

// decoded decodes the lines that want chooses; nil chooses all.
func decoded(lines iter.Seq2[line, error], want func(line) bool) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for l, err := range lines {
			if err == nil && want != nil && !want(l) {
				continue
			}
			var e Entry
			if err == nil {
				e, err = l.decode()
			}
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// lines reads entries as they are stored. Entries may move from the store to
// the archive meanwhile, so where one ends the other is asked again. The store
// is asked first: an archive's file is read from its begin.
func (j *Journal) lines(ctx context.Context, from, to uint64) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		from, to, err := j.bounds(ctx, from, to)
		if err != nil {
			yield(line{}, err)
			return
		}
		for next := from; next <= to; {
			began := next
			for _, some := range []iter.Seq2[line, error]{
				func(y func(line, error) bool) { j.inline(ctx, next, to)(y) },
				func(y func(line, error) bool) { archived(j.o.Dir, next, to)(y) },
			} {
				for l, err := range some {
					if !yield(l, err) || err != nil {
						return
					}
					next = l.seq + 1
				}
			}
			if next == began {
				yield(line{}, fmt.Errorf("entry %d is missing: neither the store nor the archive has it, and entries up to %d are asked for", next, to))
				return
			}
		}
	}
}

// bounds resolves zeros to the oldest entry left and the newest.
func (j *Journal) bounds(ctx context.Context, from, to uint64) (uint64, uint64, error) {
	h, err := j.readHead(ctx)
	if err != nil {
		return 0, 0, err
	}
	if to == 0 {
		to = h.Seq
	}
	if from > 0 {
		return from, to, nil
	}
	x, _, err := j.readExported(ctx)
	if err != nil {
		return 0, 0, err
	}
	from, err = reachesBack(j.o.Dir, x.Deleted+1)
	return from, to, err
}

// block is how many entries are listed at once: those whose keys differ in
// their last two digits.
const block = 100

// inline reads what the store has without a gap from entry from on.
func (j *Journal) inline(ctx context.Context, from, to uint64) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		for next := from; next <= to && next < math.MaxUint64-block; {
			began := next
			kvs, err := j.listBlock(ctx, next)
			if err != nil {
				yield(line{}, err)
				return
			}
			for _, kv := range kvs {
				if kv.Key < entryKey(next) {
					continue
				}
				if kv.Key != entryKey(next) || next > to {
					return
				}
				if !yield(line{next, kv.Value, "store"}, nil) {
					return
				}
				next++
			}
			if next == began || next%block != 0 {
				return // also where a whole block is gone
			}
		}
	}
}

// listBlock lists the entries whose keys differ from seq's in their last two
// digits only.
func (j *Journal) listBlock(ctx context.Context, seq uint64) ([]store.KV, error) {
	key := entryKey(seq)
	kvs, _, err := j.store.List(ctx, key[:len(key)-2])
	if err != nil {
		return nil, fmt.Errorf("list entries from %s: %w", strings.TrimPrefix(key, entryPrefix), err)
	}
	return kvs, nil
}
