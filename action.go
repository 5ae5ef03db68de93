package signalbox

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"
)

// Autonomy is how far a policy may go by itself.
type Autonomy string

// The autonomies, from the least.
const (
	AutonomyShadow  Autonomy = "shadow"  // decides and records, does nothing
	AutonomySuggest Autonomy = "suggest" // pages with the plan
	AutonomyApprove Autonomy = "approve" // waits for a person's approval
	AutonomyAuto    Autonomy = "auto"    // acts
)

// Class says what makes an action safe to repeat. It depends on the backend,
// so a Forecast tells it.
type Class string

// The classes, from the safest.
const (
	ClassA Class = "A" // the target compares and sets: seal, then retry freely
	ClassB Class = "B" // the target takes an idempotency key: retry within its retention
	ClassC Class = "C" // the effect can be read back: probe only after the target's greatest latency
	ClassD Class = "D" // blind: send at most once
)

// UndoMode says who may take a switch back.
type UndoMode string

// The undo modes. Ask is the default.
const (
	UndoAuto  UndoMode = "auto"  // by itself, when the old position is healthy again
	UndoAsk   UndoMode = "ask"   // on a person's word
	UndoNever UndoMode = "never" // by hand only
)

// Step is one thing to do, resolved: nothing in it refers to a configuration
// that may change or go away, and nothing in it is a secret.
type Step struct {
	Kind string `json:"kind"`         // the remediator's kind: "endpoint", "page"
	Name string `json:"name"`         // the switch or owner, as people know it
	To   string `json:"to,omitempty"` // the position wanted, by its name
	// Spec is the kind's own resolved settings, as the configuration gave
	// them; credentials stand in it as paths of files only.
	Spec json.RawMessage `json:"spec"`
	// If is a CEL condition that must hold when the step is to be taken.
	If string `json:"if,omitempty"`
	// Health names what proves each position healthy; empty: nothing does.
	Health map[string]Witness `json:"health,omitempty"`
	Undo   UndoMode           `json:"undo,omitempty"`
	// Tool says that it uses a tool: there are no positions among which it
	// chooses, and which could be proved healthy.
	Tool bool `json:"tool,omitempty"`
	// Lifts says, of a step that takes an action back, that it only lifts a limit
	// which the action set: a throttle that is restored, a resume of what was
	// paused. A pause does not hold it. Its remediator sets it on Forecast.Undo.
	Lifts bool `json:"lifts,omitempty"`
	Flow
	// About is the incident that the step tells of, filled in when it is taken;
	// nil: the kind has no use for it. It holds nothing that changes at each
	// look, so that an approval binds it.
	About *About `json:"about,omitempty"`
	// Items are the ids that the step is about, chosen and bounded when it is
	// taken (see Flow.Most); only kinds that take items have them.
	Items []string `json:"items,omitempty"`
}

// Flow is how a step stands in its runbook. The zero value is a step on its
// own: taken in its turn, verified before the next one.
type Flow struct {
	// ID is how later conditions call it: steps.ID.
	ID string `json:"id,omitempty"`
	// Within bounds the time from when the step is next until it is done, or
	// for a wait until what it waits for holds; 0: none.
	Within time.Duration `json:"within,omitempty"`
	// Then says what is awaited before the next step.
	Then Then `json:"then,omitempty"`
	// Else says what a condition that is false means.
	Else Else `json:"else,omitempty"`
	// Lane groups neighbouring steps that run at once, each on targets of its
	// own; 0: alone.
	Lane int `json:"lane,omitempty"`
	// Rescue is 1 + the index of the step for whose failure this one is taken;
	// 0: it is of the main line.
	Rescue int `json:"rescue,omitempty"`
	// Resume says, on the last step of a rescue, that the main line goes on.
	Resume bool `json:"resume,omitempty"`
	// Tells says that the step only tells people: it throws nothing, so that
	// budgets, cooldowns and freezes do not hold it, no effect of it is awaited,
	// and where it can't be told the runbook goes on.
	Tells bool `json:"tells,omitempty"`
	// Promise is how soon after the incident was opened the step is promised to
	// be done; 0: there is no promise.
	Promise time.Duration `json:"promise,omitempty"`
	// Until is what a step of kind "wait" waits for.
	Until *Wait `json:"until,omitempty"`
	// Most bounds the items of one step, and Pace those of all its actions in
	// a sliding window; 0: the step takes no items.
	Most int      `json:"most,omitempty"`
	Pace ItemPace `json:"pace,omitzero"`
}

// About is what a step may tell of its incident: facts that stay as they are.
// Labels are as untrusted as their source.
type About struct {
	Incident IncidentID        `json:"incident,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	Detector string            `json:"detector,omitempty"`
	Owner    string            `json:"owner,omitempty"`
	Policy   string            `json:"policy,omitempty"`
	OpenedAt time.Time         `json:"opened_at,omitzero"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// Then says what is awaited before the next step is taken.
type Then string

// The values of Then.
const (
	ThenVerify Then = ""     // that it is known whether the step helped; the next one is taken only where it did not
	ThenNext   Then = "next" // only that the step is done
)

// Else says what becomes of a step whose condition is false.
type Else string

// The values of Else.
const (
	ElseHold Else = ""     // the runbook waits, and the owner is paged
	ElseSkip Else = "skip" // the step is passed over
)

// Wait is what a step of kind "wait" waits for: a witness that is clear for a
// time, or a condition.
type Wait struct {
	Witness Witness       `json:"witness,omitzero"`
	For     time.Duration `json:"for,omitempty"`
	If      string        `json:"if,omitempty"` // CEL
}

// ItemPace is the most items in a sliding window.
type ItemPace struct {
	N   int           `json:"n"`
	Per time.Duration `json:"per"`
}

// MarkState is how a step ended without an action.
type MarkState string

// The states of a mark.
const (
	StepSkipped MarkState = "skipped" // its condition was false
	StepWaited  MarkState = "waited"  // what it waited for holds
	StepFailed  MarkState = "failed"  // its attempts or its time ran out
)

// Mark says that a step of the plan is over though no action tells it.
type Mark struct {
	Index int       `json:"index"`
	State MarkState `json:"state"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"`
}

// Witness names the series that proves a position's health.
type Witness struct {
	Detector string `json:"detector"`
	Subject  string `json:"subject"`
}

// Hash identifies the step by its content.
func (s Step) Hash() string {
	b, err := json.Marshal(s)
	if err != nil { // a RawMessage that is not JSON: still a stable identity
		b = append([]byte(s.Kind+"\x00"+s.Name+"\x00"+s.To+"\x00"), s.Spec...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Plan is a runbook resolved for one incident.
type Plan struct {
	Policy       string        `json:"policy"`
	Autonomy     Autonomy      `json:"autonomy,omitempty"` // with which it began
	PolicyHash   string        `json:"policy_hash"`        // of the policy's content
	Steps        []Step        `json:"steps"`
	VerifyWithin time.Duration `json:"verify_within"` // how long an effect may take to be seen
	// Verify names what proves that an effect helped; empty: the incident's own
	// series.
	Verify       Witness       `json:"verify,omitzero"`
	AfterHealthy time.Duration `json:"after_healthy"` // how long before an undo all must have been well
	Cooldown     time.Duration `json:"cooldown"`
	// Needs is what must corroborate the breach; nil: nothing.
	Needs *Corroboration `json:"needs,omitempty"`
}

// Corroboration is the independent evidence that a plan needs before it throws
// anything.
type Corroboration struct {
	// Origins is the least number of independent origins that see the breach.
	Origins int `json:"origins"`
	// Witnesses are heard, beside the incident's own series. One without a
	// subject is heard on the incident's.
	Witnesses []Witness `json:"witnesses"`
}

// Hash identifies the plan by its content.
func (p *Plan) Hash() string {
	b, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// Forecast is what a Preview found, and what a Start would do. It only reads.
type Forecast struct {
	At       time.Time `json:"at"`
	Class    Class     `json:"class"`
	Targets  []Target  `json:"targets"`
	Reach    string    `json:"reach,omitempty"`    // how far it reaches, for people
	Found    string    `json:"found"`              // the value found
	Position string    `json:"position,omitempty"` // the listed position that the value is; empty: none
	Version  string    `json:"version,omitempty"`  // resourceVersion or ETag found
	Already  bool      `json:"already,omitempty"`  // what is wanted is there: nothing to do
	// Refused says why the step must not be taken as things stand: a value
	// that is not listed, another's hand, a permission that is missing.
	Refused string   `json:"refused,omitempty"`
	Undo    *Step    `json:"undo,omitempty"`    // the step that takes it back
	ByHand  string   `json:"by_hand,omitempty"` // the command with which a person takes it back
	Latency Duration `json:"latency,omitempty"` // class C: the target's greatest latency
	// NeedsApproval says why a person must approve it whatever the policy's
	// autonomy: a schema migration lies between the two versions.
	NeedsApproval string `json:"needs_approval,omitempty"`
	// Hand says why the target looks as if somebody else had thrown it.
	Hand string `json:"hand,omitempty"`
	// Takes is how long the work may go on once it was begun, before it is
	// paged as in doubt; 0: it is over when Start returns.
	Takes Duration `json:"takes,omitempty"`
	// Expires is how long what is thrown would stand; 0: until taken back.
	Expires Duration `json:"expires,omitempty"`
}

// Duration is a time.Duration that is written as people write it ("1m30s").
type Duration time.Duration

// MarshalText writes the duration in Go's form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads a duration in Go's form.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// ActionID names one action; a remediator is idempotent on it.
type ActionID string

// Token orders the writes to a target: the create revision of the action's
// in-flight record, below the store's epoch (TokenIn). A target that compares
// never sees it decrease.
type Token int64

// Stage is how far an action has come.
type Stage string

// The stages. Claimed, Started and Doubt are in flight: the targets stay
// locked. Done, Failed and Refused are final.
const (
	Claimed Stage = "claimed" // the intent is durable; nothing may have been sent
	Started Stage = "started" // seen under way
	Doubt   Stage = "doubt"   // sent perhaps; what happened is not known
	Done    Stage = "done"    // the effect is there
	Broken  Stage = "failed"  // it is known to have failed: there was no effect, or it ran and ended badly
)

// Outcome is what new evidence says of an action's effect.
type Outcome string

// The outcomes; empty while it is not known yet.
const (
	Recovered    Outcome = "recovered"
	NotRecovered Outcome = "not_recovered"
	Unverified   Outcome = "unverified" // the signal was Unknown until the deadline
)

// Action is one attempt to do one step, from its intent to what came of it.
// It is durable; the record stays until its incident is closed.
type Action struct {
	ID        ActionID   `json:"id"`
	Incident  IncidentID `json:"incident"`
	Policy    string     `json:"policy,omitempty"`
	Index     int        `json:"index"` // of the step in its plan
	Step      Step       `json:"step"`
	Forecast  Forecast   `json:"forecast"`         // with the value and version found, and the undo
	Undoes    ActionID   `json:"undoes,omitempty"` // the action that this one takes back
	Undone    ActionID   `json:"undone,omitempty"` // the action that took this one back
	Stage     Stage      `json:"stage"`
	Attempts  int        `json:"attempts,omitempty"`
	Sealed    Token      `json:"sealed,omitempty"` // by the successor, after a crash
	Receipt   Receipt    `json:"receipt,omitzero"` // what the target answered last, also while it goes on
	Reason    string     `json:"reason,omitempty"` // of a failure or a doubt
	Outcome   Outcome    `json:"outcome,omitempty"`
	Spends    []string   `json:"spends,omitempty"`   // scopes of the budgets in which it counts
	Approval  ApprovalID `json:"approval,omitempty"` // the one that it used up
	By        Process    `json:"by,omitzero"`        // claimed it, and sends it
	ClaimedAt time.Time  `json:"claimed_at"`
	EndedAt   time.Time  `json:"ended_at,omitzero"`  // Done or failed
	JudgedAt  time.Time  `json:"judged_at,omitzero"` // when Outcome was known
	VerifyBy  time.Time  `json:"verify_by,omitzero"` // by when new samples must show that it helped

	// Epoch is the store's when the action was claimed.
	Epoch int64 `json:"epoch,omitempty"`
	// Token is made of Epoch and of the create revision of this record, and is
	// known once it is stored.
	Token Token `json:"-"`
	// Gate is called by a Remediator last thing before each write that it
	// sends, and a non-nil error means: do not send. Nil: nothing to check.
	Gate func() error `json:"-"`
}

// InFlight reports whether the action's targets are locked by it.
func (a *Action) InFlight() bool {
	return a.Stage == Claimed || a.Stage == Started || a.Stage == Doubt
}

// Ran reports whether an action failed after it had begun, by its receipt: a run
// that ended badly, a Job that failed. It may have done a part of its work.
func (a *Action) Ran() bool { return a.Stage == Broken && !a.Receipt.At.IsZero() }

// Receipt is what a target answered to a write.
type Receipt struct {
	At      time.Time `json:"at"`
	Version string    `json:"version,omitempty"` // resourceVersion or ETag after the write
	Detail  string    `json:"detail,omitempty"`  // one plain line for people
	// Final says, in what Start returns, that the answer proves the effect, and
	// nothing is left to follow: it is not probed.
	Final bool `json:"-"`
}

// Phase is what a Probe knows of an action at its target.
type Phase string

// The phases.
const (
	NotStarted Phase = "not_started" // it is certain that there was no effect, and that there will be none unsealed
	Running    Phase = "running"
	Succeeded  Phase = "done"
	Fell       Phase = "failed" // it is certain that it failed
	InDoubt    Phase = "unknown"
)

// Progress is the answer of a Probe.
type Progress struct {
	Phase Phase
	// Receipt is what the target answered, as far as it is known; with Fell it
	// says that the action had begun, and may have done a part of its work.
	Receipt Receipt
	Reason  string
	// Next says, with Running, that the next write is due: see Continuer.
	Next bool
}
