package signalbox

import "time"

// Verdict is what a Decision asks the engine to do.
type Verdict string

// The verdicts.
const (
	Preview  Verdict = "preview"  // forecasts are wanted before it can be decided
	Act      Verdict = "act"      // take step Next of Plan
	Hold     Verdict = "hold"     // do nothing, on purpose, with a cause
	Verify   Verdict = "verify"   // an effect is awaited
	Settle   Verdict = "settle"   // write down what new evidence says of the last action
	Undo     Verdict = "undo"     // take the action Takes back
	Escalate Verdict = "escalate" // page the owner
	Resolve  Verdict = "resolve"  // the incident has reached its end
	Ask      Verdict = "ask"      // ask a person to approve the step
	Advance  Verdict = "advance"  // write down that a step is over without an action, or that a runbook begins
)

// Reason is one guard's answer, with its figures.
type Reason struct {
	Guard  string `json:"guard"` // its name, which is also its code: "cooldown"
	Passed bool   `json:"passed"`
	Detail string `json:"detail"` // plain words with the figures: "last action 4m ago, cooldown 15m"
	// Lifts says what would change the answer: "passes at 12:04:00Z",
	// "signalboxctl release …"; empty where it passed.
	Lifts string `json:"lifts,omitempty"`
}

// Key names something that a decision read: a key of the store, or a fact
// ("fact/…"). A change of it makes the decision due again, and of the store's
// keys it becomes a condition of the claim.
type Key string

// Decision is what should be done about one incident, and why. It is a value:
// equal worlds give equal decisions.
type Decision struct {
	Incident IncidentID  `json:"incident"`
	Verdict  Verdict     `json:"verdict"`
	Plan     *Plan       `json:"plan,omitempty"`     // Preview, Act
	Next     int         `json:"next,omitempty"`     // Preview, Act: index of the step
	Step     *Step       `json:"step,omitempty"`     // Preview, Act, Undo: the step to forecast or take
	Takes    ActionID    `json:"takes,omitempty"`    // Undo (and its Preview): the action to take back; Settle: the action
	Outcome  Outcome     `json:"outcome,omitempty"`  // Settle
	End      End         `json:"end,omitempty"`      // Resolve
	GaveUp   string      `json:"gave_up,omitempty"`  // Escalate: automation stops on this incident
	Page     *PageNote   `json:"page,omitempty"`     // Escalate; Hold too, where a person must know of it
	Mark     *Mark       `json:"mark,omitempty"`     // Advance; nil: the runbook begins
	Approval *Approval   `json:"approval,omitempty"` // Ask: the request
	Uses     ApprovalID  `json:"uses,omitempty"`     // Act: the approval that it uses up
	Spends   []string    `json:"spends,omitempty"`   // Act: scopes of the budgets in which it counts
	Told     string      `json:"told,omitempty"`     // Escalate: what is told by it once: a mark of Incident.Told
	Back     []ActionID  `json:"back,omitempty"`     // Hold and Resolve: actions that people have taken back by hand
	Demote   string      `json:"demote,omitempty"`   // why a policy loses autonomy
	Demotes  string      `json:"demotes,omitempty"`  // the policy that does
	Hands    []FoundHand `json:"hands,omitempty"`    // another's hand, found now
	Want     *Want       `json:"-"`                  // where it wants a switch to be, also while it is held
	Shadow   []Shadow    `json:"shadow,omitempty"`   // what policies in shadow would have done
	Because  []Reason    `json:"because"`            // every guard consulted
	Reads    []Key       `json:"-"`
	Until    time.Time   `json:"until,omitzero"` // it becomes due then; zero: only when something changes
}

// Shadow is what a policy that only watches would have done.
type Shadow struct {
	Policy  string   `json:"policy"`
	Verdict Verdict  `json:"verdict"`
	Step    *Step    `json:"step,omitempty"`
	Because []Reason `json:"because"`
}

// PageNote asks that an owner is paged.
type PageNote struct {
	Owner string `json:"owner"`
	// Group joins incidents into one page; empty: the incident's own.
	Group string `json:"group,omitempty"`
	// Causes are what it has in common with others that are one for people:
	// "target/…", "change/…", "seen/…". It joins a page that names one of them.
	Causes []string `json:"causes,omitempty"`
	// With is the incident whose page it joins, since that is its cause.
	With IncidentID `json:"with,omitempty"`
	Why  string     `json:"why"` // one plain line
	// Plan is what a policy suggests or wants approved, a line a step.
	Plan []string `json:"plan,omitempty"`
}

// FoundHand is another's hand on a target.
type FoundHand struct {
	Target   Target `json:"target"`
	Found    string `json:"found"`
	Position string `json:"position,omitempty"`
}

// Want is where a policy wants a switch to be, for one incident.
type Want struct {
	Switch   string // Step.Name
	To       string
	Policy   string
	Autonomy Autonomy
	Needs    int // independent origins
	Order    int // of the policy in the configuration
}

// Signature changes when the verdict, the plan, the step, the outcome or the
// codes of the reasons change: then the decision is journaled. Figures that
// move at each look do not change it.
func (d *Decision) Signature() string {
	parts := []string{string(d.Verdict), string(d.Takes), string(d.Outcome), string(d.End), d.GaveUp}
	if d.Plan != nil {
		parts = append(parts, d.Plan.Hash())
	}
	if d.Step != nil {
		parts = append(parts, d.Step.Hash())
	}
	if d.Page != nil {
		parts = append(parts, "page", d.Page.Owner, d.Page.Group, string(d.Page.With))
	}
	if d.Mark != nil {
		parts = append(parts, "mark", itoa(d.Mark.Index), string(d.Mark.State))
	}
	if d.Approval != nil {
		parts = append(parts, "approval", string(d.Approval.ID))
	}
	parts = append(parts, string(d.Uses), d.Demote, d.Told)
	for _, h := range d.Hands {
		parts = append(parts, "hand", string(h.Target))
	}
	for _, id := range d.Back {
		parts = append(parts, "back", string(id))
	}
	for _, r := range d.Because {
		parts = append(parts, r.Guard, passedOrHeld(r.Passed))
	}
	for _, s := range d.Shadow {
		parts = append(parts, s.Policy, string(s.Verdict))
		for _, r := range s.Because {
			parts = append(parts, r.Guard, passedOrHeld(r.Passed))
		}
	}
	return digest(parts...)[:16]
}

func passedOrHeld(passed bool) string {
	if passed {
		return "+"
	}
	return "-"
}
