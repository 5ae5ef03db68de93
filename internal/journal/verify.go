package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// Report is what Verify found to be true.
type Report struct {
	First, Last uint64 // the entries whose chain was checked; zero: there are none
	// Base is the entry upon whose checkpoint the rest was folded; zero: all
	// was folded, from the first entry on.
	Base        uint64
	Checkpoints int // that were compared with what was folded
	Records     int // of the state, byte for byte as folded
	// Parts are what the archive has from before First, oldest first: each was
	// checked by itself, since another replica archived what lies between.
	Parts []Span
}

// Verify reads all entries that are left in archive and store, checks their
// chain up to the head, folds them, and compares with the checkpoints on the
// way and with the state in the store. Then it checks the archive's older parts.
// Its error names the first divergence.
//
// It can be run beside a daemon that writes: it verifies up to the head that it
// finds at first. Entries older than the first that is left, and their
// checkpoint, are taken on trust.
func (j *Journal) Verify(ctx context.Context) (Report, error) {
	kvs, h, _, err := j.snapshot(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("verify: %w", err)
	}
	there := map[string]json.RawMessage{}
	for _, kv := range kvs {
		if audited(kv.Key) {
			there[kv.Key] = kv.Value
		}
	}
	var v verifier
	var first uint64
	err = settled(j.o.Dir, func() (err error) {
		v, first, err = j.replay(ctx, h.position)
		return err
	})
	r, at := v.report, &v.at
	if err != nil {
		return r, fmt.Errorf("verify: %w", err)
	}
	if at.position() != h.position {
		return r, fmt.Errorf("verify: entry %d was changed, or %s: the head has %s, the entry is %s", h.Seq, headKey, brief(h.Hash), brief(at.Hash))
	}
	if err := at.diverges(there); err != nil {
		return r, fmt.Errorf("verify: %w", err)
	}
	r.Records = len(there)
	if r.Parts, err = verifyParts(j.o.Dir, first); err != nil {
		return r, fmt.Errorf("verify: %w", err)
	}
	return r, nil
}

// replay folds everything that is left, from entry first on, up to the head.
func (j *Journal) replay(ctx context.Context, head position) (v verifier, first uint64, err error) {
	x, _, err := j.readExported(ctx)
	if err != nil {
		return v, 0, err
	}
	if err := j.compareEnds(ctx, x); err != nil {
		return v, 0, err
	}
	if first, err = reachesBack(j.o.Dir, x.Deleted+1); err != nil {
		return v, 0, err
	}
	v = verifier{dir: j.o.Dir, exported: x.position}
	if err := v.begin(first, head.Seq); err != nil {
		return v, first, err
	}
	if first > head.Seq {
		return v, first, nil
	}
	for e, err := range decoded(j.lines(ctx, first, head.Seq), nil) {
		if err == nil {
			err = v.take(&e)
		}
		if err != nil {
			return v, first, fmt.Errorf("up to %s, which is at entry %d: %w", headKey, head.Seq, err)
		}
	}
	return v, first, nil
}

// compareEnds returns an error where the archive is not as far as the store says
// that it brought it, or further than the journal goes.
func (j *Journal) compareEnds(ctx context.Context, x exported) error {
	t, err := readTail(j.o.Dir)
	if err != nil {
		return err
	}
	h, err := j.readHead(ctx) // after the archive's end was read: it may move on
	if err != nil {
		return err
	}
	id, err := archiveID(j.o.Dir)
	if err != nil {
		return err
	}
	switch {
	case x.Seq > h.Seq:
		return fmt.Errorf("%s: entry %d was exported, but %s is at %d", exportedKey, x.Seq, headKey, h.Seq)
	case t.Seq > h.Seq:
		return fmt.Errorf("%w: it has entry %d, but %s is at %d", ErrDiverged, t.Seq, headKey, h.Seq)
	case id != "" && id == x.Archive && t.Seq < x.Seq:
		return errLost(t, x)
	}
	return nil
}

// reachesBack returns the oldest entry from which the archive has all up to
// entry inline, where the store's begin.
func reachesBack(dir string, inline uint64) (uint64, error) {
	firsts, err := numbered(dir, journalPrefix, journalSuffix)
	if err != nil {
		return 0, err
	}
	oldest := inline
	for _, first := range slices.Backward(firsts) {
		if first >= oldest {
			continue
		}
		end, err := lastOf(dir, first, oldest)
		if err != nil {
			return 0, err
		}
		if end+1 < oldest {
			return oldest, torn(dir, first, end, oldest)
		}
		oldest = first
	}
	return oldest, nil
}

// torn returns an error where the entries between a file's end and the next
// file were in this directory once: a checkpoint was made right before the next
// file. Otherwise they are in another replica's.
func torn(dir string, first, end, next uint64) error {
	switch _, err := os.Stat(filepath.Join(dir, checkpointName(next-1))); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%s: entry %d is missing: the file ends with entry %d, and entries are left from %d on", journalName(first), end+1, end, next)
}

// lastOf returns the number of the last whole line of a file that begins with
// entry first, or enough-1 where it has as many.
func lastOf(dir string, first, enough uint64) (uint64, error) {
	last := first - 1
	for l, err := range lines(dir, first) {
		if err != nil {
			return 0, err
		}
		if last = l.seq; last+1 >= enough {
			break
		}
	}
	return last, nil
}

// verifier folds entries and compares with what speaks of them.
type verifier struct {
	dir         string
	exported    position
	checkpoints []uint64 // still ahead
	at          Checkpoint
	folding     bool // false: before the base, only the chain is checked
	older       bool // a part that may have no base
	report      Report
}

// begin finds what to fold upon: nothing, when all entries are left, else the
// first checkpoint that the entries reach.
func (v *verifier) begin(first, last uint64) (err error) {
	v.checkpoints, err = numbered(v.dir, checkpointPrefix, checkpointSuffix)
	if err != nil {
		return err
	}
	v.checkpoints = slices.DeleteFunc(v.checkpoints, func(seq uint64) bool { return seq < first-1 || seq > last })
	v.at = Checkpoint{Seq: first - 1, State: map[string]json.RawMessage{}}
	if v.exported.Seq == first-1 {
		v.at.Hash = v.exported.Hash
	}
	v.folding = first == 1
	if first <= last {
		v.report.First, v.report.Last = first, last
	}
	if !v.folding && len(v.checkpoints) == 0 && !v.older {
		return fmt.Errorf("the entries before %d are gone, and no checkpoint from %d to %d is in %q", first, first-1, last, v.dir)
	}
	if first == 1 {
		return nil
	}
	return v.checkpoint()
}

func (v *verifier) take(e *Entry) error {
	if !v.folding && v.at.Hash == "" {
		v.at.Hash = e.Prev // the first that is left
	}
	if err := v.at.fold(e); err != nil {
		return err
	}
	if e.Seq == v.exported.Seq && e.hash != v.exported.Hash {
		return fmt.Errorf("entry %d was changed, or %s: it has %s, the entry is %s", e.Seq, exportedKey, brief(v.exported.Hash), brief(e.hash))
	}
	return v.checkpoint()
}

// checkpoint compares with the checkpoint at this entry, if there is one; the
// first is what is folded upon where nothing older is left.
func (v *verifier) checkpoint() error {
	if len(v.checkpoints) == 0 || v.checkpoints[0] != v.at.Seq {
		return nil
	}
	v.checkpoints = v.checkpoints[1:]
	c, err := readCheckpoint(v.dir, v.at.Seq)
	if err != nil {
		return err
	}
	name := checkpointName(v.at.Seq)
	if v.at.Hash != "" && c.position() != v.at.position() {
		return fmt.Errorf("%s: it is that of entry %d %s, not of entry %d %s", name, c.Seq, brief(c.Hash), v.at.Seq, brief(v.at.Hash))
	}
	if !v.folding {
		v.folding, v.at, v.report.Base = true, c, c.Seq
		return nil
	}
	if err := v.at.diverges(c.State); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	v.report.Checkpoints++
	return nil
}

func readCheckpoint(dir string, seq uint64) (Checkpoint, error) {
	name := checkpointName(seq)
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := decodeCheckpoint(name, b)
	if err == nil && c.Seq != seq {
		err = fmt.Errorf("%s: it says that it is that of entry %d", name, c.Seq)
	}
	return c, err
}

// VerifyFiles checks and folds an archive directory alone, without a store, and
// returns the state after its last entry. Older parts are checked as Verify does.
func VerifyFiles(dir string) (Checkpoint, Report, error) {
	var v verifier
	var first uint64
	err := settled(dir, func() (err error) {
		v, first, err = verifyNewest(dir)
		return err
	})
	if err == nil {
		v.report.Parts, err = verifyParts(dir, first)
	}
	return v.at, v.report, err
}

// verifyNewest folds the newest part of an archive, which begins with entry
// first.
func verifyNewest(dir string) (v verifier, first uint64, err error) {
	t, err := readTail(dir)
	if err != nil {
		return v, 0, err
	}
	if first, err = reachesBack(dir, t.Seq+1); err != nil {
		return v, 0, err
	}
	v = verifier{dir: dir}
	if err := v.begin(first, t.Seq); err != nil {
		return v, first, err
	}
	for e, err := range decoded(archived(dir, first, math.MaxUint64), nil) {
		if err == nil {
			err = v.take(&e)
		}
		if err != nil {
			return v, first, err
		}
	}
	return v, first, nil
}
