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
	// Fresh is the age of a sample beyond which a reading is not acted on.
	Fresh time.Duration
}

// Policy is one policy, resolved.
type Policy struct {
	Name         string
	On           []string          // detectors, by name
	Match        map[string]string // labels that must be equal
	When         string            // CEL over value, labels, subject, destination; empty: always
	Autonomy     Autonomy
	Runbook      []signalbox.Step // in order, with If and Health filled in
	Verify       signalbox.Witness
	VerifyWithin time.Duration
	AfterHealthy time.Duration
	Cooldown     time.Duration
	Budget       []Rate
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

// World is a read-only view at one moment.
type World struct {
	State *signalbox.State
	Facts *signalbox.Facts
	Now   time.Time
}
