package policy

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Autonomy is how far a policy may go by itself.
type Autonomy = signalbox.Autonomy

// The autonomies, from the least.
const (
	Shadow  = signalbox.AutonomyShadow
	Suggest = signalbox.AutonomySuggest
	Approve = signalbox.AutonomyApprove
	Auto    = signalbox.AutonomyAuto
)

// Rate bounds a count in a sliding window: 3 a day. Time without any spends
// nothing in advance: in no window are there ever more than N.
type Rate struct {
	N   int
	Per time.Duration
	// Burst bounds how many of the N may come close together: in Burst/N of
	// Per; 0: all of them.
	Burst int
}

// ScopedRates are the rates of one scope.
type ScopedRates struct {
	Scope string // "owner/NAME", "class/A", "kind/NAME", "target/TARGET"
	Rates []Rate
}

// Freeze is a time in which nothing is thrown: from one moment to another, at
// recurring times, or as a calendar says. Exactly one of them is given.
type Freeze struct {
	Name     string
	From, To time.Time
	Covers   func(time.Time) bool `json:"-"` // recurring, to the minute; pure
	Times    string               // recurring: when, for people
	// Ends is when what Covers a moment ends; zero: not for days. Pure.
	Ends     func(time.Time) time.Time `json:"-"`
	Calendar string                    // name of a calendar among the facts
	// CalendarAge is how old a calendar may be that is relied on.
	CalendarAge time.Duration
}

// Blast bounds how much of a whole may be touched at once, in each failure
// domain: a share of the subjects that a detector sees, and at least Floor.
type Blast struct {
	Name      string
	Detectors []string // whose subjects are the whole, and whose incidents it is for
	By        []string // labels whose values are the failure domain; empty: one domain
	Share     float64  // of the subjects, 0 to 1
	Floor     int      // allowed whatever the share gives, at least 1
	// Mass is the share of subjects that are ill beyond which nothing is
	// thrown: so many at once are a common cause, or a broken monitor. 0: none.
	Mass float64
	// Within is how long an action counts, beside those in flight and those
	// whose effect stands.
	Within time.Duration
}

// Flapping bounds what comes again and again: the incidents of one subject, and
// the actions on one target. The zero value takes the defaults.
type Flapping struct {
	Window time.Duration // looked back; 0: 1h; at most MaxFlapWindow
	After  int           // from so many on, each next one waits twice as long, a day at most; 0: 3
	Pause  time.Duration // of the first wait; 0: 1m
	Stop   int           // from so many on automation stops and pages; 0: 6; at most MaxFlapStop
}

// Dependency says that subjects depend on others: while one of those is ill,
// they are not acted on. Labels in {{ }} of Subject match any text without a
// slash, and fill the same labels in On.
type Dependency struct {
	Subject string
	On      []string
}

// Change is a deploy or a migration that a detector sees under way: while its
// witness is breached, nothing is thrown but by policies that are meant for it.
type Change struct {
	Name      string
	Migration bool
	Detector  string
	// Subject is seen on the incident's labels; empty: any subject of Detector.
	Subject string
}

// Owner is what a decision must know of who is paged.
type Owner struct {
	Name string
	// Escalates says that the daemon pages the next rung itself; else the
	// pager does it by a policy of its own.
	Escalates         bool
	AcknowledgeWithin time.Duration // before the next rung is paged
	Backup            bool          // there is one
	LastResort        string        // the owner that is paged at the end; empty: none
	// Informs are owners that get communications on its incidents.
	Informs []string
}

// OwnerRule gives incidents to an owner: those for which all that is given
// agrees. * in a pattern stands for any text.
type OwnerRule struct {
	Detector string            // pattern
	Labels   map[string]string // patterns
	Subject  string            // pattern
	Target   string            // pattern: of what an action touches; its owner is told
	Owner    string
}

// Detector is what a policy must know of a detector.
type Detector struct {
	Name  string
	Unit  signalbox.Unit // Seconds: a condition sees a duration, else a double
	Owner string
	// Fresh is the age of a sample beyond which a reading is not acted on; 0:
	// the default, 2m.
	Fresh time.Duration
	// Interval is how often it is asked; 0: it is told, and not asked.
	Interval time.Duration
}

// Policy is one policy, resolved.
type Policy struct {
	Name     string
	On       []string          // detectors, by name
	Match    map[string]string // labels that must be equal
	When     string            // CEL, see CheckWhen; empty: always
	Autonomy Autonomy
	// Runbook is in order, with If and Health filled in. A Health or Verify
	// subject may name labels of the incident: "reads/{{cluster}}".
	Runbook      []signalbox.Step
	Verify       signalbox.Witness // zero: the incident's own series
	VerifyWithin time.Duration
	AfterHealthy time.Duration
	Cooldown     time.Duration
	Budget       []Rate
	// Needs is how many independent origins must see the breach before
	// anything is thrown; up to 1: its own series is enough. The detectors of
	// On are heard on the incident's subject, and Witnesses beside them.
	Needs     int
	Witnesses []signalbox.Witness
	// ApproveWithin is how long a request for approval stands; 0: the default,
	// 30m. TwoPersons: not by the one who set the step in motion.
	ApproveWithin time.Duration
	TwoPersons    bool
	// During are the changes in which alone it acts; Ignores those that do not
	// hold it back.
	During, Ignores []string
}

// Config is what a Handbook is made of.
type Config struct {
	Hash       string // of the whole configuration
	Detectors  []Detector
	Policies   []Policy // in the order of the configuration: the first that matches is taken
	Budget     []Rate   // over all policies
	Budgets    []ScopedRates
	Freeze     []Freeze
	Blast      []Blast
	Flapping   Flapping
	Depends    []Dependency
	DependWait time.Duration // what has dependencies waits for so long whether they are ill too; 0: the default, 15s
	Changes    []Change
	Owners     []Owner
	Ownership  []OwnerRule    // the first that agrees is taken
	Approvers  map[string]int // policy to how many people may approve it
	// AcknowledgeTakes says that a person who acknowledges a page takes the
	// incident: automation yields until it is released.
	AcknowledgeTakes bool
	Silences         bool          // Alertmanager's silences hold the incidents of all detectors
	Ineffective      int           // actions that did not help before a target is stopped; 0: the default, 2
	ForecastAge      time.Duration // how old a forecast may be when it is acted on; 0: the default, 15s
	DefaultOwner     string
}

// The defaults of Config.
const (
	defaultIneffective = 2
	defaultForecastAge = 15 * time.Second
	defaultFresh       = 2 * time.Minute
	defaultDependWait  = 15 * time.Second
	defaultApprove     = 30 * time.Minute
)

// World is a read-only view at one moment.
type World struct {
	State *signalbox.State
	Facts *signalbox.Facts
	Now   time.Time
	// Unseen are the detectors whose first round since the daemon's start is
	// still to come: that they say nothing is no answer yet. Nil: none.
	Unseen map[string]bool
}
