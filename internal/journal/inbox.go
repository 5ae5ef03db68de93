package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/step"
	"github.com/signalbox/signalbox/internal/store"
)

// InboxPrefix holds the batches that are durable and not yet consumed. They are
// not part of State.
const InboxPrefix = "inbox/"

// IsInbox reports whether a key is one of the inbox.
func IsInbox(key string) bool { return strings.HasPrefix(key, InboxPrefix) && key != InboxPrefix }

// MaxReading bounds one Reading as JSON, in bytes. It leaves room for the
// incident that it becomes, which is written twice: as a record and in its
// entry.
const MaxReading = 256 << 10

// maxInbox bounds one record of the inbox, in bytes; the rest of a transaction
// is for its key and its frame.
const maxInbox = store.MaxBytes - 8<<10

// arrival numbers what arrives in this process.
type arrival struct {
	mu   sync.Mutex
	last int64
}

// next returns a key of the inbox: the wall time of the arrival, which never
// goes back within a process, and the process, which keeps it unique.
func (j *Journal) nextInboxKey() string {
	now := j.o.Now().UnixNano()
	j.arrived.mu.Lock()
	defer j.arrived.mu.Unlock()
	j.arrived.last = max(j.arrived.last+1, now)
	return fmt.Sprintf("%s%020d-%s", InboxPrefix, j.arrived.last, j.writer)
}

// PutInbox makes a batch durable before it returns nil: what a webhook's 2xx
// waits for. It depends on no other key, so that many commit side by side. A
// batch that one record can't hold is written as several, in its order, all
// durable before it returns; after an error some may be, which a sender's retry
// repeats without harm. It returns the key of the first.
//
// ErrTooLarge: a reading is larger than MaxReading, or a whole present state
// (Batch.Synced), which can't be split, is larger than a record.
func (j *Journal) PutInbox(ctx context.Context, b signalbox.Batch) (key string, err error) {
	whole, err := encodeBatch(&b)
	if err != nil {
		return "", err
	}
	parts := [][]byte{whole}
	if len(whole) > MaxReading {
		if parts, err = split(b, whole); err != nil {
			return "", err
		}
	}
	for _, part := range parts {
		k := j.nextInboxKey()
		step.At(step.InboxBefore)
		if _, err := j.store.Commit(ctx, store.Txn{Puts: []store.Put{{Key: k, Value: part}}}); err != nil {
			return "", fmt.Errorf("record a batch of %s: %w", b.Source, err)
		}
		step.At(step.InboxAfter)
		if key == "" {
			key = k
		}
	}
	return key, nil
}

func encodeBatch(b *signalbox.Batch) ([]byte, error) {
	c := put(InboxPrefix, b)
	if c.err != nil {
		return nil, fmt.Errorf("batch of %s: %w", b.Source, c.err)
	}
	return c.Value, nil
}

// split returns a large batch as records that each fit.
func split(b signalbox.Batch, whole []byte) ([][]byte, error) {
	sizes := make([]int, len(b.Readings))
	for i := range b.Readings {
		one, err := json.Marshal(&b.Readings[i])
		if err != nil {
			return nil, fmt.Errorf("batch of %s: readings[%d]: %w", b.Source, i, err)
		}
		if sizes[i] = len(one) + 1; sizes[i] > MaxReading {
			return nil, fmt.Errorf("%w: batch of %s: readings[%d]: at most %d bytes, got %d", ErrTooLarge, b.Source, i, MaxReading, len(one))
		}
	}
	if len(whole) <= maxInbox {
		return [][]byte{whole}, nil
	}
	if b.Synced {
		return nil, fmt.Errorf("%w: batch of %s: a whole state must fit one record of %d bytes, got %d", ErrTooLarge, b.Source, maxInbox, len(whole))
	}
	var parts [][]byte
	frame := len(whole)
	for _, n := range sizes {
		frame -= n - 1
	}
	part, rest := b, b.Readings
	for len(rest) > 0 {
		n, size := 0, frame
		for n < len(rest) && (n == 0 || size+sizes[n] <= maxInbox) {
			size += sizes[n]
			n++
		}
		part.Readings, rest, sizes = rest[:n], rest[n:], sizes[n:]
		one, err := encodeBatch(&part)
		if err != nil {
			return nil, err
		}
		parts = append(parts, one)
	}
	return parts, nil
}

// InboxItem is one record of the inbox. With Err not nil it can't be read: it
// was acknowledged, so it must not just be dropped.
type InboxItem struct {
	Key   string
	Batch signalbox.Batch
	Err   error
}

// Inbox lists what is not consumed yet, in the order of its arrival.
func (j *Journal) Inbox(ctx context.Context) ([]InboxItem, error) {
	kvs, _, err := j.store.List(ctx, InboxPrefix)
	if err != nil {
		return nil, fmt.Errorf("list the inbox: %w", err)
	}
	items := make([]InboxItem, len(kvs))
	for i, kv := range kvs {
		b, err := DecodeInbox(kv)
		items[i] = InboxItem{kv.Key, b, err}
	}
	return items, nil
}

// DecodeInbox decodes one record of the inbox.
func DecodeInbox(kv store.KV) (signalbox.Batch, error) {
	b, err := open[signalbox.Batch](kv.Key, kv.Value)
	if err != nil {
		return signalbox.Batch{}, err
	}
	return *b, nil
}
