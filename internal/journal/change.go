package journal

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	signalbox "github.com/signalbox/signalbox"
)

// Change is one record put or deleted. Make puts with the Put functions: an
// error of their encoding is kept in the Change, and Write returns it.
type Change struct {
	Key signalbox.Key `json:"key"`
	// Value is the record as it is stored, byte for byte; nil when deleted.
	Value   json.RawMessage `json:"value,omitempty"`
	Deleted bool            `json:"deleted,omitempty"`

	err error
}

// PutIncident returns the change that stores an incident.
func PutIncident(i *signalbox.Incident) Change { return put(signalbox.IncidentKey(i.ID), i) }

// PutAction returns the change that stores an action. Its Token is not part of
// it: that is the revision which creates the record.
func PutAction(a *signalbox.Action) Change { return put(signalbox.ActionKey(a.ID), a) }

// PutTarget returns the change that stores what is remembered of a target.
func PutTarget(t *signalbox.TargetState) Change { return put(signalbox.TargetKey(t.Target), t) }

// PutSpend returns the change that stores what was spent of a budget.
func PutSpend(s *signalbox.Spend) Change { return put(signalbox.BudgetKey(s.Scope), s) }

// PutPolicy returns the change that stores the activation of a policy.
func PutPolicy(p *signalbox.PolicyState) Change { return put(signalbox.PolicyKey(p.Name), p) }

// PutPage returns the change that stores a page.
func PutPage(p *signalbox.Page) Change { return put(signalbox.PageKey(p.Key), p) }

// PutApproval returns the change that stores a request for approval.
func PutApproval(a *signalbox.Approval) Change { return put(signalbox.ApprovalKey(a.ID), a) }

// PutHeartbeat returns the change that stores a heartbeat. It is not audited.
func PutHeartbeat(b *signalbox.Heartbeat) Change { return put(signalbox.BeatKey(b.Replica), b) }

// PutControls returns the change that stores the controls in force.
func PutControls(c signalbox.Controls) Change { return put(signalbox.ControlsKey, &c) }

// PutActive returns the change that stores which configuration the cluster
// runs.
func PutActive(a signalbox.ActiveConfig) Change { return put(signalbox.ActiveKey, &a) }

// PutStore returns the change that stores which store this is.
func PutStore(s signalbox.StoreState) Change { return put(signalbox.StoreKey, &s) }

// Delete returns the change that deletes a record of the state.
func Delete(k signalbox.Key) Change { return Change{Key: k, Deleted: true} }

// version is that of every record this package writes.
const version = 1

// envelope is how a record is stored. A pointer tells a record that is missing
// from one that is empty: controls that say nothing must not come from nowhere.
type envelope[T any] struct {
	V      int `json:"v"`
	Record *T  `json:"r"`
}

func put[T any](k signalbox.Key, record *T) Change {
	if !utf8.ValidString(unescape(string(k))) { // JSON would change the record's own name, and Load refuse it
		return Change{Key: k, err: fmt.Errorf("%s: a name must be valid UTF-8", k)}
	}
	b, err := json.Marshal(envelope[T]{version, record})
	if err != nil {
		return Change{Key: k, err: fmt.Errorf("encode %s: %w", k, err)}
	}
	return Change{Key: k, Value: b}
}

// open decodes a stored record. Its errors name the key.
func open[T any](key string, b []byte) (*T, error) {
	var e envelope[T]
	err := json.Unmarshal(b, &e)
	if err == nil && e.V != version || err != nil && versionOf(b) > version {
		return nil, fmt.Errorf("%s: record version must be %d, got %d", key, version, versionOf(b))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the record can't be decoded: %w", key, err)
	}
	if e.Record == nil {
		return nil, fmt.Errorf("%s: the record is empty", key)
	}
	return e.Record, nil
}

// versionOf reads the version of what may otherwise not be readable; -1 where
// it says none.
func versionOf(b []byte) int {
	e := struct {
		V int `json:"v"`
	}{-1}
	if json.Unmarshal(b, &e) != nil {
		return -1
	}
	return e.V
}

// audited reports whether changes of the key stand in entries.
func audited(key string) bool {
	return isState(key) && !strings.HasPrefix(key, signalbox.BeatPrefix)
}

// isState reports whether the key is one of a record of State.
func isState(key string) bool {
	prefix, name := cut(key)
	return prefix != "" && (name != "" || !strings.HasSuffix(prefix, "/"))
}

// statePrefixes are those of all records of State, in key order.
func statePrefixes() []string {
	return []string{
		signalbox.ActionPrefix, signalbox.ApprovalPrefix, signalbox.BudgetPrefix, signalbox.ActiveKey, signalbox.ControlsKey, signalbox.BeatPrefix,
		signalbox.IncidentPrefix, signalbox.PagePrefix, signalbox.PolicyPrefix, signalbox.StoreKey, signalbox.TargetPrefix,
	}
}

// cut splits a state key into its prefix and its name; no prefix: it is no
// state key.
func cut(key string) (prefix, name string) {
	for _, p := range statePrefixes() {
		single := !strings.HasSuffix(p, "/")
		if n, ok := strings.CutPrefix(key, p); ok && (!single || n == "") {
			return p, n
		}
	}
	return "", ""
}

// unescape undoes signalbox.KeyPart. A name that KeyPart did not write gives
// a key that no record has.
func unescape(name string) string {
	s, err := url.PathUnescape(name)
	if err != nil {
		return name
	}
	return s
}
