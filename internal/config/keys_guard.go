package config

import (
	"time"

	"github.com/signalbox/signalbox/internal/kind"
)

// guardKeys are the guards across all policies.
type guardKeys struct {
	// The most actions of all policies together: "10/hour".
	Budget []rate `yaml:"budget,omitempty" default:"10/hour"`
	// The most actions in a scope, by scope: owner/NAME, class/A, kind/endpoint, policy/NAME or target/TARGET.
	Budgets map[string][]rate `yaml:"budgets,omitempty"`
	// Actions that did not help before automation stops on a target.
	Ineffective int `yaml:"ineffective,omitempty" jsonschema:"minimum=1" default:"2"`
	// How much of a whole may be touched at once, by name.
	BlastRadius map[string]blastKeys `yaml:"blast_radius,omitempty"`
	// What comes again and again.
	Flapping flappingKeys `yaml:"flapping,omitempty"`
	// Times in which nothing is thrown.
	Freeze []freezeKeys `yaml:"freeze,omitempty"`
	// Deploys and migrations: while one is under way nothing is thrown, but by policies that are for it.
	Changes []changeKeys `yaml:"changes,omitempty"`
	// How long what has dependencies waits whether they are ill too.
	DependWait kind.Duration `yaml:"depend_wait,omitempty" default:"15s"`
	// Whether who acknowledges a page takes the incident, so that automation yields.
	AcknowledgeTakes bool `yaml:"acknowledge_takes,omitempty"`
	// The source of kind alertmanager whose silences hold the incidents of all detectors.
	Silences string `yaml:"silences,omitempty"`
}

// blastKeys bounds how much of a whole is touched at once.
type blastKeys struct {
	// The detectors whose subjects are the whole, and whose incidents it is for.
	Detectors names `yaml:"detectors" jsonschema:"required"`
	// The labels whose values are a failure domain; absent: there is one.
	By names `yaml:"by,omitempty"`
	// The share of a domain's subjects: "20%".
	Share share `yaml:"share" jsonschema:"required"`
	// What is allowed whatever the share gives, so that small wholes work.
	Floor int `yaml:"floor,omitempty" jsonschema:"minimum=1" default:"1"`
	// The share of a domain that is ill beyond which nothing is thrown: a common cause, or a broken monitor.
	Mass share `yaml:"mass,omitempty" default:"50%"`
	// How long an action counts, beside those whose effect stands.
	Within kind.Duration `yaml:"within,omitempty" default:"1h"`
}

// flappingKeys bounds what comes again and again.
type flappingKeys struct {
	// How far is looked back, at most 7d.
	Window kind.Duration `yaml:"window,omitempty" default:"1h"`
	// From so many incidents of one subject on, each next one waits twice as long, a day at most.
	After int `yaml:"after,omitempty" jsonschema:"minimum=1" default:"3"`
	// The first wait.
	Pause kind.Duration `yaml:"pause,omitempty" default:"1m"`
	// From so many on automation stops, and pages; at most 100.
	Stop int `yaml:"stop,omitempty" jsonschema:"minimum=2,maximum=100" default:"6"`
}

// freezeKeys is a time in which nothing is thrown: from one moment to another, at
// times that recur as Alertmanager's time intervals do, or as a calendar says.
type freezeKeys struct {
	// What it is called.
	Name string `yaml:"name" jsonschema:"required"`
	// When it begins, in RFC 3339.
	From time.Time `yaml:"from,omitempty"`
	// When it ends, in RFC 3339.
	To time.Time `yaml:"to,omitempty"`
	// Times of the day.
	Times []timesKeys `yaml:"times,omitempty"`
	// Days of the week: "monday:friday", "saturday".
	Weekdays names `yaml:"weekdays,omitempty"`
	// Days of the month: "1:5", "-3:-1".
	DaysOfMonth names `yaml:"days_of_month,omitempty"`
	// Months: "december", "1:3".
	Months names `yaml:"months,omitempty"`
	// Years: "2026", "2026:2027".
	Years names `yaml:"years,omitempty"`
	// The time zone of what recurs, as IANA names it: Europe/Berlin; absent: UTC.
	Location string `yaml:"location,omitempty"`
	// An iCalendar (RFC 5545) whose events are the times.
	Calendar *calendarKeys `yaml:"calendar,omitempty"`
}

// timesKeys is a time of the day.
type timesKeys struct {
	// When it begins: "18:00".
	Start string `yaml:"start_time" jsonschema:"required"`
	// When it ends: "24:00".
	End string `yaml:"end_time" jsonschema:"required"`
}

// calendarKeys is where a calendar is.
type calendarKeys struct {
	// A file, relative to the configuration.
	File string `yaml:"file,omitempty"`
	// Its address, http or https.
	URL string `yaml:"url,omitempty" jsonschema:"format=uri"`
	// How often it is read again.
	Refresh kind.Duration `yaml:"refresh,omitempty" default:"15m"`
	// How old what was read may be: beyond it nothing is thrown.
	MaxAge kind.Duration `yaml:"max_age,omitempty" default:"24h"`
}

// changeKeys is a deploy or a migration that a detector sees under way.
type changeKeys struct {
	// What it is called.
	Name string `yaml:"name" jsonschema:"required"`
	// What it is.
	Kind string `yaml:"kind" jsonschema:"required,enum=deploy,enum=migration"`
	// The detector that is breached while it is under way.
	Detector string `yaml:"detector" jsonschema:"required"`
	// The subject that it is seen on, a template over the incident's labels; absent: any.
	Subject kind.Subject `yaml:"subject,omitempty"`
}
