package sim

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/policy"
)

// extend adds to the handbook what is across its policies, and makes some of
// them wait for people.
func extend(cfg *policy.Config) {
	cfg.Approvers = map[string]int{}
	for i := range cfg.Policies {
		p := &cfg.Policies[i]
		cfg.Approvers[p.Name] = 2
		switch p.Name {
		case "edge-sa", "edge-us":
			p.Autonomy, p.ApproveWithin = policy.Approve, 10*time.Minute
		case "reads-sa":
			p.Autonomy = policy.Suggest
		case "reads-us": // both of a region at once, then verified
			p.Runbook = []signalbox.Step{p.Runbook[0], step("edge-us", "b", signalbox.UndoAuto, reads("us"))}
			p.Runbook[0].Lane, p.Runbook[1].Lane = 1, 1
		case "edge-ap": // one after the other
			p.Runbook = []signalbox.Step{
				{Kind: "wait", Name: "wait", Flow: signalbox.Flow{Within: 10 * time.Minute, Until: &signalbox.Wait{Witness: reads("ap")["b"], For: time.Minute}}},
				p.Runbook[0],
			}
		}
	}
	for _, r := range regions {
		cfg.Blast = append(cfg.Blast, policy.Blast{Name: "pods-" + r, Detectors: []string{pods + r}, Share: 0.34, Floor: 1, Mass: 0.8, Within: 10 * time.Minute})
	}
	cfg.Depends = []policy.Dependency{{Subject: "app/{{region}}", On: []string{"db/{{region}}"}}}
	cfg.Owners = []policy.Owner{
		{Name: "devops"},
		{Name: "backend", Escalates: true, AcknowledgeWithin: 5 * time.Minute, Backup: true, LastResort: "devops", Informs: []string{"devops"}},
	}
	cfg.Budgets = []policy.ScopedRates{{Scope: "owner/backend", Rates: []policy.Rate{{N: 12, Per: 3 * time.Hour}}}, {Scope: "class/C", Rates: []policy.Rate{{N: 3, Per: time.Hour, Burst: 2}}}}
	cfg.Freeze = []policy.Freeze{{Name: "sunday nights", Covers: frozenAt}}
}

// frozenAt is the company's freeze, each Sunday evening.
func frozenAt(at time.Time) bool {
	at = at.UTC()
	return at.Weekday() == time.Sunday && at.Hour() >= 20
}
