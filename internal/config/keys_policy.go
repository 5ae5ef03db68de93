package config

import (
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/policy"
)

// policyKeys says what should be done about incidents.
type policyKeys struct {
	// Its name, of which there is one.
	Name string `yaml:"name" jsonschema:"required"`
	// The detectors, or the one detector, whose incidents it is for.
	On names `yaml:"on" jsonschema:"required"`
	// Labels that must be equal.
	Match map[string]string `yaml:"match,omitempty"`
	// A condition in CEL over value, labels, subject and destination; absent: always.
	When string `yaml:"when,omitempty"`
	// How far it may go by itself: record only, page with the plan, wait for a person's approval, or act.
	Autonomy policy.Autonomy `yaml:"autonomy,omitempty" default:"shadow"`
	// What is done, in order.
	Runbook []stepKeys `yaml:"runbook" jsonschema:"required,minItems=1"`
	// How an effect is seen to help.
	Verify verifyKeys `yaml:"verify,omitempty"`
	// How a person approves its steps, where autonomy is approve or a step asks for it.
	Approve approveKeys `yaml:"approve,omitempty"`
	// When what is temporary is taken back.
	Undo undoKeys `yaml:"undo,omitempty"`
	// Its own guards.
	Guards policyGuardKeys `yaml:"guards,omitempty"`
	// What is done when nothing may be, or nothing helped: the owner is paged.
	Otherwise string `yaml:"otherwise,omitempty" jsonschema:"enum=page" default:"page"`
}

// approveKeys says how a person approves.
type approveKeys struct {
	// How long a request for approval stands.
	Within kind.Duration `yaml:"within,omitempty" default:"30m"`
	// Whether the one who set a step in motion can't approve it.
	TwoPersons bool `yaml:"two_persons,omitempty"`
}

// PlainStepKeys is what every step has, beside the one key of a remediator that
// names its switch, tool or owner, or wait.
type PlainStepKeys struct {
	// How later conditions call it: steps.ID.
	ID string `yaml:"id,omitempty"`
	// The position that a switch is thrown to, or what is done with a tool.
	To string `yaml:"to,omitempty"`
	// A condition in CEL that must hold when the step is taken.
	If string `yaml:"if,omitempty"`
	// What a condition that is false means: the runbook holds, or the step is passed over.
	Else string `yaml:"else,omitempty" jsonschema:"enum=hold,enum=skip" default:"hold"`
	// What the next step waits for: whether this one helped (it is then taken only where it did not), or only that this one is done.
	Then string `yaml:"then,omitempty" jsonschema:"enum=verify,enum=next" default:"verify"`
	// How long it may take until it is done, from when it is next; past it, it has failed.
	Within kind.Duration `yaml:"within,omitempty"`
	// How soon after the incident was opened the step is promised to be done: when two thirds of it have gone by and it is not, its owner is paged.
	Promise kind.Duration `yaml:"promise,omitempty"`
	// A step that only waits, and for what.
	Wait *waitKeys `yaml:"wait,omitempty"`
	// The ids that the step takes of its incident, for kinds that take ids.
	Items *itemKeys `yaml:"items,omitempty"`
}

// stepKeys is one step of a runbook, or several that run at once.
type stepKeys struct {
	PlainStepKeys `yaml:",inline"`
	// Steps that run at once, each on a switch of its own.
	Parallel []branchStepKeys `yaml:"parallel,omitempty"`
	// Steps that are taken when this one failed.
	OnFailure []branchStepKeys `yaml:"on_failure,omitempty"`
}

func (stepKeys) later() []string {
	return nil // all words of the steps are there
}

// branchStepKeys is a step within parallel or on_failure.
type branchStepKeys struct {
	PlainStepKeys `yaml:",inline"`
	// On the last step of on_failure: the runbook goes on after the step that failed.
	Resume bool `yaml:"resume,omitempty"`
}

func (branchStepKeys) later() []string { return stepKeys{}.later() }

// waitKeys is what a step waits for: a series that is clear, or a condition.
type waitKeys struct {
	// The detector that sees it.
	Detector string `yaml:"detector,omitempty"`
	// The subject that it is seen on, a template over the incident's labels.
	Subject kind.Subject `yaml:"subject,omitempty"`
	// How long it must have been clear.
	For kind.Duration `yaml:"for,omitempty"`
	// Or a condition in CEL.
	If string `yaml:"if,omitempty"`
}

// itemKeys bounds the ids that a step takes.
type itemKeys struct {
	// The most at once.
	Most int `yaml:"most" jsonschema:"required,minimum=1"`
	// The most in a sliding window: "100/hour".
	Pace rate `yaml:"pace" jsonschema:"required"`
}

// verifyKeys says how an effect is seen to help.
type verifyKeys struct {
	// How long an effect may take to be seen.
	Within kind.Duration `yaml:"within,omitempty" default:"5m"`
	// The detector that sees it; absent: the incident's own series.
	Detector string `yaml:"detector,omitempty"`
	// The subject that it is seen on, a template over the incident's labels.
	Subject kind.Subject `yaml:"subject,omitempty"`
}

// undoKeys says when what is temporary is taken back.
type undoKeys struct {
	// How long all must have been well before.
	AfterHealthy kind.Duration `yaml:"after_healthy,omitempty" default:"30m"`
}

// policyGuardKeys are the guards of one policy.
type policyGuardKeys struct {
	// The least time between two actions on one target.
	Cooldown kind.Duration `yaml:"cooldown,omitempty" default:"15m"`
	// The most actions in sliding windows: "3/day", "10/hour", "5/30m", and with how many may come close together: "10/hour burst 3".
	Budget []rate `yaml:"budget,omitempty" default:"3/day"`
	// How many independent origins must see the breach before anything is thrown: "2 sources". Heard are the detectors of `on`, on the incident's subject, and the witnesses.
	Needs sources `yaml:"needs,omitempty"`
	// Detectors that corroborate, though their own incidents don't start this policy.
	Witnesses []witnessKeys `yaml:"witnesses,omitempty"`
	// The changes during which alone it acts.
	During names `yaml:"during,omitempty"`
	// The changes that do not hold it back.
	IgnoreChanges names `yaml:"ignore_changes,omitempty"`
}

// witnessKeys names a series that corroborates.
type witnessKeys struct {
	// The detector that sees it.
	Detector string `yaml:"detector" jsonschema:"required"`
	// The subject that it is seen on, a template over the incident's labels; absent: the incident's own.
	Subject kind.Subject `yaml:"subject,omitempty"`
}
