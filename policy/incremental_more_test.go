package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	signalbox "github.com/signalbox/signalbox"
)

// drawnConfig has some of the guards that need a configuration of their own.
func drawnConfig(t *rapid.T) Config {
	may := func(what string) bool { return rapid.Bool().Draw(t, what) }
	p := failover()
	if may("approve") {
		p.Autonomy, p.ApproveWithin = Approve, 30*time.Minute
	}
	if may("needs") {
		p.Needs, p.Witnesses = 2, []signalbox.Witness{{Detector: "errors"}, {Detector: "replica-lag", Subject: "replica/c"}}
	}
	if may("if") {
		p.Runbook[0].If = `destination.healthy && destination.value < duration("100ms") && value > duration("1s")`
	}
	if may("tells") {
		p.Runbook = append([]signalbox.Step{pageStep("backend"), telling("ops", signalbox.Flow{})}, p.Runbook...)
	}
	c := configOf(p)
	c.Silences, c.AcknowledgeTakes = may("silences"), may("acknowledge takes")
	if may("depends on") {
		c.Depends = []Dependency{{Subject: "app/*", On: []string{"db/eu"}}}
	}
	if may("freeze") {
		c.Freeze = []Freeze{
			{Name: "once", From: noon.Add(30 * time.Minute), To: noon.Add(40 * time.Minute)},
			{Name: "each hour", Covers: func(at time.Time) bool { return at.Minute() < 5 }},
		}
	}
	if may("changes") {
		c.Changes = []Change{{Name: "migration", Migration: true, Detector: "alerts"}}
	}
	if may("blast") {
		c.Blast = []Blast{{Name: "all", Detectors: []string{"lag"}, Share: 0.25, Floor: 1, Mass: 0.8, Within: time.Hour}}
	}
	if may("burst") {
		c.Budget = []Rate{{N: 2, Per: time.Hour}}
	}
	c.ForecastAge = 24 * time.Hour
	for i := range c.Detectors {
		c.Detectors[i].Fresh, c.Detectors[i].Interval = 24*time.Hour, 10*time.Second
	}
	return c
}

// more is one thing that changes of what drawnConfig looks at.
func (x *history) more(t *rapid.T) {
	bad := rapid.SampledFrom([]signalbox.Condition{signalbox.Breached, signalbox.Clear, signalbox.Unknown})
	see := func(detector, subject string) {
		r := signalbox.Reading{
			Detector: detector, Series: subject, Subject: subject, Condition: bad.Draw(t, "condition"), Value: 1, HasValue: true,
			Origin: rapid.SampledFrom([]string{"", "prometheus", "clients"}).Draw(t, "origin"), SampleAt: x.w.Now, At: x.w.Now, Since: x.w.Now,
		}
		if r.Condition == signalbox.Clear {
			r.EndedAt = x.w.Now
		}
		x.touch(x.w.Facts.Replace(&r), signalbox.DetectorKey(detector))
	}
	switch rapid.SampledFrom([]string{"errors", "migration", "silences", "acknowledged", "approvals", "released", "restored"}).Draw(t, "more") {
	case "errors":
		see("errors", rapid.SampledFrom([]string{"db/eu", "app/eu", "reads/eu"}).Draw(t, "subject"))
	case "migration":
		see("alerts", "migration/shop")
	case "silences":
		s := signalbox.Silences{At: x.w.Now}
		if rapid.Bool().Draw(t, "there") {
			s.List = []signalbox.Silence{silence(x.w.Now.Add(20*time.Minute), "cluster", "eu")}
		}
		x.w.Facts.Silenced = s
		x.touch(signalbox.SilencesKey)
	case "acknowledged":
		page := &signalbox.Page{Key: "page-1", Event: signalbox.PageTrigger, Incidents: x.ids[:1]}
		if rapid.Bool().Draw(t, "is") {
			page.AckedAt, page.AckedBy = x.w.Now, "@be-lead"
		}
		x.w.State.Pages["page-1"] = page
		x.touch(signalbox.PageKey("page-1"))
	case "approvals":
		for _, d := range x.last {
			if d.Approval == nil {
				continue
			}
			a := *d.Approval
			a.State = rapid.SampledFrom([]signalbox.ApprovalState{signalbox.Asked, signalbox.Approved, signalbox.Denied}).Draw(t, "state")
			if a.State != signalbox.Asked {
				a.Who, a.At = "@be-lead", x.w.Now
			}
			x.w.State.Approvals[a.ID] = &a
			x.touch(signalbox.ApprovalKey(a.ID))
		}
	case "released":
		id := rapid.SampledFrom(x.ids).Draw(t, "incident")
		inc := *x.w.State.Incidents[id]
		inc.ReleasedAt = x.w.Now
		x.w.State.PutIncident(&inc)
		x.touch(signalbox.IncidentKey(id), signalbox.SubjectKey(inc.Reading.Subject))
	case "restored":
		x.w.State.Store.Confirmed = nil
		if rapid.Bool().Draw(t, "confirmed") {
			x.w.State.Store.Confirmed = &signalbox.Control{At: x.w.Now}
		}
		x.touch(signalbox.StoreKey)
	}
}

// The same with guards that only a configuration brings, and with people who
// silence, acknowledge, approve and release.
func TestPropertyIncrementalEqualsFullWithAllGuards(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		x := newHistoryOf(outer, drawnConfig(t))
		x.w.Now = rapid.SampledFrom([]time.Time{noon.Add(time.Second), x.w.Now}).Draw(t, "begins")
		x.settle(t)
		for range rapid.IntRange(1, 25).Draw(t, "changes") {
			if rapid.Bool().Draw(t, "of the configuration") {
				x.more(t)
			} else {
				x.change(t)
			}
			x.settle(t)
			x.equal(t)
		}
	})
}
