package journal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Entry is one thing that happened, with the records that it changed.
type Entry struct {
	V        int                  `json:"v"`
	Seq      uint64               `json:"seq"` // from 1, without a gap
	At       time.Time            `json:"at"`
	Kind     Kind                 `json:"kind"`
	Incident signalbox.IncidentID `json:"incident,omitempty"`
	Action   signalbox.ActionID   `json:"action,omitempty"`
	Who      string               `json:"who,omitempty"`  // the person who asked for it; empty: the daemon itself
	Data     json.RawMessage      `json:"data,omitempty"` // for people: the decision, the receipt
	Changes  []Change             `json:"changes,omitempty"`
	Prev     string               `json:"prev"` // SHA-256 of the stored bytes of the entry before it; empty: the first

	hash string
}

// Hash is the SHA-256 of the entry's stored bytes, in hexadecimal. It is empty
// for an Entry that was not read from a journal.
func (e *Entry) Hash() string { return e.hash }

// DecodeEntry decodes the stored bytes of an entry: a value of the store or a
// line of the archive, without its newline.
func DecodeEntry(b []byte) (Entry, error) {
	var e Entry
	err := json.Unmarshal(b, &e)
	if err == nil && e.V != version || err != nil && versionOf(b) > version {
		return Entry{}, fmt.Errorf("entry version must be %d, got %d", version, versionOf(b))
	}
	if err != nil {
		return Entry{}, fmt.Errorf("the entry can't be decoded: %w", err)
	}
	if e.Seq == 0 {
		return Entry{}, fmt.Errorf("the entry has no sequence number")
	}
	for i := range e.Changes {
		c := &e.Changes[i]
		if !audited(string(c.Key)) {
			return Entry{}, fmt.Errorf("entry %d: changes[%d]: %w", e.Seq, i, errNotState(string(c.Key)))
		}
		if c.Deleted == (len(c.Value) > 0) {
			return Entry{}, fmt.Errorf("entry %d: changes[%d]: %s must be put or deleted, got both or neither", e.Seq, i, c.Key)
		}
	}
	e.hash = hash(b)
	return e, nil
}

func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// position is a place in the chain: an entry's number and the hash of its
// bytes. The zero position is before the first.
type position struct {
	Seq  uint64 `json:"seq"`
	Hash string `json:"hash,omitempty"`
}

// follows returns an error where e is not the entry right after p.
func (p position) follows(e *Entry) error {
	if e.Seq != p.Seq+1 {
		return fmt.Errorf("entry %d is missing: after entry %d comes %d", p.Seq+1, p.Seq, e.Seq)
	}
	if e.Prev != p.Hash {
		return fmt.Errorf("entry %d was changed: its hash is %s, but entry %d follows %s", p.Seq, brief(p.Hash), e.Seq, brief(e.Prev))
	}
	return nil
}

func (e *Entry) position() position { return position{e.Seq, e.hash} }

func brief(hash string) string {
	if hash == "" {
		return "nothing"
	}
	return fmt.Sprintf("%.12q", hash)
}

// The keys of the journal.
const (
	entryPrefix = "entry/"
	headKey     = "journal/head"
	exportedKey = "journal/exported"
)

func entryKey(seq uint64) string { return fmt.Sprintf("%s%020d", entryPrefix, seq) }

// head is what stands under journal/head.
type head struct {
	V int `json:"v"`
	position
}

// exported is what stands under journal/exported: the last entry that is safe
// in an archive, in which directory and file, and how far entries left the
// store.
type exported struct {
	V int `json:"v"`
	position
	Archive string `json:"archive,omitempty"` // the id of the directory: each replica has its own
	File    string `json:"file,omitempty"`
	Deleted uint64 `json:"deleted"`
}

// canonical decodes what only this package writes, and refuses any byte that
// it would not have written: there is no chain over it.
func canonical[T any](key string, b []byte, v func(T) int) (T, error) {
	var t T
	if err := json.Unmarshal(b, &t); err != nil {
		return t, fmt.Errorf("%s can't be decoded: %w", key, err)
	}
	if n := v(t); n != version {
		return t, fmt.Errorf("%s: version must be %d, got %d", key, version, n)
	}
	again, err := json.Marshal(t)
	if err != nil || !bytes.Equal(again, b) {
		return t, fmt.Errorf("%s: it was changed: the daemon would have written %d bytes otherwise", key, len(again))
	}
	return t, nil
}

func decodeHead(b []byte) (head, error) {
	return canonical(headKey, b, func(h head) int { return h.V })
}

func decodeExported(b []byte) (exported, error) {
	return canonical(exportedKey, b, func(e exported) int { return e.V })
}

// mustMarshal encodes a struct of numbers and strings, which can't fail.
func mustMarshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("journal: " + err.Error())
	}
	return b
}

// mentions reports whether a stored entry can be one of the incident's: its id
// stands in it somewhere.
func mentions(line []byte, id signalbox.IncidentID) bool {
	needle := strings.Trim(string(mustMarshal(id)), `"`)
	return bytes.Contains(line, []byte(needle))
}
