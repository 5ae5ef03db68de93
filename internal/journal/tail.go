package journal

import (
	"context"
	"iter"
)

// Head returns the number of the newest entry; 0: there is none yet.
func (j *Journal) Head(ctx context.Context) (uint64, error) {
	h, err := j.readHead(ctx)
	return h.Seq, err
}

// Oldest returns the number of the oldest entry that is left, from which on
// none is missing; one more than the newest where none is left. It may read
// much of the archive.
func (j *Journal) Oldest(ctx context.Context) (uint64, error) {
	from, _, err := j.bounds(ctx, 0, 0)
	return from, err
}

// Line is an entry with its stored bytes, which are valid until the next one
// is read.
type Line struct {
	Entry
	Stored []byte
}

// Lines is Read with the bytes of each entry.
func (j *Journal) Lines(ctx context.Context, from, to uint64) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for l, err := range j.lines(ctx, from, to) {
			var e Entry
			if err == nil {
				e, err = l.decode()
			}
			if !yield(Line{e, l.bytes}, err) || err != nil {
				return
			}
		}
	}
}
