package journal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/signalbox/signalbox/internal/durable"
)

// Prune deletes the oldest files of the archive that Options.KeepFor and
// KeepBytes no longer ask for; without either, none. Archive does so too: this
// is for a replica that archives nothing now, and has files from when it did.
func (j *Journal) Prune(ctx context.Context) error {
	if j.o.Dir == "" || j.o.keepsAll() {
		return nil
	}
	if err := hold(ctx, j.archive.lock); err != nil {
		return err
	}
	defer func() { <-j.archive.lock }()
	return j.prune()
}

func (o *Options) keepsAll() bool { return o.KeepFor <= 0 && o.KeepBytes <= 0 }

// prune deletes whole files only, never the last one, and none upon whose end
// the next is folded without a checkpoint: what is left can be verified by
// itself.
func (j *Journal) prune() error {
	if j.o.keepsAll() {
		return nil
	}
	if err := j.deleteOld(); err != nil {
		return fmt.Errorf("retention of the archive: %w", err)
	}
	return nil
}

func (j *Journal) deleteOld() error {
	firsts, err := numbered(j.o.Dir, journalPrefix, journalSuffix)
	if err != nil {
		return err
	}
	sizes, total := make([]int64, len(firsts)), int64(0)
	for i, first := range firsts {
		info, err := os.Stat(filepath.Join(j.o.Dir, journalName(first)))
		if err != nil {
			return err
		}
		sizes[i], total = info.Size(), total+info.Size()
	}
	for i := 0; i+1 < len(firsts); i++ {
		next := firsts[i+1]
		old, err := j.before(next)
		if err != nil {
			return err
		}
		if !old && (j.o.KeepBytes <= 0 || total <= j.o.KeepBytes) {
			return nil
		}
		if err := j.dispensable(firsts[i], next); err != nil {
			return err
		}
		if err := j.deleteFile(firsts[i], next-1); err != nil {
			return err
		}
		total -= sizes[i]
		j.o.Log.Info("a file of the archive is deleted, as its retention says", "file", journalName(firsts[i]), "entries_up_to", next-1)
	}
	return nil
}

// dispensable returns an error where the oldest file must stay, because what
// begins with entry next could then be folded no more.
//
// A part that was begun after another replica's has no checkpoint where it
// begins, but one at what was the head then, which may be several files further,
// or in the store still. Up to there only the chain is checked, so that no file
// of it is needed for the next.
func (j *Journal) dispensable(first, next uint64) error {
	seqs, err := numbered(j.o.Dir, checkpointPrefix, checkpointSuffix)
	if err != nil {
		return err
	}
	base, _ := slices.BinarySearch(seqs, first-1)
	at, there := slices.BinarySearch(seqs, next-1)
	folded := first == 1 || base < at // over the file's end
	if there || !folded && at < len(seqs) {
		return nil
	}
	end, err := lastOf(j.o.Dir, first, next)
	if err != nil {
		return err
	}
	if end+1 < next { // another replica archived what lies between: next begins a part
		return nil
	}
	return fmt.Errorf("%s is kept: without the checkpoint at entry %d what follows could not be verified", journalName(first), next-1)
}

// before reports whether all entries before one that begins a file are older
// than what is kept.
func (j *Journal) before(first uint64) (bool, error) {
	if j.o.KeepFor <= 0 {
		return false, nil
	}
	for l, err := range lines(j.o.Dir, first) {
		if err != nil {
			return false, err
		}
		e, err := l.decode()
		return err == nil && j.o.Now().Sub(e.At) > j.o.KeepFor, err
	}
	return false, nil
}

// deleteFile deletes a file, and the checkpoints that only it needed.
func (j *Journal) deleteFile(first, end uint64) error {
	if err := os.Remove(filepath.Join(j.o.Dir, journalName(first))); err != nil {
		return err
	}
	seqs, err := numbered(j.o.Dir, checkpointPrefix, checkpointSuffix)
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		if seq < end {
			if err := os.Remove(filepath.Join(j.o.Dir, checkpointName(seq))); err != nil {
				return err
			}
		}
	}
	return durable.SyncDir(j.o.Dir)
}
