package config

import (
	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/people"
)

// The structs of this file are the keys of the configuration, as written. Their
// doc comments are the descriptions in the JSON Schema, `jsonschema` tags with
// "required" are checked when decoding, and `default` is what an absent key
// means. Each may name, in later, keys that the design knows and this version
// does not act on: those are refused, never accepted in silence.

type laterKeys interface{ later() []string }

// fileKeys is the whole configuration. In a directory each file may hold any
// part of it; mappings and lists of the same key are joined.
type fileKeys struct {
	// Owner of the detectors that name none.
	DefaultOwner string `yaml:"default_owner,omitempty"`
	// Who is paged, by name.
	Owners map[string]ownerKeys `yaml:"owners,omitempty"`
	// Whose an incident is, where neither it nor its detector says so: the first rule that agrees.
	Ownership []ownershipKeys `yaml:"ownership,omitempty"`
	// Who may do what with the daemon, by name.
	People map[string]people.Settings `yaml:"people,omitempty"`
	// Where is it read from, by name.
	Sources map[string]sourceKeys `yaml:"sources,omitempty"`
	// What is wrong? One incident a series.
	Detectors []detectorKeys `yaml:"detectors,omitempty"`
	// Prometheus' alerting rules, unchanged: each is a detector named GROUP/ALERT.
	RuleFiles []ruleFileKeys `yaml:"rule_files,omitempty"`
	// What may be thrown, by name, and the only positions that it has.
	Switches map[string]switchKeys `yaml:"switches,omitempty"`
	// What else runbooks use, by name: a job, a rollout, a channel.
	Tools map[string]toolKeys `yaml:"tools,omitempty"`
	// What should be done? The first that matches an incident is taken.
	Policies []policyKeys `yaml:"policies,omitempty"`
	// What is looked for around a new incident, for people: on the incident and on its page.
	Evidence []evidenceKeys `yaml:"evidence,omitempty"`
	// What depends on what: the actions on what depends wait while what it depends on is ill.
	DependsOn []dependencyKeys `yaml:"depends_on,omitempty"`
	// Guards across all policies.
	Guards guardKeys `yaml:"guards,omitempty"`
	// A request that leaves the daemon, so that its silence is noticed outside.
	Heartbeat heartbeatKeys `yaml:"heartbeat,omitempty"`
	// The daemon's own traces, over OTLP.
	Tracing tracingKeys `yaml:"tracing,omitempty"`
	// Where the journal's entries are told, beside the archive.
	Audit auditKeys `yaml:"audit,omitempty"`
}

func (fileKeys) later() []string { return nil }

// sourceKeys is what every source has, whatever its kind.
type sourceKeys struct {
	// The kind of the source.
	Kind string `yaml:"kind" jsonschema:"required"`
	// Unknown for longer is itself paged, once for the source.
	UnknownAfter kind.Duration `yaml:"unknown_after,omitempty" default:"5m"`
}

// detectorKeys is what every detector has, whatever its source.
type detectorKeys struct {
	// Its name, of which there is one.
	Name string `yaml:"name" jsonschema:"required"`
	// The source that it asks or that posts to it.
	Source string `yaml:"source" jsonschema:"required"`
	// The detector of the catalogue that it is: that entry's keys are defaults for the keys that are not given here.
	Catalog string `yaml:"catalog,omitempty"`
	// The parameters of the catalogue's detector, as its page has them.
	With map[string]any `yaml:"with,omitempty"`
	// What is ill: a template over the labels of a series, like "db/{{cluster}}".
	Subject kind.Subject `yaml:"subject" jsonschema:"required"`
	// The labels that its incidents keep; absent: all.
	Labels []string `yaml:"labels,omitempty"`
	// Who is paged; absent: default_owner.
	Owner string `yaml:"owner,omitempty"`
	// The time between two rounds of asking, at least 1s. Not for sources that post.
	Interval kind.Duration `yaml:"interval,omitempty" default:"15s"`
	// Unknown for longer is itself paged; absent: that of the source.
	UnknownAfter kind.Duration `yaml:"unknown_after,omitempty"`
	// Where a person sees more.
	Links []linkKeys `yaml:"links,omitempty"`
	// Who measures what it sees, for `needs`: detectors that name the same origin are one source. Absent: the server that is asked; for alerts, nobody is known.
	Origin string `yaml:"origin,omitempty"`
}

// ruleFileKeys includes Prometheus' alerting rules: those of files, or those of
// a cluster's PrometheusRule resources.
type ruleFileKeys struct {
	// The source that they ask, of kind prometheus.
	Source string `yaml:"source" jsonschema:"required"`
	// Rule files, relative to the configuration: paths, or patterns like "rules/*.yaml".
	Files names `yaml:"files,omitempty"`
	// The source of kind kubernetes whose PrometheusRule resources are included, instead of files.
	Cluster string `yaml:"cluster,omitempty"`
	// The namespaces of the resources; absent: all that the source sees.
	Namespaces []string `yaml:"namespaces,omitempty"`
	// Labels that the resources must have.
	Selector map[string]string `yaml:"selector,omitempty"`
	// What is ill: a template over an alert's labels, like "{{alertname}}/{{instance}}". A label that an alert does not have is left out.
	Subject kind.Subject `yaml:"subject" jsonschema:"required"`
	// Only the rules with these labels, alertname among them, as their files have them; absent: all.
	Match map[string]string `yaml:"match,omitempty"`
	// The labels that their incidents keep; absent: all.
	Labels []string `yaml:"labels,omitempty"`
	// Who is paged; absent: default_owner.
	Owner string `yaml:"owner,omitempty"`
	// Who measures what they see, for `needs`; absent: the server that is asked.
	Origin string `yaml:"origin,omitempty"`
	// The detector on the same source that proves, by its reading of the same subject, that an alert which has ended is well; absent: each rule's own expression without its comparisons.
	Verifier string `yaml:"verifier,omitempty"`
	// The interval of groups that have none: Prometheus' evaluation_interval.
	Interval kind.Duration `yaml:"interval,omitempty" default:"1m"`
	// Unknown for longer is itself paged; absent: that of the source.
	UnknownAfter kind.Duration `yaml:"unknown_after,omitempty"`
	// Where a person sees more, beside the links of the annotations.
	Links []linkKeys `yaml:"links,omitempty"`
	// $externalLabels in templates: Prometheus' external_labels.
	ExternalLabels map[string]string `yaml:"external_labels,omitempty"`
	// $externalURL in templates: Prometheus' --web.external-url.
	ExternalURL string `yaml:"external_url,omitempty" jsonschema:"format=uri"`
}

// linkKeys is a place where a person sees more.
type linkKeys struct {
	// What the link is called.
	Text string `yaml:"text" jsonschema:"required"`
	// Its address, http or https.
	Href string `yaml:"href" jsonschema:"required,format=uri"`
}

// switchKeys is what every switch has, beside the one key of a remediator that
// says where it is.
type switchKeys struct {
	// Who may take it back: by itself when the old position is healthy again,
	// on a person's word, or by hand only.
	Undo signalbox.UndoMode `yaml:"undo,omitempty" default:"ask"`
	// Its positions, at least two: the value of each by its name.
	Positions map[string]string `yaml:"positions" jsonschema:"required"`
	// Which series proves a position healthy.
	Health *healthKeys `yaml:"health,omitempty"`
}

// toolKeys is what every tool has, beside the one key of a remediator that says
// what it is.
type toolKeys struct {
	// Who may take back what was done with it, where that can be taken back:
	// by itself when its incident is over, on a person's word, or by hand only.
	Undo signalbox.UndoMode `yaml:"undo,omitempty" default:"ask"`
}

// healthKeys names the series that proves a position healthy.
type healthKeys struct {
	// The detector that sees it.
	Detector string `yaml:"detector" jsonschema:"required"`
	// Its subject for each position: "replica/{{position}}".
	Subject kind.Subject `yaml:"subject" jsonschema:"required"`
}

// heartbeatKeys is a request that leaves the daemon.
type heartbeatKeys struct {
	// Where it goes, http or https.
	URL string `yaml:"url" jsonschema:"required,format=uri"`
	// The time between two, at least 1s.
	Interval kind.Duration `yaml:"interval,omitempty" default:"30s"`
}

// tracingKeys is where the daemon's own traces go.
type tracingKeys struct {
	// The OTLP endpoint over HTTP, http or https.
	Endpoint string `yaml:"endpoint" jsonschema:"required,format=uri"`
	// The env attribute of each trace.
	Env string `yaml:"env,omitempty"`
}
