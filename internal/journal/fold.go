package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// Checkpoint is the audited state as it was right after entry Seq, whose hash
// is Hash: the stored bytes of each record by its key. The zero Checkpoint is
// the state before the first entry.
type Checkpoint struct {
	Seq   uint64
	Hash  string
	State map[string]json.RawMessage
}

func (c *Checkpoint) position() position { return position{c.Seq, c.Hash} }

// Fold replays entries upon a checkpoint, which it does not change, and returns
// the one that they lead to. An entry that is missing or out of order, or whose
// bytes were changed, ends it with an error that names the entry; the
// checkpoint returned is then the one before.
func Fold(from Checkpoint, entries iter.Seq2[Entry, error]) (Checkpoint, error) {
	at := Checkpoint{from.Seq, from.Hash, maps.Clone(from.State)}
	if at.State == nil {
		at.State = map[string]json.RawMessage{}
	}
	for e, err := range entries {
		if err != nil {
			return at, err
		}
		if err := at.fold(&e); err != nil {
			return at, err
		}
	}
	return at, nil
}

func (c *Checkpoint) fold(e *Entry) error {
	if e.hash == "" {
		return errors.New("only entries that were read from a journal can be folded")
	}
	if err := c.position().follows(e); err != nil {
		return err
	}
	for i := range e.Changes {
		if ch := &e.Changes[i]; ch.Deleted {
			delete(c.State, string(ch.Key))
		} else {
			c.State[string(ch.Key)] = ch.Value
		}
	}
	c.Seq, c.Hash = e.Seq, e.hash
	return nil
}

// diverges returns the first difference, in key order, between what was folded
// and what is there; nil: none.
func (c *Checkpoint) diverges(there map[string]json.RawMessage) error {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(c.State)), maps.Keys(there))
	slices.Sort(keys)
	for _, k := range slices.Compact(keys) {
		want, journaled := c.State[k]
		got, stored := there[k]
		switch {
		case !journaled:
			return fmt.Errorf("%s: it is there, but after entry %d the journal has no such record", k, c.Seq)
		case !stored:
			return fmt.Errorf("%s: it is not there, but after entry %d the journal has it", k, c.Seq)
		case !bytes.Equal(want, got):
			return fmt.Errorf("%s: it was changed: the journal has %s after entry %d, the record is %s", k, brief(hash(want)), c.Seq, brief(hash(got)))
		}
	}
	return nil
}

// checkpointFile is how a Checkpoint is kept in the archive. Sum is over State
// as it stands there: the chain does not reach it.
type checkpointFile struct {
	V int `json:"v"`
	position
	Sum   string          `json:"sum"`
	State json.RawMessage `json:"state"`
}

func encodeCheckpoint(c *Checkpoint) ([]byte, error) {
	state, err := json.Marshal(c.State) // in key order
	if err != nil {
		return nil, fmt.Errorf("encode the checkpoint at entry %d: %w", c.Seq, err)
	}
	return json.Marshal(checkpointFile{version, c.position(), hash(state), state})
}

func decodeCheckpoint(name string, b []byte) (Checkpoint, error) {
	f, err := canonical(name, b, func(f checkpointFile) int { return f.V })
	if err != nil {
		return Checkpoint{}, err
	}
	if sum := hash(f.State); sum != f.Sum {
		return Checkpoint{}, fmt.Errorf("%s: it was changed: the sum of its state must be %s, got %s", name, brief(f.Sum), brief(sum))
	}
	c := Checkpoint{Seq: f.Seq, Hash: f.Hash}
	if err := json.Unmarshal(f.State, &c.State); err != nil {
		return Checkpoint{}, fmt.Errorf("%s: the state can't be decoded: %w", name, err)
	}
	for k := range c.State {
		if !audited(k) {
			return Checkpoint{}, fmt.Errorf("%s: %w", name, errNotState(k))
		}
	}
	return c, nil
}
