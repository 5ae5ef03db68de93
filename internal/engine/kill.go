package engine

import (
	"cmp"
	"fmt"
	"slices"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// killPage tells the default owner that nothing is remediated any more, what is
// under way all the same, and what is thrown; and that it is over.
func (l *loop) killPage() {
	if l.auth == nil {
		return
	}
	key := "signalbox-kill"
	why := l.facts.KillFile
	if k := l.state.Controls.Killed; k != nil {
		why = "killed by " + k.Who + ": " + k.Reason
	}
	if l.e.frozen.Load() != nil {
		why += "; once it was compared with the world: signalboxctl store confirm"
	}
	old := l.state.Pages[key]
	told := old != nil && old.Event == signalbox.PageTrigger
	if told == (why != "") {
		return
	}
	w := &write{}
	p := l.page(w, key)
	p.Owner, p.At, p.Why, p.Event = l.set().DefaultOwner, l.now(), why, signalbox.PageTrigger
	if why == "" {
		p.Event = signalbox.PageResolve
	}
	p.Want++
	running, summary := l.underWay(), "signalbox remediates nothing: "+why
	if n := len(running); n > 0 && why != "" {
		summary = fmt.Sprintf("signalbox begins nothing more, and %d under way are not stopped: %s", n, why)
	}
	p.Body = signalbox.PageBody{
		Summary: summary, Severity: "warning", Source: "signalbox/" + l.e.o.Replica, At: p.At,
		Thrown: l.thrownNow(l.state, ""), Done: running,
	}
	w.entry(journal.PageWanted, "", "", p.Body)
	l.commit(w)
}

// underWay are the actions in flight, a line each, oldest first: what was sent
// goes on at its target, whatever is switched off here.
func (l *loop) underWay() (lines []string) {
	var running []*signalbox.Action
	for _, a := range l.state.Actions {
		if a.InFlight() && !telling(a) {
			running = append(running, a)
		}
	}
	slices.SortFunc(running, func(a, b *signalbox.Action) int {
		return cmp.Or(a.ClaimedAt.Compare(b.ClaimedAt), cmp.Compare(a.ID, b.ID))
	})
	for i, a := range running {
		if i == mostLines {
			return append(lines, fmt.Sprintf("and %d more under way", len(running)-i))
		}
		lines = append(lines, fmt.Sprintf("%s; under way, and not stopped: action %s of incident %s", done(a), a.ID, a.Incident))
	}
	return lines
}
