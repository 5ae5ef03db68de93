package outward

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/signalbox/signalbox/internal/store"
)

// Marks is where the mark is kept: a part of store.Store.
type Marks interface {
	Get(ctx context.Context, key string) (kv store.KV, ok bool, err error)
	Commit(ctx context.Context, t store.Txn) (store.Revision, error)
}

// markKey is the audit trail's mark in the store.
const markKey = "outward/audit"

const markVersion = 1

// mark is how far the audit trail was told, and the revision that says so.
type mark struct {
	seq uint64
	mod store.Revision // 0: nothing was told yet
}

type markRecord struct {
	V   int    `json:"v"`
	Seq uint64 `json:"seq"`
}

func readMark(ctx context.Context, s Marks) (mark, error) {
	kv, ok, err := s.Get(ctx, markKey)
	if err != nil || !ok {
		return mark{}, err
	}
	var r markRecord
	if err := json.Unmarshal(kv.Value, &r); err != nil {
		return mark{}, fmt.Errorf("%s can't be decoded: %w", markKey, err)
	}
	if r.V != markVersion {
		return mark{}, fmt.Errorf("%s: version must be %d, got %d", markKey, markVersion, r.V)
	}
	return mark{r.Seq, kv.Mod}, nil
}

// put moves the mark, if nobody else has since it was read; then it is
// store.ErrConflict.
func (m mark) put(ctx context.Context, s Marks, seq uint64) (mark, error) {
	b, err := json.Marshal(markRecord{markVersion, seq})
	if err != nil {
		return m, fmt.Errorf("%s: %w", markKey, err)
	}
	rev, err := s.Commit(ctx, store.Txn{
		Ifs:  []store.Cond{{Key: markKey, Rev: m.mod}},
		Puts: []store.Put{{Key: markKey, Value: b}},
	})
	if err != nil {
		return m, err
	}
	return mark{seq, rev}, nil
}
