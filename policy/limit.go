package policy

import (
	"fmt"
	"slices"
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// ToldLimit begins the mark in Incident.Told of a limit that was paged.
const ToldLimit = "limit/"

// limited pages once for each limit that an action of the incident has set: what
// holds back work for a time is always told to its owner, with until when.
func (l *look) limited() (d signalbox.Decision, isNew bool) {
	for _, a := range l.actions {
		mark := ToldLimit + string(a.ID)
		if a.Forecast.Expires == 0 || a.Undoes != "" || a.Stage != signalbox.Done || slices.Contains(l.inc.Told, mark) {
			continue
		}
		why := fmt.Sprintf("%s, was %s, until %s", throw(&a.Step), found(&a.Forecast), clock(a.EndedAt.Add(time.Duration(a.Forecast.Expires))))
		l.note("limit", true, "%s", why)
		return signalbox.Decision{Verdict: signalbox.Escalate, Page: l.pageNote("Limited: "+why, ""), Told: mark}, true
	}
	return d, false
}
