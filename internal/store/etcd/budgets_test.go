package etcd_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/signalbox/signalbox/internal/store"
)

// atMost is how many spends a budget of these tests takes.
const atMost = 4

// budgets is one budget on each key: the tokens of its spends, which stand until
// it is full and they expire. The last one stays, so that no state comes twice:
// that a key has changed since it was read is then the same as that it holds
// something else.
var budgets = porcupine.Model{
	Partition: byKey,
	Init:      func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		spent, in, out := state.(string), input.(asked), output.(told)
		switch {
		case in.verb == look:
			return out.holder == spent, spent
		case in.on != spent:
			return !out.done, spent
		}
		next := spentNow(in)
		return (out.done || out.unknown) && len(strings.Fields(next)) <= atMost, next
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// spentNow is what a budget holds after it was asked.
func spentNow(in asked) string {
	all := strings.Fields(in.on)
	if in.verb == expire {
		return all[len(all)-1]
	}
	return strings.Join(append(all, in.token), " ")
}

// spender spends where a budget has room, and lets a full one expire, as the
// engine's transactions do: on condition that the record is as it was read.
func (h *history) spender(ctx context.Context, id int, n *node, keys []string) {
	for i := 0; ctx.Err() == nil; i++ {
		key := keys[(i+id)%len(keys)]
		from := time.Now()
		kv, _, err := n.Get(ctx, key)
		h.add(id, asked{verb: look, key: key}, told{unknown: err != nil, holder: string(kv.Value)}, from)
		if err != nil { // of a member that is down, at once
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		in := asked{verb: spend, key: key, token: fmt.Sprintf("%d/%d", id, i), on: string(kv.Value)}
		if len(strings.Fields(in.on)) == atMost {
			in.verb = expire
		}
		h.commit(ctx, id, n, in, store.Txn{Ifs: []store.Cond{{Key: key, Rev: kv.Mod}}, Puts: []store.Put{{Key: key, Value: []byte(spentNow(in))}}})
	}
}

// Budgets are linearizable through whichever member, while the leader is killed
// and while it stands still: no spend is lost, and none is one too many.
func TestBudgetsAreLinearizable(t *testing.T) {
	isLinearizable(t, budgets, []string{"budget/x", "budget/y"}, (*history).spender)
}
