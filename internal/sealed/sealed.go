// Package sealed tells whether a snapshot of the store is whole: it ends with the
// SHA-256 of what is before, as etcd writes it.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
)

// sectors is what the size of a database is a multiple of, so that one with its
// hash behind it can be told.
const sectors = 512

// Copy takes in a snapshot as it passes, and tells whether it is whole. The
// zero value is ready.
type Copy struct {
	content, all hash.Hash
	end          []byte // the last bytes, which may be the hash
	n            int64
}

// Write implements io.Writer.
func (s *Copy) Write(b []byte) (int, error) {
	if s.all == nil {
		s.content, s.all = sha256.New(), sha256.New()
	}
	s.n += int64(len(b))
	s.all.Write(b)
	s.end = append(s.end, b...)
	if over := len(s.end) - sha256.Size; over > 0 {
		s.content.Write(s.end[:over])
		s.end = append(s.end[:0], s.end[over:]...)
	}
	return len(b), nil
}

// Whole returns the SHA-256 of the file and its size, or why it is no whole
// snapshot.
func (s *Copy) Whole() (sum string, size int64, err error) {
	if s.n <= sha256.Size || s.n%sectors != sha256.Size {
		return "", s.n, fmt.Errorf("%d bytes are no snapshot with its hash: it was cut short, or is another file", s.n)
	}
	if got := s.content.Sum(nil); !bytes.Equal(got, s.end) {
		return "", s.n, fmt.Errorf("the snapshot was changed: it ends with the hash %.12x, and what is before it has %.12x", s.end, got)
	}
	return hex.EncodeToString(s.all.Sum(nil)), s.n, nil
}

// File reads a snapshot's file, and returns its SHA-256 and size.
func File(path string) (string, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	var s Copy
	if _, err := io.Copy(&s, f); err != nil {
		return "", 0, err
	}
	sum, size, err := s.Whole()
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return sum, size, err
}
