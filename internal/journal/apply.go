package journal

import (
	"fmt"
	"strings"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// Apply takes what a Write has committed at rev into s, which its caller owns,
// and returns the keys that changed. Records are decoded from what was stored,
// so that s is what a Load would give. The Token of
// an action that is new is made of rev, its create revision.
//
// An error means that a change is not one of the state; s then holds the
// changes before it, and should be loaded again.
func (j *Journal) Apply(s *signalbox.State, changes []Change, rev store.Revision) ([]signalbox.Key, error) {
	changed := make([]signalbox.Key, 0, len(changes))
	for i := range changes {
		c := &changes[i]
		if c.err != nil {
			return changed, c.err
		}
		if !isState(string(c.Key)) {
			return changed, errNotState(string(c.Key))
		}
		if c.Deleted {
			drop(s, string(c.Key))
		} else if err := take(s, store.KV{Key: string(c.Key), Value: c.Value, Create: created(s, c.Key, rev), Mod: rev}); err != nil {
			return changed, err
		}
		changed = append(changed, c.Key)
	}
	return changed, nil
}

// created returns the create revision that a put at rev gives or leaves.
func created(s *signalbox.State, k signalbox.Key, rev store.Revision) store.Revision {
	if prefix, name := cut(string(k)); prefix == signalbox.ActionPrefix {
		if a := s.Actions[signalbox.ActionID(name)]; a != nil {
			return store.Revision(a.Token.Revision())
		}
	}
	return rev
}

// ApplyEvents takes what a Watch says of records that others changed into s,
// and returns the keys that changed. Keys outside the state, and changes that s
// has already, are passed over. It is for records that this process does not
// delete: those it does are taken in by Apply.
func ApplyEvents(s *signalbox.State, events []store.Event) ([]signalbox.Key, error) {
	var changed []signalbox.Key
	for _, ev := range events {
		k := signalbox.Key(ev.Key)
		if !isState(ev.Key) || int64(ev.Mod) <= s.Rev[k] {
			continue
		}
		if ev.Deleted {
			if _, ok := s.Rev[k]; !ok {
				continue
			}
			drop(s, ev.Key)
		} else if err := take(s, ev.KV); err != nil {
			return changed, err
		}
		changed = append(changed, k)
	}
	return changed, nil
}

// take decodes one stored record into s.
func take(s *signalbox.State, kv store.KV) error {
	put, err := decodeRecord(kv)
	if err != nil {
		return err
	}
	put(s)
	s.Rev[signalbox.Key(kv.Key)] = int64(kv.Mod)
	return nil
}

// decodeRecord decodes one stored record, and returns what puts it into a State:
// decoding is what costs, and needs no State.
func decodeRecord(kv store.KV) (put func(*signalbox.State), err error) {
	prefix, name := cut(kv.Key)
	if prefix == "" || name == "" && strings.HasSuffix(prefix, "/") {
		return nil, errNotState(kv.Key)
	}
	switch prefix {
	case signalbox.IncidentPrefix:
		return decodeAs(kv, func(i *signalbox.Incident) signalbox.Key { return signalbox.IncidentKey(i.ID) }, (*signalbox.State).PutIncident)
	case signalbox.ActionPrefix:
		return decodeAs(kv, func(a *signalbox.Action) signalbox.Key {
			a.Token = signalbox.TokenIn(a.Epoch, int64(kv.Create))
			return signalbox.ActionKey(a.ID)
		}, func(s *signalbox.State, a *signalbox.Action) { s.Actions[a.ID] = a })
	case signalbox.TargetPrefix:
		return decodeAs(kv, func(t *signalbox.TargetState) signalbox.Key { return signalbox.TargetKey(t.Target) }, (*signalbox.State).PutTarget)
	case signalbox.BudgetPrefix:
		return decodeAs(kv, func(b *signalbox.Spend) signalbox.Key { return signalbox.BudgetKey(b.Scope) },
			func(s *signalbox.State, b *signalbox.Spend) { s.Budgets[b.Scope] = b })
	case signalbox.PolicyPrefix:
		return decodeAs(kv, func(p *signalbox.PolicyState) signalbox.Key { return signalbox.PolicyKey(p.Name) },
			func(s *signalbox.State, p *signalbox.PolicyState) { s.Policies[p.Name] = p })
	case signalbox.PagePrefix:
		return decodeAs(kv, func(p *signalbox.Page) signalbox.Key { return signalbox.PageKey(p.Key) },
			func(s *signalbox.State, p *signalbox.Page) { s.Pages[p.Key] = p })
	case signalbox.ApprovalPrefix:
		return decodeAs(kv, func(a *signalbox.Approval) signalbox.Key { return signalbox.ApprovalKey(a.ID) },
			func(s *signalbox.State, a *signalbox.Approval) { s.Approvals[a.ID] = a })
	case signalbox.BeatPrefix:
		return decodeAs(kv, func(b *signalbox.Heartbeat) signalbox.Key { return signalbox.BeatKey(b.Replica) },
			func(s *signalbox.State, b *signalbox.Heartbeat) { s.Beats[b.Replica] = b })
	case signalbox.ControlsKey:
		return decodeAs(kv, func(*signalbox.Controls) signalbox.Key { return signalbox.ControlsKey },
			func(s *signalbox.State, c *signalbox.Controls) { s.Controls = *c })
	case signalbox.ActiveKey:
		return decodeAs(kv, func(*signalbox.ActiveConfig) signalbox.Key { return signalbox.ActiveKey },
			func(s *signalbox.State, c *signalbox.ActiveConfig) { s.Active = *c })
	case signalbox.StoreKey:
		return decodeAs(kv, func(*signalbox.StoreState) signalbox.Key { return signalbox.StoreKey },
			func(s *signalbox.State, c *signalbox.StoreState) { s.Store = *c })
	}
	return nil, errNotState(kv.Key)
}

// decodeAs decodes a record of a type. One that stands under another's key would
// be taken for that one, so it is refused.
func decodeAs[T any](kv store.KV, name func(*T) signalbox.Key, put func(*signalbox.State, *T)) (func(*signalbox.State), error) {
	v, err := open[T](kv.Key, kv.Value)
	if err != nil {
		return nil, err
	}
	if key := name(v); string(key) != kv.Key {
		return nil, fmt.Errorf("%s: the record is that of %q", kv.Key, key)
	}
	return func(s *signalbox.State) { put(s, v) }, nil
}

// drop takes a record out of s.
func drop(s *signalbox.State, key string) {
	delete(s.Rev, signalbox.Key(key))
	switch prefix, name := cut(key); prefix {
	case signalbox.IncidentPrefix:
		s.DropIncident(signalbox.IncidentID(name))
	case signalbox.ActionPrefix:
		delete(s.Actions, signalbox.ActionID(name))
	case signalbox.TargetPrefix:
		s.DropTarget(signalbox.Target(unescape(name)))
	case signalbox.BudgetPrefix:
		delete(s.Budgets, unescape(name))
	case signalbox.PolicyPrefix:
		delete(s.Policies, unescape(name))
	case signalbox.PagePrefix:
		delete(s.Pages, unescape(name))
	case signalbox.ApprovalPrefix:
		delete(s.Approvals, signalbox.ApprovalID(unescape(name)))
	case signalbox.BeatPrefix:
		delete(s.Beats, unescape(name))
	case signalbox.ControlsKey:
		s.Controls = signalbox.Controls{}
	case signalbox.ActiveKey:
		s.Active = signalbox.ActiveConfig{}
	case signalbox.StoreKey:
		s.Store = signalbox.StoreState{}
	}
}

func errNotState(key string) error { return fmt.Errorf("%q is not a key of the state", key) }
