package policy

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
)

// Autonomy is how far a policy may go by itself.
type Autonomy string

// The autonomies of this version.
const (
	Shadow Autonomy = "shadow" // decides and records, does nothing
	Auto   Autonomy = "auto"   // acts
)

// Rate bounds a count in a sliding window: 3 a day.
type Rate struct {
	N   int
	Per time.Duration
}

// Freeze is a time in which nothing is thrown.
type Freeze struct {
	Name     string
	From, To time.Time
}

// Detector is what a policy must know of a detector.
type Detector struct {
	Name  string
	Unit  signalbox.Unit // Seconds: a condition sees a duration, else a double
	Owner string
	// Fresh is the age of a sample beyond which a reading is not acted on; 0:
	// the default, 2m.
	Fresh time.Duration
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
}

// Config is what a Handbook is made of.
type Config struct {
	Hash         string // of the whole configuration
	Detectors    []Detector
	Policies     []Policy // in the order of the configuration: the first that matches is taken
	Budget       []Rate   // over all policies
	Freeze       []Freeze
	Ineffective  int           // actions that did not help before a target is stopped; 0: the default, 2
	ForecastAge  time.Duration // how old a forecast may be when it is acted on; 0: the default, 15s
	DefaultOwner string
}

// The defaults of Config.
const (
	defaultIneffective = 2
	defaultForecastAge = 15 * time.Second
	defaultFresh       = 2 * time.Minute
)

// World is a read-only view at one moment.
type World struct {
	State *signalbox.State
	Facts *signalbox.Facts
	Now   time.Time
}
