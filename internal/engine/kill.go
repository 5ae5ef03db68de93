package engine

import (
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/journal"
)

// killPage tells the default owner that nothing is remediated any more, and
// what is thrown; and that it is over.
func (l *loop) killPage() {
	if l.auth == nil {
		return
	}
	key := "signalbox-kill"
	why := l.facts.KillFile
	if k := l.state.Controls.Killed; k != nil {
		why = "killed by " + k.Who + ": " + k.Reason
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
	p.Body = signalbox.PageBody{
		Summary: "signalbox remediates nothing: " + why, Severity: "warning", Source: "signalbox/" + l.e.o.Replica, At: p.At,
		Thrown: l.thrownNow(l.state, ""),
	}
	w.entry(journal.PageWanted, "", "", p.Body)
	l.commit(w)
}
