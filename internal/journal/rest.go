package journal

import (
	"context"
	"errors"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// restPrefix holds what processes say of themselves, one record a home. They
// are not part of State: each process writes its own, whoever leads.
const restPrefix = "process/"

func restKey(home string) string { return restPrefix + signalbox.KeyPart(home) }

// ErrTwoProcesses: another process has written the record of our home, so that
// both have it.
var ErrTwoProcesses = errors.New("another process has the same home")

// PutRest records what a process says of itself: over what stands there when it
// begins, and later over its own record only. ErrTwoProcesses: it is another's.
func (j *Journal) PutRest(ctx context.Context, r *signalbox.Rest, begins bool) error {
	c := put(signalbox.Key(restKey(r.Home)), r)
	if c.err != nil {
		return c.err
	}
	txn := store.Txn{Puts: []store.Put{{Key: string(c.Key), Value: c.Value}}}
	if !begins {
		kv, ok, err := j.store.Get(ctx, string(c.Key))
		if err != nil {
			return err
		}
		if ok {
			was, err := open[signalbox.Rest](kv.Key, kv.Value)
			if err != nil {
				return err
			}
			if was.Run != r.Run {
				return ErrTwoProcesses
			}
		}
		txn.Ifs = []store.Cond{{Key: string(c.Key), Rev: kv.Mod}}
	}
	_, err := j.store.Commit(ctx, txn)
	return err
}

// RestOf reads what the newest process of a home said last; nil: none did.
func (j *Journal) RestOf(ctx context.Context, home string) (*signalbox.Rest, error) {
	return get[signalbox.Rest](ctx, j, signalbox.Key(restKey(home)))
}
