package journal

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/store"
)

// Apply takes what a Write has committed at rev into s, which its caller owns,
// and returns the keys that changed. Records are decoded from what was stored,
// so that s is what a Load would give. An action that is new gets rev, its
// create revision, as its Token.
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
			return store.Revision(a.Token)
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
	if !isState(kv.Key) {
		return errNotState(kv.Key)
	}
	if err := takeRecord(s, kv); err != nil {
		return err
	}
	s.Rev[signalbox.Key(kv.Key)] = int64(kv.Mod)
	return nil
}

func takeRecord(s *signalbox.State, kv store.KV) error {
	switch prefix, _ := cut(kv.Key); prefix {
	case signalbox.IncidentPrefix:
		return takeIncident(s, kv)
	case signalbox.ActionPrefix:
		return takeInto(s.Actions, kv, func(a *signalbox.Action) (signalbox.ActionID, signalbox.Key) {
			a.Token = signalbox.Token(kv.Create)
			return a.ID, signalbox.ActionKey(a.ID)
		})
	case signalbox.TargetPrefix:
		return takeTarget(s, kv)
	case signalbox.BudgetPrefix:
		return takeInto(s.Budgets, kv, func(b *signalbox.Spend) (string, signalbox.Key) { return b.Scope, signalbox.BudgetKey(b.Scope) })
	case signalbox.PolicyPrefix:
		return takeInto(s.Policies, kv, func(p *signalbox.PolicyState) (string, signalbox.Key) { return p.Name, signalbox.PolicyKey(p.Name) })
	case signalbox.PagePrefix:
		return takeInto(s.Pages, kv, func(p *signalbox.Page) (string, signalbox.Key) { return p.Key, signalbox.PageKey(p.Key) })
	case signalbox.ApprovalPrefix:
		return takeInto(s.Approvals, kv, func(a *signalbox.Approval) (signalbox.ApprovalID, signalbox.Key) {
			return a.ID, signalbox.ApprovalKey(a.ID)
		})
	case signalbox.BeatPrefix:
		return takeInto(s.Beats, kv, func(b *signalbox.Heartbeat) (string, signalbox.Key) { return b.Replica, signalbox.BeatKey(b.Replica) })
	case signalbox.ControlsKey:
		return takeOne(&s.Controls, kv)
	case signalbox.ActiveKey:
		return takeOne(&s.Active, kv)
	}
	return errNotState(kv.Key)
}

func takeTarget(s *signalbox.State, kv store.KV) error {
	t, err := open[signalbox.TargetState](kv.Key, kv.Value)
	if err != nil {
		return err
	}
	if key := signalbox.TargetKey(t.Target); string(key) != kv.Key {
		return fmt.Errorf("%s: the record is that of %q", kv.Key, key)
	}
	s.PutTarget(t)
	return nil
}

func takeIncident(s *signalbox.State, kv store.KV) error {
	i, err := open[signalbox.Incident](kv.Key, kv.Value)
	if err != nil {
		return err
	}
	if key := signalbox.IncidentKey(i.ID); string(key) != kv.Key {
		return fmt.Errorf("%s: the record is that of %q", kv.Key, key)
	}
	s.PutIncident(i)
	return nil
}

// takeInto decodes a record into its map. A record that stands under another's
// key would be taken for that one, so it is refused.
func takeInto[K comparable, T any](m map[K]*T, kv store.KV, name func(*T) (K, signalbox.Key)) error {
	v, err := open[T](kv.Key, kv.Value)
	if err != nil {
		return err
	}
	k, key := name(v)
	if string(key) != kv.Key {
		return fmt.Errorf("%s: the record is that of %q", kv.Key, key)
	}
	m[k] = v
	return nil
}

func takeOne[T any](to *T, kv store.KV) error {
	v, err := open[T](kv.Key, kv.Value)
	if err == nil {
		*to = *v
	}
	return err
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
	}
}

func errNotState(key string) error { return fmt.Errorf("%q is not a key of the state", key) }
