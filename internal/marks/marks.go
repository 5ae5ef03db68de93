// Package marks keeps high-water marks of the store in a file beside it. A store
// that is restored from an older copy goes back in time and can't notice it by
// itself: what was spent, thrown and sent since the copy is not in it. The marks
// were not restored with it, and say so.
//
//	commit -> marks, within a second, and before each effect at a target
//	begin of a term: marks against the store -> relied on | frozen until a person confirms
//
// They are written after what they speak of is durable in the store, so that
// they are never ahead of a store that was not restored.
package marks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/signalbox/signalbox/internal/durable"
)

// Name is the file's name in the data directory.
const Name = "marks.json"

const version = 1

// Marks are how far the store had come. Those with Seq zero were written before
// the store had its first entry, and say its id alone.
type Marks struct {
	V        int       `json:"v"`
	Store    string    `json:"store"` // the id of the store
	Epoch    int64     `json:"epoch"`
	Seq      uint64    `json:"seq"`      // of the journal's last entry
	Hash     string    `json:"hash"`     // of that entry
	Revision int64     `json:"revision"` // of the store, with that entry
	At       time.Time `json:"at"`
	// Restored is when a member of a cluster was restored by hand: until a person
	// has confirmed the store after that, it is not to be relied on. Zero: it was
	// not. With it there may be nothing else.
	Restored time.Time `json:"restored,omitzero"`
}

// beyond reports whether m speaks of more than o, or of another store.
func (m *Marks) beyond(o *Marks) bool {
	if !o.Restored.IsZero() && m.Restored.IsZero() {
		return true
	}
	if m.Store != o.Store || m.Epoch != o.Epoch {
		return m.Store != o.Store || m.Epoch > o.Epoch
	}
	return m.Seq > o.Seq
}

// File is where the marks of one data directory are. It is safe for concurrent
// use.
type File struct {
	path string

	mu   sync.Mutex
	last *Marks // as they stand in the file; nil: not known
}

// In returns the marks of a data directory. Nothing is read or made yet.
func In(dir string) *File { return &File{path: filepath.Join(dir, Name)} }

// Read returns the marks; nil: there are none.
func (f *File) Read() (*Marks, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		f.last = nil
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var m Marks
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	if m.V != version {
		return nil, fmt.Errorf("%s: version must be %d, got %d", f.path, version, m.V)
	}
	begun := m.Seq > 0 && m.Hash != "" && m.Revision > 0
	first := m.Seq == 0 && m.Hash == "" && m.Revision == 0
	if (m.Store == "" || !begun && !first) && (m.Restored.IsZero() || m.Store != "" || !first) {
		return nil, fmt.Errorf("%s: store, seq, hash and revision must be given", f.path)
	}
	f.last = &m
	return &m, nil
}

// MarkRestored notes that the store beside the marks was restored by hand, where
// there may be no marks yet.
func (f *File) MarkRestored(at time.Time) error {
	m, err := f.Read()
	if err != nil {
		return err
	}
	if m == nil {
		m = &Marks{At: at.UTC()}
	}
	m.Restored = at.UTC()
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.write(*m)
}

// Advance makes m durable, unless the file speaks of as much already. It never
// goes back within one store.
func (f *File) Advance(m Marks) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.last != nil && !m.beyond(f.last) {
		return nil
	}
	return f.write(m)
}

func (f *File) write(m Marks) error {
	m.V = version
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if err := durable.Write(f.path, append(b, '\n')); err != nil {
		f.last = nil // what the file holds now is not known
		return fmt.Errorf("marks: %w", err)
	}
	f.last = &m
	return nil
}
