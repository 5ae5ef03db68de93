package policy

import (
	"fmt"
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"pgregory.net/rapid"
)

// An id is in the ledger from when it was spent until it is given back or
// forgotten, whatever is spent beside it.
func TestLedgerRemembersEachID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		var s *signalbox.Spend
		want := map[string]time.Time{}
		for i := range rapid.IntRange(0, 20).Draw(t, "n") {
			now = now.Add(time.Duration(rapid.IntRange(1, 200).Draw(t, "hours")) * time.Hour)
			var ids []string
			for j := range rapid.IntRange(1, 4).Draw(t, "ids") {
				ids = append(ids, fmt.Sprintf("%d-%d", i, j))
			}
			s = SpendItems(s, "items/x", ids, now)
			for id, at := range want {
				if now.Sub(at) >= LedgerFor {
					delete(want, id)
				}
			}
			if rapid.Bool().Draw(t, "no effect") {
				s = RefundItems(s, "items/x", ids, now)
				continue
			}
			for _, id := range ids {
				want[id] = now
			}
		}
		if s == nil {
			return
		}
		if len(s.Items) != len(want) || len(s.Times) != len(want) {
			t.Fatalf("%d keys, %d times, want %d", len(s.Items), len(s.Times), len(want))
		}
		at := map[string]time.Time{}
		for i, key := range s.Items {
			at[key] = s.Times[i]
		}
		for id, when := range want {
			if !at[ItemKey(id)].Equal(when) {
				t.Fatalf("%s: %v, want %v", id, at[ItemKey(id)], when)
			}
		}
	})
}

// Times of a version that kept no ids are counted, and are no id's.
func TestLedgerOfAnOlderVersion(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := SpendItems(&signalbox.Spend{Scope: "items/x", Times: []time.Time{now, now}}, "items/x", []string{"a"}, now)
	if len(s.Times) != 3 || len(s.Items) != 3 || s.Items[2] != ItemKey("a") || s.Items[0] != "" {
		t.Errorf("got %+v", s)
	}
}

// What failed after it had begun may have done some of its ids; what surely had
// no effect has not.
func TestMayHaveTaken(t *testing.T) {
	receipt := signalbox.Receipt{At: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, c := range []struct {
		a    signalbox.Action
		want bool
	}{
		{signalbox.Action{Stage: signalbox.Done}, true},
		{signalbox.Action{Stage: signalbox.Claimed}, true},
		{signalbox.Action{Stage: signalbox.Doubt}, true},
		{signalbox.Action{Stage: signalbox.Broken}, false},
		{signalbox.Action{Stage: signalbox.Broken, Receipt: receipt}, true},
		{signalbox.Action{Stage: signalbox.Done, Undoes: "a1"}, false},
	} {
		if got := mayHaveTaken(&c.a); got != c.want {
			t.Errorf("%+v: got %t", c.a, got)
		}
	}
}
