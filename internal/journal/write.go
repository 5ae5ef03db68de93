package journal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// ErrTooLarge: what is to be written does not fit into one transaction, and
// nothing was written. The caller splits it.
var ErrTooLarge = errors.New("journal: too large for one transaction")

// Record is what a caller wants written: one entry, with its changes.
type Record struct {
	Kind     Kind
	Incident signalbox.IncidentID
	Action   signalbox.ActionID
	Who      string
	At       time.Time // zero: now
	Data     any       // for people, as JSON; nil: none. Never a secret.
	Put      []Change
	Delete   []signalbox.Key // may name keys that don't exist
}

// Changes returns what the record changes, as Apply takes it: the puts, then
// the deletes.
func (r *Record) Changes() []Change {
	cs := slices.Clone(r.Put)
	for _, k := range r.Delete {
		cs = append(cs, Delete(k))
	}
	return cs
}

// Write commits recs in one transaction: their entries at the head of the
// journal and their changes, if fence (of the leader; nil for none) and ifs
// hold. A key that several records put is put once, as the last has it.
// alsoDelete are inbox keys that recs consume.
//
// A record of kind Housekeeping that changes nothing audited makes no entry.
//
// It returns ErrConflict when the fence or one of ifs does not hold; where only
// another writer moved the head, it tries again by itself. After ErrUnavailable
// the transaction may or may not have been done. ErrTooLarge: split it.
func (j *Journal) Write(ctx context.Context, fence *store.Cond, ifs []store.Cond, recs []Record, alsoDelete []string) (store.Revision, error) {
	d, err := j.draft(fence, ifs, recs, alsoDelete)
	if err != nil {
		return 0, err
	}
	if len(d.entries) == 0 {
		return d.commit(ctx, j.store)
	}
	if err := hold(ctx, j.lock); err != nil {
		return 0, err
	}
	defer func() { <-j.lock }()
	for {
		if !j.last.known {
			if j.last, err = j.readHead(ctx); err != nil {
				return 0, err
			}
		}
		next, err := d.chain(j.last)
		if err != nil {
			return 0, err
		}
		rev, err := d.commit(ctx, j.store)
		if err == nil {
			j.last = headAt{position: next, mod: rev, known: true}
			j.written.Store(&Mark{next.Seq, next.Hash, rev})
			return rev, nil
		}
		was := j.last
		j.last = headAt{}
		if !errors.Is(err, store.ErrConflict) {
			return 0, err
		}
		now, gone := j.readHead(ctx)
		if gone != nil {
			return 0, errors.Join(err, gone)
		}
		if j.last = now; now == was {
			return 0, err // the head stood still: it was the fence, or one of ifs
		}
		j.o.Log.Debug("another writer moved the head", "seq", now.Seq)
	}
}

// draft is a transaction in the making. Its entries are complete but for their
// place in the chain.
type draft struct {
	txn     store.Txn // what does not depend on the head
	entries []Entry

	whole store.Txn // with the entries at their place
}

func (j *Journal) draft(fence *store.Cond, ifs []store.Cond, recs []Record, alsoDelete []string) (*draft, error) {
	d := &draft{}
	if fence != nil {
		d.require(*fence)
	}
	for _, c := range ifs {
		d.require(c)
	}
	state := map[string]Change{}
	var order []string // of the keys, so that equal records give equal transactions
	for i := range recs {
		changes := recs[i].Changes()
		for _, c := range changes {
			was, seen := state[string(c.Key)]
			if err := fits(c, was, seen); err != nil {
				return nil, fmt.Errorf("record %d (%s): %w", i, recs[i].Kind, err)
			}
			if !seen {
				order = append(order, string(c.Key))
			}
			state[string(c.Key)] = c
		}
		if err := d.add(&recs[i], changes, j.o.Now); err != nil {
			return nil, fmt.Errorf("record %d (%s): %w", i, recs[i].Kind, err)
		}
	}
	for _, k := range order {
		if c := state[k]; c.Deleted {
			d.txn.Deletes = append(d.txn.Deletes, k)
		} else {
			d.txn.Puts = append(d.txn.Puts, store.Put{Key: k, Value: c.Value})
		}
	}
	for _, k := range alsoDelete {
		if !IsInbox(k) {
			return nil, fmt.Errorf("only keys of the inbox are deleted beside the records, got %q", k)
		}
	}
	d.txn.Deletes = append(d.txn.Deletes, alsoDelete...)
	d.whole = d.txn
	return d, nil
}

// fits returns why a change can't be written after what was done to its key
// before in the same transaction. A put after a delete would keep the record's
// create revision, which is a token.
func fits(c, was Change, seen bool) error {
	switch {
	case c.err != nil:
		return c.err
	case !isState(string(c.Key)):
		return errNotState(string(c.Key))
	case !c.Deleted && len(c.Value) == 0:
		return fmt.Errorf("%s: a put needs a value", c.Key)
	case seen && was.Deleted && !c.Deleted:
		return fmt.Errorf("%s is deleted and put again in one transaction", c.Key)
	}
	return nil
}

// require adds a condition once.
func (d *draft) require(c store.Cond) {
	if !slices.Contains(d.txn.Ifs, c) {
		d.txn.Ifs = append(d.txn.Ifs, c)
	}
}

// add appends the entry of a record, if it makes one.
func (d *draft) add(r *Record, changes []Change, now func() time.Time) error {
	changes = slices.DeleteFunc(changes, func(c Change) bool { return !audited(string(c.Key)) })
	if r.Kind == Housekeeping && len(changes) == 0 {
		return nil
	}
	if r.Kind == "" {
		return errors.New("needs a kind")
	}
	at := r.At
	if at.IsZero() {
		at = now()
	}
	e := Entry{
		V: version, At: at.UTC(), Kind: r.Kind, Incident: r.Incident, Action: r.Action, Who: r.Who, Changes: changes,
	}
	if r.Data != nil {
		b, err := json.Marshal(r.Data)
		if err != nil {
			return fmt.Errorf("encode the data: %w", err)
		}
		e.Data = b
	}
	d.entries = append(d.entries, e)
	return nil
}

// chain puts the entries after a head, and returns the head that they make.
func (d *draft) chain(h headAt) (position, error) {
	t := store.Txn{
		Ifs:     append(slices.Clone(d.txn.Ifs), store.Cond{Key: headKey, Rev: h.mod}),
		Puts:    slices.Clone(d.txn.Puts),
		Deletes: d.txn.Deletes,
	}
	at := h.position
	for i := range d.entries {
		e := &d.entries[i]
		e.Seq, e.Prev = at.Seq+1, at.Hash
		b, err := json.Marshal(e)
		if err != nil {
			return at, fmt.Errorf("encode entry %d: %w", e.Seq, err)
		}
		t.Puts = append(t.Puts, store.Put{Key: entryKey(e.Seq), Value: b})
		at = position{e.Seq, hash(b)}
	}
	t.Puts = append(t.Puts, store.Put{Key: headKey, Value: mustMarshal(head{version, at})})
	d.whole = t
	return at, nil
}

func (d *draft) commit(ctx context.Context, s store.Store) (store.Revision, error) {
	if err := checkSize(&d.whole); err != nil {
		return 0, err
	}
	return s.Commit(ctx, d.whole)
}

func checkSize(t *store.Txn) error {
	if n := len(t.Ifs); n > store.MaxOps {
		return fmt.Errorf("%w: at most %d conditions, got %d", ErrTooLarge, store.MaxOps, n)
	}
	if n := len(t.Puts) + len(t.Deletes); n > store.MaxOps {
		return fmt.Errorf("%w: at most %d writes, got %d", ErrTooLarge, store.MaxOps, n)
	}
	if n := t.Size(); n > store.MaxBytes {
		return fmt.Errorf("%w: at most %d bytes, got %d", ErrTooLarge, store.MaxBytes, n)
	}
	return nil
}
