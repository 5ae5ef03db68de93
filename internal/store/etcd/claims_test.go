package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/signalbox/signalbox/internal/store"
)

// The verbs of a history of claims, and of one of budgets.
const (
	take    = "take"
	release = "release"
	look    = "look"
	spend   = "spend"
	expire  = "expire"
)

// asked and told are what a client asks of a claim or a budget, and what it is
// told.
type asked struct {
	verb, key, token string // the token of who takes it or spends, unique to each try
	on               string // the spends that were read before
}

type told struct {
	done    bool   // it is taken, or released
	unknown bool   // the store did not say
	holder  string // of a look; empty: nobody, or nothing spent
}

// byKey takes a history apart.
func byKey(all []porcupine.Operation) (parts [][]porcupine.Operation) {
	of := map[string]int{}
	for _, op := range all {
		key := op.Input.(asked).key
		if _, known := of[key]; !known {
			of[key] = len(parts)
			parts = append(parts, nil)
		}
		parts[of[key]] = append(parts[of[key]], op)
	}
	return parts
}

// claims is one claim on each key: it has a holder, or none.
var claims = porcupine.Model{
	Partition: byKey,
	Init:      func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		holder, in, out := state.(string), input.(asked), output.(told)
		switch in.verb {
		case look:
			return out.holder == holder, holder
		case take:
			if holder == "" {
				return out.done || out.unknown, in.token
			}
			return !out.done, holder
		default:
			if holder == in.token {
				return out.done || out.unknown, ""
			}
			return !out.done, holder
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v: %+v", input, output) },
}

// history is what clients did, with when each call began and ended.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
	doubt int
}

// add counts a call that was not answered as one that never ends: it may be
// done at any time after, or never.
func (h *history) add(client int, in asked, out told, from time.Time) {
	op := porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(from.Sub(h.began)), Return: int64(time.Since(h.began))}
	h.mu.Lock()
	defer h.mu.Unlock()
	if out.unknown {
		if in.verb == look {
			return // it did nothing
		}
		op.Return = math.MaxInt64
		h.doubt++
	}
	h.ops = append(h.ops, op)
}

func (h *history) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// client takes claims that are free, and releases its own, as the engine's
// transactions do.
func (h *history) client(ctx context.Context, id int, n *node, keys []string) {
	for i := 0; ctx.Err() == nil; i++ {
		key := keys[(i+id)%len(keys)]
		from := time.Now()
		kv, held, err := n.Get(ctx, key)
		h.add(id, asked{verb: look, key: key}, told{unknown: err != nil, holder: string(kv.Value)}, from)
		switch own := strings.HasPrefix(string(kv.Value), fmt.Sprintf("%d/", id)); {
		case err != nil: // of a member that is down, at once
			select {
			case <-ctx.Done():
			case <-time.After(10 * time.Millisecond):
			}
		case !held:
			token := fmt.Sprintf("%d/%d", id, i)
			h.commit(ctx, id, n, asked{verb: take, key: key, token: token}, store.Txn{Ifs: []store.Cond{{Key: key}}, Puts: []store.Put{{Key: key, Value: []byte(token)}}})
		case own:
			h.commit(ctx, id, n, asked{verb: release, key: key, token: string(kv.Value)}, store.Txn{Ifs: []store.Cond{{Key: key, Rev: kv.Mod}}, Deletes: []string{key}})
		}
	}
}

func (h *history) commit(ctx context.Context, id int, n *node, in asked, txn store.Txn) {
	from := time.Now()
	_, err := n.Commit(ctx, txn)
	h.add(id, in, told{done: err == nil, unknown: err != nil && !errors.Is(err, store.ErrConflict)}, from)
}

// Claims are linearizable through whichever member, while the leader is killed
// and while it stands still: no two hold one, none that was given is lost, and
// nobody sees an older holder than another saw before.
func TestClaimsAreLinearizable(t *testing.T) {
	isLinearizable(t, claims, []string{"claim/x", "claim/y"}, (*history).client)
}

// isLinearizable has clients ask three members while one is killed and one
// stands still, and checks their history.
func isLinearizable(t *testing.T, model porcupine.Model, keys []string, client func(h *history, ctx context.Context, id int, n *node, keys []string)) {
	t.Helper()
	c := newTrio(t)
	for _, n := range c.nodes {
		n.o.Timeout = 2 * time.Second
		c.begin(n)
	}
	for _, n := range c.nodes {
		c.await(n)
	}
	h := &history{began: time.Now()}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var clients sync.WaitGroup
	for id := range 6 {
		clients.Go(func() { client(h, ctx, id, c.nodes[id%3], keys) })
	}
	busy := func() {
		t.Helper()
		n := h.len()
		eventually(t, "the clients go on", func() bool { return h.len() > n+200 })
	}
	busy()
	leader, _ := c.leader()
	kill(t, leader.Status().PID)
	busy()
	eventually(t, "the killed member is back", func() bool { return leader.Status().Starts == 2 && leader.Up() })
	leader, _ = c.leader()
	thaw := freeze(t, leader)
	busy()
	thaw()
	busy()
	cancel()
	clients.Wait()
	if result := porcupine.CheckOperationsTimeout(model, h.ops, patience); result != porcupine.Ok {
		t.Errorf("the history of %d calls is not linearizable: %s", len(h.ops), result)
	}
	t.Logf("%d calls, %d of them in doubt", len(h.ops), h.doubt)
}
