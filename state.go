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
	Approvals map[ApprovalID]*Approval
	Controls  Controls
	Active    ActiveConfig
	Store     StoreState
	Beats     map[string]*Heartbeat // by replica
	// Rev holds the store's mod revision of each key; a key that is not there
	// does not exist. Claims are conditional on it.
	Rev map[Key]int64

	subjects map[string]map[IncidentID]*Incident // open incidents by subject; follows from Incidents
	domains  map[string]map[Target]*TargetState  // targets by failure domain; follows from Targets
}

// NewState returns an empty State.
func NewState() *State {
	return &State{
		Incidents: map[IncidentID]*Incident{}, Actions: map[ActionID]*Action{}, Targets: map[Target]*TargetState{},
		Budgets: map[string]*Spend{}, Policies: map[string]*PolicyState{}, Pages: map[string]*Page{},
		Approvals: map[ApprovalID]*Approval{}, Beats: map[string]*Heartbeat{}, Rev: map[Key]int64{},
		subjects: map[string]map[IncidentID]*Incident{}, domains: map[string]map[Target]*TargetState{},
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
	ApprovalPrefix = "approval/"
	BeatPrefix     = "heartbeat/"
	ControlsKey    = "controls"
	ActiveKey      = "config/active"
	StoreKey       = "store"
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

// ApprovalKey is the store key of an approval.
func ApprovalKey(id ApprovalID) Key { return Key(ApprovalPrefix + KeyPart(string(id))) }

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
	// Hand is another's hand that was found on it: automation yields until a
	// person releases it.
	Hand *Hand `json:"hand,omitempty"`
	// Accepted is the position at which a hand was found that a person has released
	// since: automation goes on from there. Empty: none, or something was done since.
	Accepted string `json:"accepted,omitempty"`
	// Domains are the scopes of failure domains (Scope of Spend) in which what is
	// done to it counts: those of each action on it that is remembered in Acted, or
	// stands thrown, whichever policy was the last.
	Domains []string `json:"domains,omitempty"`
}

// Hand is a sign that somebody else threw a target: it is not where the last
// action left it.
type Hand struct {
	At    time.Time `json:"at"`
	Found string    `json:"found"` // plain words: "found at replica-a, left at replica-b by action …"
	// Position is where it was found.
	Position string `json:"position,omitempty"`
}

// Spend is what was spent of a budget.
type Spend struct {
	Scope string      `json:"scope"`
	Times []time.Time `json:"times"` // wall times of claims, oldest first
	// Items are, in a scope of ids, their keys (policy.ItemKey), one for each of
	// Times: the ledger by which none is taken twice.
	Items []string `json:"items,omitempty"`
}

// PolicyState says since when a policy may act (only on onsets seen after it),
// how far, and what became of what it did.
type PolicyState struct {
	Name        string    `json:"name"`
	Hash        string    `json:"hash"`
	ActivatedAt time.Time `json:"activated_at"`
	// Demoted is set when the policy lost autonomy by itself; it stays, also
	// across edits and restarts, until a person restores it.
	Demoted *Demotion    `json:"demoted,omitempty"`
	Record  PolicyRecord `json:"record,omitzero"`
}

// Demotion is the loss of a policy's autonomy.
type Demotion struct {
	To       Autonomy   `json:"to"` // as far as it may go now
	Why      string     `json:"why"`
	At       time.Time  `json:"at"`
	Incident IncidentID `json:"incident,omitempty"`
}

// PolicyRecord counts what a policy did since it was first seen, whatever its
// content was: what argues for its promotion, or against it.
type PolicyRecord struct {
	Since        time.Time `json:"since,omitzero"`
	Would        int       `json:"would,omitempty"`     // incidents on which it would have acted, in shadow
	Suggested    int       `json:"suggested,omitempty"` // plans that it paged
	Actions      int       `json:"actions,omitempty"`   // forward, that had an effect
	Recovered    int       `json:"recovered,omitempty"`
	NotRecovered int       `json:"not_recovered,omitempty"`
	Unverified   int       `json:"unverified,omitempty"`
	ByHand       int       `json:"by_hand,omitempty"` // taken back by a person while the incident was open
	Approved     int       `json:"approved,omitempty"`
	Denied       int       `json:"denied,omitempty"`
	Demotions    int       `json:"demotions,omitempty"`
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
	// Streaks are the breaches under way that are no incidents yet, under a
	// configuration: who leads next counts on.
	Config  string   `json:"config,omitempty"`
	Streaks []Streak `json:"streaks,omitempty"`
}

// Streak is a breach that has not lasted for long enough to be an incident: how
// long it was counted, up to its last look.
type Streak struct {
	Detector string        `json:"detector"`
	Series   string        `json:"series"`
	Held     time.Duration `json:"held"`
	OnsetAt  time.Time     `json:"onset_at"`
	WellAt   time.Time     `json:"well_at,omitzero"`
	LookedAt time.Time     `json:"looked_at"`
}

// SubjectKey names the open incidents on a subject, for Reads.
func SubjectKey(subject string) Key { return Key("fact/subject/" + KeyPart(subject)) }

// PutIncident takes an incident in, and keeps the index by subject.
func (s *State) PutIncident(i *Incident) {
	s.DropIncident(i.ID)
	s.Incidents[i.ID] = i
	if i.Closed() {
		return
	}
	if s.subjects[i.Reading.Subject] == nil {
		s.subjects[i.Reading.Subject] = map[IncidentID]*Incident{}
	}
	s.subjects[i.Reading.Subject][i.ID] = i
}

// DropIncident forgets an incident.
func (s *State) DropIncident(id IncidentID) {
	old := s.Incidents[id]
	if old == nil {
		return
	}
	delete(s.Incidents, id)
	delete(s.subjects[old.Reading.Subject], id)
	if len(s.subjects[old.Reading.Subject]) == 0 {
		delete(s.subjects, old.Reading.Subject)
	}
}

// OpenOn returns the open incidents on a subject, in no order; the map must not
// be changed.
func (s *State) OpenOn(subject string) map[IncidentID]*Incident { return s.subjects[subject] }

// PutTarget takes what is remembered of a target in, and keeps the index by
// failure domain.
func (s *State) PutTarget(t *TargetState) {
	s.DropTarget(t.Target)
	s.Targets[t.Target] = t
	for _, scope := range t.Domains {
		if s.domains[scope] == nil {
			s.domains[scope] = map[Target]*TargetState{}
		}
		s.domains[scope][t.Target] = t
	}
}

// DropTarget forgets a target.
func (s *State) DropTarget(t Target) {
	old := s.Targets[t]
	if old == nil {
		return
	}
	delete(s.Targets, t)
	for _, scope := range old.Domains {
		delete(s.domains[scope], t)
		if len(s.domains[scope]) == 0 {
			delete(s.domains, scope)
		}
	}
}

// InDomain returns the targets that count in a failure domain, in no order; the
// map must not be changed.
func (s *State) InDomain(scope string) map[Target]*TargetState { return s.domains[scope] }
