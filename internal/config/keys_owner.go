package config

import "github.com/signalbox/signalbox/internal/kind"

// ownerKeys is who is paged, one key of a remediator that says how, and at most
// one of a second channel.
type ownerKeys struct {
	// The person or rotation on duty, as people write it: "@be-lead".
	Primary string `yaml:"primary" jsonschema:"required"`
	// Who is paged when the primary does not acknowledge, as people write it.
	Backup string `yaml:"backup,omitempty"`
	// Who pages the next one when nobody acknowledges: the escalation policy of its PagerDuty service, or the daemon. Never both.
	Escalation string `yaml:"escalation" jsonschema:"required,enum=pagerduty,enum=daemon"`
	// How long a page may go unacknowledged before the daemon pages the next one.
	AcknowledgeWithin kind.Duration `yaml:"acknowledge_within,omitempty" default:"5m"`
	// The owner whose primary the daemon pages when nobody before acknowledged.
	LastResort string `yaml:"last_resort,omitempty"`
	// Owners that get communications on its incidents: what is ill, what was done, and the owner's word on when it will be over.
	Informs names `yaml:"informs,omitempty"`
}

func (ownerKeys) later() []string { return []string{"channel"} }

// ownershipKeys gives incidents to an owner: all that is given must agree. In
// patterns * stands for any text.
type ownershipKeys struct {
	// A pattern for the detector's name.
	Detector string `yaml:"detector,omitempty"`
	// Patterns for labels that the incident must have.
	Labels map[string]string `yaml:"labels,omitempty"`
	// A pattern for what is ill.
	Subject string `yaml:"subject,omitempty"`
	// A pattern for what an action touches: its owner is told, whosever the incident is.
	Target string `yaml:"target,omitempty"`
	// The owner.
	Owner string `yaml:"owner" jsonschema:"required"`
}

// dependencyKeys says that what is ill may be so for something else.
type dependencyKeys struct {
	// What depends: a subject in which {{name}} stands for any text without a slash, and * for any text.
	Subject string `yaml:"subject" jsonschema:"required"`
	// The subjects that it depends on, which may use the names of subject.
	On names `yaml:"on" jsonschema:"required"`
}
