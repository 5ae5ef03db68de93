package journal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/signalbox/signalbox/internal/durable"
	"github.com/signalbox/signalbox/internal/store"
)

// The archive is a directory of two kinds of files:
//
//	journal-00000000000000000001.jsonl     entries from 1 on, one a line, byte for byte as they were stored
//	checkpoint-00000000000000004711.json   the audited state after entry 4711
//
// A file is only appended to; only the last may end in a torn line.

const (
	journalPrefix, journalSuffix       = "journal-", ".jsonl"
	checkpointPrefix, checkpointSuffix = "checkpoint-", ".json"
)

func journalName(first uint64) string {
	return fmt.Sprintf("%s%020d%s", journalPrefix, first, journalSuffix)
}

func checkpointName(seq uint64) string {
	return fmt.Sprintf("%s%020d%s", checkpointPrefix, seq, checkpointSuffix)
}

// numbered returns the numbers in the names of dir's files of one kind,
// ascending. A directory that does not exist has none.
func numbered(dir, prefix, suffix string) ([]uint64, error) {
	files, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var ns []uint64
	for _, f := range files {
		digits, ok := strings.CutPrefix(f.Name(), prefix)
		digits, ok2 := strings.CutSuffix(digits, suffix)
		n, err := strconv.ParseUint(digits, 10, 64)
		if ok && ok2 && len(digits) == 20 && err == nil {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	return ns, nil
}

// line is one stored entry: its number by its place, and its bytes, which are
// valid until the next one is read.
type line struct {
	seq   uint64
	bytes []byte
	where string // for errors
}

func (l *line) decode() (Entry, error) {
	e, err := DecodeEntry(l.bytes)
	if err == nil && e.Seq != l.seq {
		err = fmt.Errorf("the entry says that it is %d", e.Seq)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("%s: entry %d: %w", l.where, l.seq, err)
	}
	return e, nil
}

// lines reads one archive file, up to its last newline.
func lines(dir string, first uint64) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		name := journalName(first)
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			yield(line{}, err)
			return
		}
		defer f.Close()
		r := bufio.NewReaderSize(f, 64<<10)
		var long []byte
		for seq := first; ; seq++ {
			b, err := readLine(r, &long)
			if errors.Is(err, io.EOF) {
				return // the rest, if any, is a torn line
			}
			if err != nil {
				yield(line{}, fmt.Errorf("%s: entry %d: %w", name, seq, err))
				return
			}
			if !yield(line{seq, b, name}, nil) {
				return
			}
		}
	}
}

// readLine returns the next line without its newline, valid until the next
// call; long is room for one that the reader has none for. An entry is never
// longer than a transaction.
func readLine(r *bufio.Reader, long *[]byte) ([]byte, error) {
	b, err := r.ReadSlice('\n')
	if err == nil {
		return b[:len(b)-1], nil
	}
	*long = (*long)[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		if *long = append(*long, b...); len(*long) > store.MaxBytes {
			return nil, fmt.Errorf("at most %d bytes", store.MaxBytes)
		}
		b, err = r.ReadSlice('\n')
	}
	*long = append(*long, b...)
	if err != nil {
		return *long, err // what a torn line has
	}
	return (*long)[:len(*long)-1], nil
}

// archived reads what the archive has without a gap from entry from on, up to
// entry to; nothing, when it does not have from.
func archived(dir string, from, to uint64) iter.Seq2[line, error] {
	return func(yield func(line, error) bool) {
		firsts, err := numbered(dir, journalPrefix, journalSuffix)
		if err != nil {
			yield(line{}, err)
			return
		}
		at, found := slices.BinarySearch(firsts, from)
		if !found {
			at--
		}
		for next := from; at >= 0 && at < len(firsts) && firsts[at] <= next; at++ {
			for l, err := range lines(dir, firsts[at]) {
				if err == nil && l.seq < next {
					continue
				}
				if err == nil && l.seq > to || !yield(l, err) || err != nil {
					return
				}
				next = l.seq + 1
			}
		}
	}
}

// tail is the end of an archive: its last entry, and the file to append to.
type tail struct {
	position
	first uint64 // of the last file; 0: there is none
	size  int64  // of that file, up to its last newline
}

// readTail finds the archive's end.
func readTail(dir string) (tail, error) {
	firsts, err := numbered(dir, journalPrefix, journalSuffix)
	if err != nil {
		return tail{}, err
	}
	var t tail
	for _, first := range slices.Backward(firsts) {
		end := tail{first: first}
		var last []byte
		for l, err := range lines(dir, first) {
			if err != nil {
				return tail{}, err
			}
			end.Seq, end.size, last = l.seq, end.size+int64(len(l.bytes))+1, append(last[:0], l.bytes...)
		}
		if t.first == 0 {
			t = end
		}
		if end.Seq > 0 {
			t.position = position{end.Seq, hash(last)}
			return t, nil
		}
	}
	return t, nil
}

// appendLines writes entries to the end of the file at t and makes them
// durable. After an error the file ends where it did before, or in lines that
// no position speaks of.
func appendLines(dir string, t tail, entries [][]byte) (err error) {
	f, err := os.OpenFile(filepath.Join(dir, journalName(t.first)), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// What a failed sync left in the cache must not be read as if
			// it were on the disk.
			err = errors.Join(err, f.Truncate(t.size))
		}
		err = errors.Join(err, f.Close())
	}()
	if err := f.Truncate(t.size); err != nil { // a torn line
		return err
	}
	size := 0
	for _, e := range entries {
		size += len(e) + 1
	}
	b := bytes.NewBuffer(make([]byte, 0, size))
	for _, e := range entries {
		b.Write(e)
		b.WriteByte('\n')
	}
	if _, err := f.WriteAt(b.Bytes(), t.size); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return durable.SyncDir(dir)
}
