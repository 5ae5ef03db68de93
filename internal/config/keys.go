package config

import (
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/policy"
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
	// Where is it read from, by name.
	Sources map[string]sourceKeys `yaml:"sources,omitempty"`
	// What is wrong? One incident a series.
	Detectors []detectorKeys `yaml:"detectors,omitempty"`
	// Prometheus' alerting rules, unchanged: each is a detector named GROUP/ALERT.
	RuleFiles []ruleFileKeys `yaml:"rule_files,omitempty"`
	// What may be thrown, by name, and the only positions that it has.
	Switches map[string]switchKeys `yaml:"switches,omitempty"`
	// What should be done? The first that matches an incident is taken.
	Policies []policyKeys `yaml:"policies,omitempty"`
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

// ownerKeys is who is paged, and one key of a remediator that says how.
type ownerKeys struct {
	// The person or rotation on duty, as people write it: "@be-lead".
	Primary string `yaml:"primary" jsonschema:"required"`
}

func (ownerKeys) later() []string { return []string{"backup", "acknowledge_within", "channel"} }

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

// healthKeys names the series that proves a position healthy.
type healthKeys struct {
	// The detector that sees it.
	Detector string `yaml:"detector" jsonschema:"required"`
	// Its subject for each position: "replica/{{position}}".
	Subject kind.Subject `yaml:"subject" jsonschema:"required"`
}

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
	// How far it may go by itself: record only, or act.
	Autonomy policy.Autonomy `yaml:"autonomy,omitempty" default:"shadow"`
	// What is done, in order.
	Runbook []stepKeys `yaml:"runbook" jsonschema:"required,minItems=1"`
	// How an effect is seen to help.
	Verify verifyKeys `yaml:"verify,omitempty"`
	// When what is temporary is taken back.
	Undo undoKeys `yaml:"undo,omitempty"`
	// Its own guards.
	Guards policyGuardKeys `yaml:"guards,omitempty"`
	// What is done when nothing may be, or nothing helped: the owner is paged.
	Otherwise string `yaml:"otherwise,omitempty" jsonschema:"enum=page" default:"page"`
}

// stepKeys is what every step has, beside the one key of a remediator that
// names its switch or owner.
type stepKeys struct {
	// The position that a switch is thrown to.
	To string `yaml:"to,omitempty"`
	// A condition in CEL that must hold when the step is taken.
	If string `yaml:"if,omitempty"`
}

func (stepKeys) later() []string {
	return []string{"announce", "throttle", "rollout", "job", "pipeline", "argocd", "terraform", "cdn", "statuspage", "webhook"}
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
	// The most actions in sliding windows: "3/day", "10/hour", "5/30m".
	Budget []rate `yaml:"budget,omitempty" default:"3/day"`
	// How many independent origins must see the breach before anything is thrown: "2 sources". Heard are the detectors of `on`, on the incident's subject, and the witnesses.
	Needs sources `yaml:"needs,omitempty"`
	// Detectors that corroborate, though their own incidents don't start this policy.
	Witnesses []witnessKeys `yaml:"witnesses,omitempty"`
}

func (policyGuardKeys) later() []string { return []string{"blast_radius"} }

// witnessKeys names a series that corroborates.
type witnessKeys struct {
	// The detector that sees it.
	Detector string `yaml:"detector" jsonschema:"required"`
	// The subject that it is seen on, a template over the incident's labels; absent: the incident's own.
	Subject kind.Subject `yaml:"subject,omitempty"`
}

// guardKeys are the guards across all policies.
type guardKeys struct {
	// The most actions of all policies together: "10/hour".
	Budget []rate `yaml:"budget,omitempty" default:"10/hour"`
	// Actions that did not help before automation stops on a target.
	Ineffective int `yaml:"ineffective,omitempty" jsonschema:"minimum=1" default:"2"`
	// Times in which nothing is thrown.
	Freeze []freezeKeys `yaml:"freeze,omitempty"`
}

func (guardKeys) later() []string { return []string{"blast_radius"} }

// freezeKeys is a time in which nothing is thrown.
type freezeKeys struct {
	// What it is called.
	Name string `yaml:"name" jsonschema:"required"`
	// When it begins, in RFC 3339.
	From time.Time `yaml:"from" jsonschema:"required"`
	// When it ends, in RFC 3339.
	To time.Time `yaml:"to" jsonschema:"required"`
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
