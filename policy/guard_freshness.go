package policy

import (
	"fmt"

	signalbox "github.com/signalbox/signalbox"
)

// guardFreshness asks that the incident's own series is seen to be ill right
// now: a missing, stale or Unknown reading is never a reason to act, and what
// is well again needs nothing. It waits rather than blocks, since a source that
// stays Unknown is paged by itself. Ids are an exception: see ids.go.
func guardFreshness(l *look, m *move) answer {
	r := l.own
	if l.overdue(m) {
		return answer{effect: passes, detail: "its series is well, and its ids are as they were"}
	}
	if r == nil {
		return answer{effect: waits, detail: "no reading of its series yet"}
	}
	ok, detail := l.fresh(r)
	switch {
	case !ok:
		return answer{effect: waits, detail: detail.String()}
	case r.Condition != signalbox.Breached:
		return answer{effect: waits, detail: fmt.Sprintf("its series reads %s right now, and is not over yet", r.Condition)}
	}
	return answer{effect: passes, detail: detail.String()}
}
