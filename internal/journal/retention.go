package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/signalbox/signalbox/internal/durable"
)

// prune deletes the oldest files of the archive that Options.KeepFor and
// KeepBytes no longer ask for; without either, none. It deletes whole files
// only, never the last one, and none whose end has no checkpoint: what is left
// can be folded, and so verified, by itself.
func (j *Journal) prune() error {
	if j.o.KeepFor <= 0 && j.o.KeepBytes <= 0 {
		return nil
	}
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
		switch _, err := os.Stat(filepath.Join(j.o.Dir, checkpointName(next-1))); {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%s is kept: without the checkpoint at entry %d what follows could not be verified", journalName(firsts[i]), next-1)
		case err != nil:
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
