package pipeline

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Settings are the keys of a tool of this kind: one workflow of GitHub Actions.
type Settings struct {
	// A source of kind github, whose address and credentials are used; or url with credentials of its own.
	Source string `yaml:"source,omitempty" json:"source,omitempty"`
	// The address of the REST API: https://api.github.com, or https://HOST/api/v3 of GitHub Enterprise Server.
	URL string `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"format=uri"`
	// The repository, as owner/name.
	Repository string `yaml:"repository" json:"repository" jsonschema:"required"`
	// The workflow: its file name (deploy-prod.yml), or its id.
	Workflow string `yaml:"workflow" json:"workflow" jsonschema:"required"`
	// The branch or tag at which it is dispatched, for the move run.
	Ref string `yaml:"ref,omitempty" json:"ref,omitempty"`
	// Or the workflow of the same repository whose newest successful run says at which: smoke tests run at what was deployed.
	RefFrom string `yaml:"ref_from,omitempty" json:"ref_from,omitempty"`
	// Its inputs, at most 24.
	Inputs map[string]string `yaml:"inputs,omitempty" json:"inputs,omitempty"`
	// The input that carries the action's id, which the workflow's run-name shows.
	ActionInput string `yaml:"action_input,omitempty" json:"action_input,omitempty" default:"signalbox_action"`
	// Ask for the run's id with the answer; false for a GitHub Enterprise Server that does not know it.
	ReturnRunDetails bool `yaml:"return_run_details" json:"return_run_details" default:"true"`
	// What makes a tag the previous stable one, for the move previous.
	Stable *Stable `yaml:"stable,omitempty" json:"stable,omitempty"`
	// How the run that is under way is cancelled, for the move cancelled.
	Cancel *Cancel `yaml:"cancel,omitempty" json:"cancel,omitempty"`
	// The longest until a run that was dispatched is listed.
	Latency kind.Duration `yaml:"latency,omitempty" json:"latency,omitzero" default:"2m"`
	// How long a run may take before it is paged.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" default:"30m"`
	// HTTP holds the client's settings, beside url: credentials, TLS, proxy, headers.
	HTTP promconfig.HTTPClientConfig `yaml:",inline" json:",inline"`
}

// Stable says which tag is the previous stable one.
type Stable struct {
	// A regular expression (RE2) that the whole tag matches.
	TagPattern string `yaml:"tag_pattern" json:"tag_pattern" jsonschema:"required,format=regex"`
	// The workflow of the smoke tests, whose newest run on the tag must have passed.
	SmokeWorkflow string `yaml:"smoke_workflow" json:"smoke_workflow" jsonschema:"required"`
	// How long without a break it must have been in production.
	InProductionFor kind.Duration `yaml:"in_production_for,omitempty" json:"in_production_for,omitzero" default:"24h"`
	// How long ago the deploy that is taken for the failing one may have begun; absent: any time.
	DeployedWithin kind.Duration `yaml:"deployed_within,omitempty" json:"deployed_within,omitzero"`
	// The environment whose deployments must say so too; absent: the runs alone tell.
	Environment string `yaml:"environment,omitempty" json:"environment,omitempty"`
	// Paths (** crosses folders) whose change between the two versions needs a person's approval.
	Migrations []string `yaml:"migrations" json:"migrations" jsonschema:"required,minItems=1"`
	// The input that carries the tag too; absent: none.
	TagInput string `yaml:"tag_input,omitempty" json:"tag_input,omitempty"`
}

// Cancel says when a run must not be cancelled.
type Cancel struct {
	// The names of jobs and steps during which it is not cancelled: a statement that must not be cut off.
	NeverDuring []string `yaml:"never_during" json:"never_during" jsonschema:"required,minItems=1"`
}

const (
	defaultActionInput = "signalbox_action"
	defaultLatency     = 2 * time.Minute
	defaultTimeout     = 30 * time.Minute
	defaultProduction  = 24 * time.Hour
	mostInputs         = 24 // GitHub takes 25, and one is ours
)

func newSettings() *Settings {
	return &Settings{
		ActionInput: defaultActionInput, ReturnRunDetails: true, Latency: kind.Duration(defaultLatency), Timeout: kind.Duration(defaultTimeout),
		HTTP: promconfig.DefaultHTTPClientConfig,
	}
}

// moves are what a step may do with the tool as it is set.
func (s *Settings) moves() []string {
	var moves []string
	if s.Ref != "" || s.RefFrom != "" {
		moves = append(moves, moveRun)
	}
	if s.Stable != nil {
		moves = append(moves, movePrevious)
	}
	if s.Cancel != nil {
		moves = append(moves, moveCancelled)
	}
	return moves
}

var (
	partName  = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)
	flowName  = regexp.MustCompile(`^([A-Za-z0-9._-]{1,100}\.ya?ml|[1-9][0-9]{0,17})$`)
	inputName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,99}$`)
	refName   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+@-]{0,199}$`)
)

const (
	flowRule  = "must be the file name (deploy.yml) or the id of a workflow"
	inputRule = "must be the name of an input (letters, digits, '_' and '-')"
)

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	switch {
	case s.Source == "" && s.URL == "":
		fail("source", "must name a source of kind github, or url must be given", nil)
	case s.Source != "" && s.URL != "":
		fail("url", "must not be given together with source", s.URL)
	case s.URL != "":
		httpclient.ValidateURL(fail, "url", s.URL)
		if anonymous(s.HTTP) {
			fail("authorization", "must be given with url: credentials_file with the token", nil)
		}
	}
	httpclient.Validate(fail, &s.HTTP)
	owner, name, _ := strings.Cut(s.Repository, "/")
	for _, part := range []string{owner, name} {
		if !partName.MatchString(part) || part == "." || part == ".." {
			fail("repository", "must be owner/name, of letters, digits and . _ -", s.Repository)
			break
		}
	}
	if !flowName.MatchString(s.Workflow) {
		fail("workflow", flowRule, s.Workflow)
	}
	s.validateDispatch(fail)
	bounds := func(path string, d kind.Duration, most time.Duration) {
		if d.Std() <= 0 || d.Std() > most {
			fail(path, fmt.Sprintf("must be above 0 and at most %s", most), d.String())
		}
	}
	bounds("latency", s.Latency, time.Hour)
	bounds("timeout", s.Timeout, 24*time.Hour)
	if s.Stable != nil {
		s.Stable.validate(fail)
	}
	if s.Cancel != nil && len(s.Cancel.NeverDuring) == 0 {
		fail("cancel.never_during", "must name at least one job or step during which the run is not cancelled", nil)
	}
	if len(s.moves()) == 0 {
		fail("ref", "must be given, or ref_from, stable or cancel: there is nothing to do", nil)
	}
}

func (s *Settings) validateDispatch(fail kind.Fail) {
	if s.Ref != "" && !refName.MatchString(s.Ref) {
		fail("ref", "must be the name of one branch or tag", s.Ref)
	}
	if s.RefFrom != "" && !flowName.MatchString(s.RefFrom) {
		fail("ref_from", flowRule, s.RefFrom)
	}
	if s.Ref != "" && s.RefFrom != "" {
		fail("ref_from", "must not be given together with ref", s.RefFrom)
	}
	if !inputName.MatchString(s.ActionInput) {
		fail("action_input", inputRule, s.ActionInput)
	}
	if len(s.Inputs) > mostInputs {
		fail("inputs", fmt.Sprintf("must be at most %d", mostInputs), len(s.Inputs))
	}
	for name := range s.Inputs {
		if !inputName.MatchString(name) {
			fail("inputs", inputRule, name)
		}
	}
	if _, twice := s.Inputs[s.ActionInput]; twice {
		fail("inputs."+s.ActionInput, "must not be set: it carries the action's id", nil)
	}
}

func (s *Stable) validate(fail kind.Fail) {
	if _, err := regexp.Compile(s.TagPattern); err != nil || s.TagPattern == "" {
		fail("stable.tag_pattern", "must be a regular expression (RE2), like v\\d+\\.\\d+\\.\\d+", s.TagPattern)
	}
	if !flowName.MatchString(s.SmokeWorkflow) {
		fail("stable.smoke_workflow", flowRule, s.SmokeWorkflow)
	}
	if s.InProductionFor < 0 || s.InProductionFor.Std() > 90*24*time.Hour {
		fail("stable.in_production_for", "must be at most 90 days", s.InProductionFor.String())
	}
	if s.DeployedWithin < 0 || s.DeployedWithin.Std() > 90*24*time.Hour {
		fail("stable.deployed_within", "must be at most 90 days", s.DeployedWithin.String())
	}
	if len(s.Migrations) == 0 {
		fail("stable.migrations", "must list the paths of schema migrations", nil)
	}
	for i, glob := range s.Migrations {
		if glob == "" || !doublestar.ValidatePattern(glob) {
			fail(fmt.Sprintf("stable.migrations[%d]", i), "must be a pattern for paths, like db/migrations/**", glob)
		}
	}
	if s.TagInput != "" && !inputName.MatchString(s.TagInput) {
		fail("stable.tag_input", inputRule, s.TagInput)
	}
}

// anonymous reports whether requests would bear no credentials.
func anonymous(h promconfig.HTTPClientConfig) bool {
	return h.Authorization == nil && h.BasicAuth == nil && h.OAuth2 == nil && h.BearerTokenFile == "" && h.HTTPHeaders == nil
}
