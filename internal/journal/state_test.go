package journal_test

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
	"github.com/signalbox/signalbox/internal/store"
	"github.com/signalbox/signalbox/internal/store/mem"
)

func TestLoadRefuses(t *testing.T) {
	good := string(journal.PutIncident(incident(1)).Value)
	for _, c := range []struct{ name, key, value, want string }{
		{"newer version", "incident/x", `{"v":2,"r":{"new":"shape"}}`, "incident/x: record version must be 1, got 2"},
		{"newer shape", "controls", `{"v":2,"r":[]}`, "controls: record version must be 1, got 2"},
		{"no version", "config/active", `{"r":{}}`, "config/active: record version must be 1, got"},
		{"not JSON", "page/p", `{`, "page/p: the record can't be decoded"},
		{"no record", "controls", `{"v":1}`, "controls: the record is empty"},
		{"null record", "controls", `{"v":1,"r":null}`, "controls: the record is empty"},
		{"another's key", "incident/other", good, `incident/other: the record is that of "incident/0000000000000001"`},
		{"unescaped key", "target/a b", `{"v":1,"r":{"target":"a b"}}`, `target/a b: the record is that of "target/a%20b"`},
		{"no name", "action/", `{"v":1,"r":{"id":""}}`, `"action/" is not a key of the state`},
		{"half a key", "controlsx", `{}`, `"controlsx" is not a key of the state`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			if _, err := s.Commit(context.Background(), store.Txn{Puts: []store.Put{{Key: c.key, Value: []byte(c.value)}}}); err != nil {
				t.Fatal(err)
			}
			_, _, err := open(t, s, "").Load(context.Background())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// parted gives its listings in parts, and forgets history between two
// parts as often as it is told to.
type parted struct {
	*mem.Store
	each      int
	compacted int
}

func (p *parted) ListParts(ctx context.Context, prefix string, f func([]store.KV) error) (store.Revision, error) {
	kvs, rev, err := p.List(ctx, prefix)
	for part := range slices.Chunk(kvs, p.each) {
		if err := f(part); err != nil {
			return 0, err
		}
		if p.compacted > 0 && prefix == signalbox.IncidentPrefix {
			p.compacted--
			return 0, store.ErrCompacted
		}
	}
	return rev, err
}

func TestLoadInParts(t *testing.T) {
	s := &parted{Store: newStore(t), each: 2}
	j := open(t, s, "")
	fill(t, j, 1, 9)
	want, rev, err := open(t, s.Store, "").Load(t.Context())
	if err != nil || len(want.Incidents) != 9 {
		t.Fatal(want, err)
	}
	for name, load := range map[string]func(context.Context) (*signalbox.State, store.Revision, error){"load": j.Load, "to follow": j.LoadToFollow} {
		s.compacted = 2
		got, at, err := load(t.Context())
		if err != nil || at != rev || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v at revision %d, want %+v at %d: %v", name, got, at, want, rev, err)
		}
		if s.compacted != 0 {
			t.Errorf("%s: history was not forgotten in its midst", name)
		}
	}
	for _, key := range []store.Put{{Key: "page/z", Value: []byte("{")}, {Key: "incident/a", Value: []byte("{")}} {
		if _, err := s.Commit(t.Context(), store.Txn{Puts: []store.Put{key}}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := j.Load(t.Context()); err == nil || !strings.Contains(err.Error(), key.Key+": the record can't be decoded") {
			t.Errorf("with %s: %v", key.Key, err)
		}
	}
}

// Who watches from the revision that Load returns misses nothing, and may see
// again what it has.
func TestApplyEvents(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := newStore(t)
	j := open(t, s, "")
	write(t, j, opened(1))
	st, rev, err := j.Load(ctx)
	if err != nil {
		t.Fatal(err)
	}
	changes, err := s.Watch(ctx, "", rev-1)
	if err != nil {
		t.Fatal(err)
	}
	paused := signalbox.Controls{Pauses: []signalbox.Control{{Kind: signalbox.Pause, Scope: "all", Who: "@sre"}}}
	last := write(t, open(t, s, ""), journal.Record{Kind: journal.ControlSet, Who: "@sre", Put: []journal.Change{journal.PutControls(paused)}})
	var changed []signalbox.Key
	for b := range changes {
		keys, err := journal.ApplyEvents(st, b.Events)
		if err != nil {
			t.Fatal(err)
		}
		changed = append(changed, keys...)
		if b.Rev >= last {
			break
		}
	}
	if len(changed) != 1 || changed[0] != signalbox.ControlsKey || len(st.Controls.Pauses) != 1 || st.Rev[signalbox.ControlsKey] != int64(last) {
		t.Fatalf("changed %q to %+v", changed, st.Controls)
	}
	keys, err := journal.ApplyEvents(st, []store.Event{{KV: store.KV{Key: "controls", Mod: last + 1}, Deleted: true}})
	if err != nil || len(keys) != 1 || st.Controls.Pauses != nil {
		t.Fatalf("after its deletion: %q, %+v, %v", keys, st.Controls, err)
	}
}

func TestControls(t *testing.T) {
	ctx := context.Background()
	s := newStore(t)
	j := open(t, s, "")
	if c, err := j.Controls(ctx); err != nil || c.Killed != nil {
		t.Fatalf("none were set: %+v, %v", c, err)
	}
	killed := signalbox.Controls{Killed: &signalbox.Control{Kind: signalbox.Kill, Scope: "all", Who: "@sre"}}
	write(t, j, journal.Record{Kind: journal.ControlSet, Put: []journal.Change{journal.PutControls(killed)}})
	if c, err := j.Controls(ctx); err != nil || c.Killed == nil || c.Killed.Who != "@sre" {
		t.Fatalf("got %+v, %v", c, err)
	}
	s.Break(nil)
	if _, err := j.Controls(ctx); err == nil {
		t.Fatal("the store is gone, and the controls were read")
	}
}

func TestIncident(t *testing.T) {
	ctx := context.Background()
	j := open(t, newStore(t), t.TempDir())
	fill(t, j, 1, 120)
	other := opened(7)
	other.Incident, other.Kind = "", journal.Housekeeping // it changes the incident, and is of none
	write(t, j, other, journal.Record{Kind: journal.PageSent, Incident: incident(7).ID, Data: "triggered"},
		journal.Record{Kind: journal.PageSent, Incident: incident(8).ID, Data: "with " + incident(7).ID})
	if err := j.Archive(ctx, 2); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range all(t, j.Incident(ctx, incident(7).ID)) {
		kinds = append(kinds, string(e.Kind))
	}
	if got, want := strings.Join(kinds, " "), "incident.opened housekeeping page.sent"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if es := all(t, j.Read(ctx, 99, 122)); len(es) != 24 || es[0].Seq != 99 {
		t.Errorf("read %d entries from %d", len(es), es[0].Seq)
	}
}
