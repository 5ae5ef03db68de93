package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// LedgerFor is how long an id stays spent: it is not taken again by a step of the
// same name, whatever the incident.
const LedgerFor = 31 * 24 * time.Hour

// LedgerMost bounds the ids that are remembered of one step's name.
const LedgerMost = 10000

// ItemKey is an id as the ledger remembers it: of one length, and not readable.
func ItemKey(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:8])
}

// SpendItems adds ids to a ledger, and forgets those before LedgerFor. A moment
// that is later than now (the clock went back) still counts.
func SpendItems(was *signalbox.Spend, scope string, ids []string, now time.Time) *signalbox.Spend {
	next := keptItems(was, scope, func(_ string, t time.Time) bool { return now.Sub(t) < LedgerFor })
	for _, id := range ids {
		next.Items, next.Times = append(next.Items, ItemKey(id)), append(next.Times, now)
	}
	return next
}

// RefundItems takes back the ids of an action that surely had no effect.
func RefundItems(was *signalbox.Spend, scope string, ids []string, at time.Time) *signalbox.Spend {
	mine := map[string]bool{}
	for _, id := range ids {
		mine[ItemKey(id)] = true
	}
	return keptItems(was, scope, func(key string, t time.Time) bool { return !mine[key] || !t.Equal(at) })
}

// keptItems is a copy of a ledger with what is kept. Times without an id, of an
// older version, have the empty key.
func keptItems(was *signalbox.Spend, scope string, keep func(key string, at time.Time) bool) *signalbox.Spend {
	next := &signalbox.Spend{Scope: scope}
	if was == nil {
		return next
	}
	bare := max(0, len(was.Times)-len(was.Items))
	for i, t := range was.Times {
		key := ""
		if i >= bare && i-bare < len(was.Items) {
			key = was.Items[i-bare]
		}
		if keep(key, t) {
			next.Items, next.Times = append(next.Items, key), append(next.Times, t)
		}
	}
	return next
}

// ledger is what is spent of ids now, and when the first of it is forgotten.
func (l *look) ledger(scope string) (spent map[string]bool, n int, first time.Time) {
	l.readSpend(scope)
	s := keptItems(l.w.State.Budgets[scope], scope, func(_ string, t time.Time) bool { return l.now.Sub(t) < LedgerFor })
	spent = make(map[string]bool, len(s.Items))
	for _, key := range s.Items {
		spent[key] = true
	}
	if len(s.Times) > 0 {
		first = slices.MinFunc(s.Times, time.Time.Compare).Add(LedgerFor)
	}
	return spent, len(s.Times), first
}

// ledgerFull says that no more ids can be remembered; an effect of passes: they
// can.
func (l *look) ledgerFull(m *move) answer {
	_, n, first := l.ledger(itemScope(m.step))
	if n+len(m.step.Items) <= LedgerMost {
		return answer{effect: passes}
	}
	l.at(first)
	return answer{blocks, fmt.Sprintf("%d ids of it are remembered for %s, at most %d can be", n, span(LedgerFor), LedgerMost), "the first is forgotten at " + clock(first)}
}

// mayHaveTaken reports whether an action's ids may have been done: one that
// failed after it had begun, by its receipt, may have done some.
func mayHaveTaken(a *signalbox.Action) bool {
	return a.Undoes == "" && (a.Stage != signalbox.Broken || a.Ran())
}
