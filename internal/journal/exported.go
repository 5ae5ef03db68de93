package journal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Export writes the stored bytes of the entries from seq from on (0: the oldest
// that is left) that were made at since or after it (zero: all), one a line, up
// to the head that it finds at first. Entries after the first that is written
// are all written, so that their chain can be verified.
func (j *Journal) Export(ctx context.Context, w io.Writer, from uint64, since time.Time) (n int, err error) {
	for l, err := range j.Lines(ctx, from, 0) {
		if err != nil {
			return n, err
		}
		if n == 0 && l.At.Before(since) {
			continue
		}
		if _, err := w.Write(l.Stored); err != nil {
			return n, err
		}
		if _, err := w.Write([]byte{'\n'}); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// VerifyExport checks the chain of exported entries, one a line. What the first
// one follows is taken on trust: an entry that was left out at either end does
// not show. Its error names the first entry that does not follow.
func VerifyExport(r io.Reader) (Report, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	var long []byte
	var at position
	var report Report
	for n := 1; ; n++ {
		b, err := readLine(in, &long)
		if errors.Is(err, io.EOF) {
			if len(b) > 0 {
				return report, fmt.Errorf("line %d: it was cut off", n)
			}
			break
		}
		if err != nil {
			return report, fmt.Errorf("line %d: %w", n, err)
		}
		e, err := DecodeEntry(b)
		if err == nil && n == 1 {
			at, report.First = position{e.Seq - 1, e.Prev}, e.Seq
		}
		if err == nil {
			err = at.follows(&e)
		}
		if err != nil {
			return report, fmt.Errorf("line %d: %w", n, err)
		}
		at, report.Last = e.position(), e.Seq
	}
	if report.First == 0 {
		return report, errors.New("it has no entries")
	}
	return report, nil
}

// VerifyPath verifies an exported file, or the files of an archive directory.
func VerifyPath(path string) (Report, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Report{}, err
	}
	if info.IsDir() {
		_, r, err := VerifyFiles(path)
		if err == nil && r.Last == 0 {
			err = errors.New("it has no entries")
		}
		return r, err
	}
	f, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer f.Close()
	return VerifyExport(f)
}
