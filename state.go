package signalbox

import "time"

// State is the durable part of the world: what the store holds, typed. The
// engine's loop owns it and alone changes it; readers get it between changes.
// Every record is replaced, never changed in place.
type State struct {
	Incidents map[IncidentID]*Incident
	Actions   map[ActionID]*Action
	Targets   map[Target]*TargetState
	Budgets   map[string]*Spend // by scope: "all", "policy/<name>"
	Policies  map[string]*PolicyState
	Pages     map[string]*Page // by dedup key
	Controls  Controls
	Active    ActiveConfig
	Beats     map[string]*Heartbeat // by replica
	// Rev holds the store's mod revision of each key; a key that is not there
	// does not exist. Claims are conditional on it.
	Rev map[Key]int64
}

// NewState returns an empty State.
func NewState() *State {
	return &State{
		Incidents: map[IncidentID]*Incident{}, Actions: map[ActionID]*Action{}, Targets: map[Target]*TargetState{},
		Budgets: map[string]*Spend{}, Policies: map[string]*PolicyState{}, Pages: map[string]*Page{},
		Beats: map[string]*Heartbeat{}, Rev: map[Key]int64{},
	}
}

// The store keys of the records of State.
const (
	IncidentPrefix = "incident/"
	ActionPrefix   = "action/"
	TargetPrefix   = "target/"
	BudgetPrefix   = "budget/"
	PolicyPrefix   = "policy/"
	PagePrefix     = "page/"
	BeatPrefix     = "heartbeat/"
	ControlsKey    = "controls"
	ActiveKey      = "config/active"
)

// IncidentKey is the store key of an incident.
func IncidentKey(id IncidentID) Key { return Key(IncidentPrefix + string(id)) }

// ActionKey is the store key of an action.
func ActionKey(id ActionID) Key { return Key(ActionPrefix + string(id)) }

// TargetKey is the store key of a target's state.
func TargetKey(t Target) Key { return Key(TargetPrefix + t.Key()) }

// BudgetKey is the store key of what was spent in a scope.
func BudgetKey(scope string) Key { return Key(BudgetPrefix + KeyPart(scope)) }

// PolicyKey is the store key of a policy's activation.
func PolicyKey(name string) Key { return Key(PolicyPrefix + KeyPart(name)) }

// PageKey is the store key of a page.
func PageKey(dedup string) Key { return Key(PagePrefix + KeyPart(dedup)) }

// BeatKey is the store key of a replica's heartbeat.
func BeatKey(replica string) Key { return Key(BeatPrefix + KeyPart(replica)) }

// TargetState is what is remembered of a target, whatever policy or incident
// touched it.
type TargetState struct {
	Target Target      `json:"target"`
	Holder ActionID    `json:"holder,omitempty"` // the action in flight; empty: free
	Last   ActionID    `json:"last,omitempty"`
	Acted  []time.Time `json:"acted,omitempty"` // wall times of claims, oldest first, pruned beyond the longest window
	// Ineffective counts the actions since the last one that helped, or since
	// it was released, that did not help. StoppedAt: automation has stopped.
	Ineffective int       `json:"ineffective,omitempty"`
	StoppedAt   time.Time `json:"stopped_at,omitzero"`
	Token       Token     `json:"token,omitempty"` // the last one used on it
	// Thrown is the action whose effect stands and was not taken back.
	Thrown ActionID `json:"thrown,omitempty"`
}

// Spend is what was spent of a budget.
type Spend struct {
	Scope string      `json:"scope"`
	Times []time.Time `json:"times"` // wall times of claims, oldest first
}

// PolicyState says since when a policy may act: only onsets seen after it.
type PolicyState struct {
	Name        string    `json:"name"`
	Hash        string    `json:"hash"`
	ActivatedAt time.Time `json:"activated_at"`
}

// ActiveConfig is the configuration that the cluster runs.
type ActiveConfig struct {
	Hash string    `json:"hash"`
	Seq  int64     `json:"seq"`
	At   time.Time `json:"at,omitzero"`
}

// Heartbeat says, for each detector, when its last good round was: all of its
// series were read, and each one that was ill is an incident by then.
type Heartbeat struct {
	Replica string               `json:"replica"`
	At      time.Time            `json:"at"`
	Good    map[string]time.Time `json:"good"`
}

// ControlKind is what a control does.
type ControlKind string

// The controls. Kill and Pause stop actions until they are lifted; the others
// are a person's word, given once.
const (
	Kill        ControlKind = "kill"
	Pause       ControlKind = "pause"
	Resume      ControlKind = "resume"      // lifts pauses, and the kill switch when its scope is "all"
	Release     ControlKind = "release"     // a target that automation had stopped on
	TakeBack    ControlKind = "undo"        // an incident's thrown switches that wait to be asked about
	Acknowledge ControlKind = "acknowledge" // a page, in the pager
)

// Control is one control that a person set.
type Control struct {
	Kind ControlKind `json:"kind"`
	// Scope is "all", "policy/NAME", "owner/NAME", "target/TARGET" or
	// "incident/ID".
	Scope  string    `json:"scope"`
	Until  time.Time `json:"until,omitzero"` // Pause: lifted by itself then; zero: by a person only
	Reason string    `json:"reason,omitempty"`
	Who    string    `json:"who"`
	At     time.Time `json:"at"`
}

// Controls are the controls in force, as one record, so that a claim can be
// conditional on none having been added.
type Controls struct {
	Killed *Control  `json:"killed,omitempty"`
	Pauses []Control `json:"pauses,omitempty"`
	Words  []Control `json:"words,omitempty"` // Undo and Acknowledge that were not carried out yet
}

// Page is one page to one owner, for one incident or for a group.
type Page struct {
	Key       string       `json:"key"` // dedup key at the pager
	Owner     string       `json:"owner"`
	Incidents []IncidentID `json:"incidents"` // that it speaks of and that are open
	Why       string       `json:"why"`
	Due       time.Time    `json:"due"` // not sent before: a group gathers until then
	// Want and Sent count the events asked for and the events that the pager
	// accepted; they differ while one is owed. Event is the one wanted last.
	Want  int       `json:"want"`
	Sent  int       `json:"sent"`
	Event PageEvent `json:"event"`
	Body  PageBody  `json:"body"`
	At    time.Time `json:"at"` // of the last change
	Error string    `json:"error,omitempty"`
}

// PageEvent is what a page tells the pager.
type PageEvent string

// The page events, as PagerDuty's Events API v2 names them.
const (
	PageTrigger     PageEvent = "trigger"
	PageAcknowledge PageEvent = "acknowledge"
	PageResolve     PageEvent = "resolve"
)

// PageBody is what a person reads on a page. Only listed fields leave the
// building: no log lines, no raw bodies.
type PageBody struct {
	Summary  string            `json:"summary"`  // cut to the pager's limit when it is sent
	Severity string            `json:"severity"` // critical, error, warning or info
	Source   string            `json:"source"`   // what is ill
	At       time.Time         `json:"at"`
	Evidence []string          `json:"evidence,omitempty"`
	Done     []string          `json:"done,omitempty"`   // what was done, oldest first
	Thrown   []Thrown          `json:"thrown,omitempty"` // what is thrown now
	Links    []Link            `json:"links,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// Thrown is one switch that stands where an action put it.
type Thrown struct {
	Action ActionID `json:"action"`
	What   string   `json:"what"`    // "read-endpoint is at replica-b (was replica-a)"
	ByHand string   `json:"by_hand"` // the command that takes it back
}
