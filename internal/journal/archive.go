package journal

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/signalbox/signalbox/internal/durable"
	"github.com/signalbox/signalbox/internal/store"
)

// ErrDiverged: the archive has entries that the store's journal has not. One of
// them was restored or changed; nothing is exported until a person has looked.
var ErrDiverged = errors.New("journal: the archive is not this journal's")

func errLost(t tail, x exported) error {
	return fmt.Errorf("%w: entry %d is missing: its files end with entry %d, but %d were exported to it", ErrDiverged, t.Seq+1, t.Seq, x.Seq)
}

// archive is what Archive keeps from one call to the next.
type archive struct {
	lock chan struct{}
	id   string
	end  tail
	read bool // end is known
}

// The bounds of one pass of Archive: between two passes all is consistent, and
// what is done needs not be done again.
const (
	passEntries = 1000
	passBytes   = 4 << 20
)

// Archive exports the oldest entries to files in Options.Dir until keep are
// left in the store. Each pass makes the files durable, then records how far
// they go under journal/exported, and only then deletes entries from the store:
// wherever it is cut off, running it again neither loses nor repeats any. It is
// cheap when there is nothing to do.
//
// Where other replicas exported before, this directory begins anew after what
// they have, with a checkpoint, so that it can be verified for itself.
// ErrConflict: another replica exports at this moment.
func (j *Journal) Archive(ctx context.Context, keep int) error {
	if j.o.Dir == "" {
		return errors.New("archive: Options.Dir is needed")
	}
	if err := hold(ctx, j.archive.lock); err != nil {
		return err
	}
	defer func() { <-j.archive.lock }()
	for more := true; more; {
		var err error
		if more, err = j.pass(ctx, uint64(max(keep, 0))); err != nil {
			j.archive.read = false
			return fmt.Errorf("archive: %w", err)
		}
	}
	return j.prune()
}

// pass exports some entries; more says that others are left to be exported.
func (j *Journal) pass(ctx context.Context, keep uint64) (more bool, err error) {
	h, err := j.readHead(ctx)
	if err != nil {
		return false, err
	}
	x, mod, err := j.readExported(ctx)
	if err != nil {
		return false, err
	}
	if mod, err = j.forget(ctx, &x, mod); err != nil {
		return false, err
	}
	if h.Seq < keep || h.Seq-keep <= x.Seq {
		return false, nil
	}
	upTo := h.Seq - keep
	if err := j.openArchive(); err != nil {
		return false, err
	}
	if err := j.join(ctx, h.position, x); err != nil {
		return false, err
	}
	if err := j.export(ctx, upTo); err != nil {
		return false, err
	}
	end := &j.archive.end
	x = exported{version, end.position, j.archive.id, journalName(end.first), x.Deleted}
	if mod, err = j.recordExported(ctx, x, mod, nil); err != nil {
		return false, err
	}
	_, err = j.forget(ctx, &x, mod)
	j.o.Log.Debug("entries archived", "to", x.Seq, "file", x.File)
	return x.Seq < upTo, err
}

// openArchive makes the directory where it is not there, and finds its end.
func (j *Journal) openArchive() (err error) {
	if j.archive.read {
		return nil
	}
	dir := j.o.Dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if j.archive.id, err = archiveID(dir); err != nil {
		return err
	}
	if j.archive.id == "" {
		id := make([]byte, 8)
		if _, err := rand.Read(id); err != nil {
			return err
		}
		j.archive.id = hex.EncodeToString(id)
		if err := durable.Write(filepath.Join(dir, idName), []byte(j.archive.id+"\n")); err != nil {
			return err
		}
	}
	if j.archive.end, err = readTail(dir); err != nil {
		return err
	}
	j.archive.read = true
	return nil
}

const idName = "archive-id"

// archiveID reads the id of a directory; empty: it has none.
func archiveID(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, idName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// join makes sure that what comes next belongs after the archive's end.
func (j *Journal) join(ctx context.Context, h position, x exported) error {
	end := &j.archive.end
	switch {
	case end.Seq == x.Seq:
		if end.Hash != x.Hash {
			return fmt.Errorf("%w: entry %d is %s in its files and %s in the store", ErrDiverged, end.Seq, brief(end.Hash), brief(x.Hash))
		}
	case end.Seq > x.Seq: // cut off before it was recorded
		kv, ok, err := j.store.Get(ctx, entryKey(end.Seq))
		if err != nil {
			return err
		}
		if !ok || hash(kv.Value) != end.Hash || end.Seq > h.Seq {
			return fmt.Errorf("%w: entry %d is another in its files, or the store has lost it", ErrDiverged, end.Seq)
		}
	case x.Archive == j.archive.id:
		return errLost(*end, x)
	default:
		j.o.Log.Info("other replicas archived before: a new part begins with a checkpoint", "has", end.Seq, "exported", x.Seq)
		if err := j.checkpointHead(ctx, end.Seq); err != nil {
			return err
		}
		*end = tail{position: x.position}
	}
	if end.first == 0 {
		end.first, end.size = end.Seq+1, 0
	}
	return nil
}

// export appends entries of the store, some of those up to upTo, and makes the
// file durable. It also does so when there are none to append, since who was
// cut off may not have.
func (j *Journal) export(ctx context.Context, upTo uint64) error {
	end := j.archive.end
	if end.size >= j.o.FileBytes {
		j.checkpointEnd(end.position)
		end.first, end.size = end.Seq+1, 0
	}
	var entries [][]byte
	size, next := end.size, end.position
	for l, err := range j.inline(ctx, end.Seq+1, upTo) {
		if err != nil {
			return err
		}
		e, err := l.decode()
		if err == nil {
			err = next.follows(&e)
		}
		if err != nil {
			return err
		}
		entries, next = append(entries, l.bytes), e.position()
		if size += int64(len(l.bytes)) + 1; len(entries) >= passEntries || size-end.size >= passBytes || size >= j.o.FileBytes {
			break
		}
	}
	if len(entries) == 0 && end.Seq < upTo {
		return fmt.Errorf("entry %d is missing in the store", end.Seq+1)
	}
	if err := appendLines(j.o.Dir, end, entries); err != nil {
		return err
	}
	end.position, end.size = next, size
	j.archive.end = end
	return nil
}

// checkpointEnd writes the state at the end of a file that is full. Where that
// can't be known the file stays without: nothing depends on it, and what is
// wrong with the files is for Verify to say.
func (j *Journal) checkpointEnd(end position) {
	base, ok, err := j.newestCheckpoint(end.Seq)
	if err == nil && ok && base.Seq < end.Seq {
		if base, err = Fold(base, decoded(archived(j.o.Dir, base.Seq+1, end.Seq), nil)); err == nil && base.position() == end {
			err = j.writeCheckpoint(&base)
		}
	}
	if err != nil {
		j.o.Log.Error("no checkpoint is made of the archive", "seq", end.Seq, "error", err)
	}
}

// newestCheckpoint returns the last checkpoint not after seq, or the empty one
// where the files reach back to the first entry.
func (j *Journal) newestCheckpoint(seq uint64) (Checkpoint, bool, error) {
	seqs, err := numbered(j.o.Dir, checkpointPrefix, checkpointSuffix)
	if err != nil {
		return Checkpoint{}, false, err
	}
	for _, n := range slices.Backward(seqs) {
		if n <= seq {
			c, err := readCheckpoint(j.o.Dir, n)
			return c, err == nil, err
		}
	}
	_, err = os.Stat(filepath.Join(j.o.Dir, journalName(1)))
	return Checkpoint{}, err == nil, nil
}

// checkpointHead writes the state as the store has it now, upon which a new
// part of the archive is folded. Checkpoints beyond the end of the part before
// were made for entries that never came here: they go.
func (j *Journal) checkpointHead(ctx context.Context, end uint64) error {
	old, err := numbered(j.o.Dir, checkpointPrefix, checkpointSuffix)
	if err != nil {
		return err
	}
	for _, n := range old {
		if n > end {
			if err := os.Remove(filepath.Join(j.o.Dir, checkpointName(n))); err != nil {
				return err
			}
		}
	}
	kvs, h, _, err := j.snapshot(ctx)
	if err != nil {
		return err
	}
	c := Checkpoint{h.Seq, h.Hash, map[string]json.RawMessage{}}
	for _, kv := range kvs {
		if audited(kv.Key) {
			c.State[kv.Key] = kv.Value
		}
	}
	return j.writeCheckpoint(&c)
}

func (j *Journal) writeCheckpoint(c *Checkpoint) error {
	b, err := encodeCheckpoint(c)
	if err != nil {
		return err
	}
	return durable.Write(filepath.Join(j.o.Dir, checkpointName(c.Seq)), b)
}

func (j *Journal) readExported(ctx context.Context) (exported, store.Revision, error) {
	kv, ok, err := j.store.Get(ctx, exportedKey)
	if err != nil || !ok {
		return exported{V: version}, 0, err
	}
	x, err := decodeExported(kv.Value)
	return x, kv.Mod, err
}

// recordExported puts journal/exported, if nobody else did since, and deletes
// entries with it.
func (j *Journal) recordExported(ctx context.Context, x exported, mod store.Revision, deletes []string) (store.Revision, error) {
	return j.store.Commit(ctx, store.Txn{
		Ifs:     []store.Cond{{Key: exportedKey, Rev: mod}},
		Puts:    []store.Put{{Key: exportedKey, Value: mustMarshal(x)}},
		Deletes: deletes,
	})
}

// forget deletes from the store what is recorded as exported, the oldest first.
func (j *Journal) forget(ctx context.Context, x *exported, mod store.Revision) (store.Revision, error) {
	for x.Deleted < x.Seq {
		var keys []string
		next := *x
		for next.Deleted < next.Seq && len(keys) < store.MaxOps-1 {
			next.Deleted++
			keys = append(keys, entryKey(next.Deleted))
		}
		rev, err := j.recordExported(ctx, next, mod, keys)
		if err != nil {
			return mod, err
		}
		*x, mod = next, rev
	}
	return mod, nil
}
