package etcd

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/signalbox/signalbox/internal/store"
)

var errClosed = fmt.Errorf("%w: it is closed", store.ErrUnavailable)

func fromEtcd(kv *mvccpb.KeyValue) store.KV {
	return store.KV{
		Key:    string(kv.Key),
		Value:  kv.Value,
		Create: store.Revision(kv.CreateRevision),
		Mod:    store.Revision(kv.ModRevision),
	}
}

func compares(conds []store.Cond) []clientv3.Cmp {
	cmps := make([]clientv3.Cmp, len(conds))
	for i, c := range conds {
		of := clientv3.ModRevision(c.Key)
		if c.OnCreate || c.Rev == 0 { // a key that does not exist has zero for both
			of = clientv3.CreateRevision(c.Key)
		}
		cmps[i] = clientv3.Compare(of, "=", int64(c.Rev))
	}
	return cmps
}

func writes(t store.Txn) []clientv3.Op {
	ops := make([]clientv3.Op, 0, len(t.Puts)+len(t.Deletes))
	for _, p := range t.Puts {
		ops = append(ops, clientv3.OpPut(p.Key, string(p.Value)))
	}
	for _, key := range t.Deletes {
		ops = append(ops, clientv3.OpDelete(key))
	}
	return ops
}

// mapped wraps an error of the client in the one of package store that says
// what it means. All that is not known to be another is ErrUnavailable: it
// promises least.
func mapped(ctx context.Context, err error) error {
	switch typed := rpctypes.Error(err); {
	case errors.Is(typed, rpctypes.ErrCompacted):
		return fmt.Errorf("%w: %w", store.ErrCompacted, err)
	case errors.Is(typed, rpctypes.ErrTooManyOps), errors.Is(typed, rpctypes.ErrRequestTooLarge),
		errors.Is(typed, rpctypes.ErrDuplicateKey), errors.Is(typed, rpctypes.ErrFutureRev):
		return fmt.Errorf("%w: %w", store.ErrInvalid, err)
	case ctx.Err() != nil:
		// Said by ctx and not by gRPC, so that it matches context's errors.
		return fmt.Errorf("%w: %w", store.ErrUnavailable, ctx.Err())
	}
	return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
}

func isCompacted(err error) bool { return errors.Is(err, store.ErrCompacted) }
