package terraform

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is the remediator that throws a variable of a workspace. Its switches
// are thrown with flip.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:     "terraform",
		Backends: map[string]func() kind.Settings{backend: func() kind.Settings { return newSettings() }},
		Spec:     resolve,
		Open:     open,
	}
}

const (
	backend        = "terraform"
	defaultURL     = "https://app.terraform.io"
	defaultLatency = 30 * time.Second
	defaultTimeout = 30 * time.Minute
	mostPatterns   = 100
)

// Categories of a variable.
const (
	categoryTerraform = "terraform"
	categoryEnv       = "env"
)

// Settings are the keys of a switch that is a variable of a workspace.
type Settings struct {
	// Where Terraform is, without /api/v2. Plain http is for this machine only.
	URL string `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"format=uri" default:"https://app.terraform.io"`
	// File that holds the API token of a team or user; read at each use.
	TokenFile string `yaml:"token_file" json:"token_file" jsonschema:"required"`
	// The organization.
	Organization string `yaml:"organization" json:"organization" jsonschema:"required"`
	// The workspace, by its name.
	Workspace string `yaml:"workspace" json:"workspace" jsonschema:"required"`
	// The variable, which must exist, must not be sensitive, and must hold a listed value.
	Variable string `yaml:"variable" json:"variable" jsonschema:"required"`
	// What the variable is.
	Category string `yaml:"category,omitempty" json:"category,omitempty" jsonschema:"enum=terraform,enum=env" default:"terraform"`
	// The value is an expression of HCL, and not a plain string.
	HCL bool `yaml:"hcl" json:"hcl" default:"false"`
	// The daemon applies the plan by itself once it has checked it; else a person confirms it at Terraform.
	AutoApply bool `yaml:"auto_apply" json:"auto_apply" default:"false"`
	// The addresses of the resources that a plan may change; * stands for any text. Required with auto_apply.
	OnlyResources []string `yaml:"only_resources,omitempty" json:"only_resources,omitempty"`
	// A plan may also destroy or replace such resources.
	AllowDestroy bool `yaml:"allow_destroy" json:"allow_destroy" default:"false"`
	// How long a run may take before it is paged.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" default:"30m"`
	// The longest until a write that arrived can be read back.
	Latency kind.Duration `yaml:"latency,omitempty" json:"latency,omitzero" default:"30s"`
}

func newSettings() *Settings {
	return &Settings{URL: defaultURL, Category: categoryTerraform, Timeout: kind.Duration(defaultTimeout), Latency: kind.Duration(defaultLatency)}
}

var (
	plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,90}$`)
	varName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,199}$`)
)

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	httpclient.ValidateURL(fail, "url", s.URL)
	if u, err := url.Parse(s.URL); err == nil && u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		fail("url", "must be https: plain http would show the token, and is accepted for this machine only", u.Redacted())
	}
	if s.TokenFile == "" {
		fail("token_file", "must name the file that holds the token", nil)
	}
	if !plainName.MatchString(s.Organization) {
		fail("organization", "must be the name of an organization (letters, digits, '-' and '_')", s.Organization)
	}
	switch {
	case strings.HasPrefix(s.Workspace, "ws-"):
		fail("workspace", "must be the name of a workspace, not its id", s.Workspace)
	case !plainName.MatchString(s.Workspace):
		fail("workspace", "must be the name of a workspace (letters, digits, '-' and '_')", s.Workspace)
	}
	if !varName.MatchString(s.Variable) {
		fail("variable", "must be the name of a variable", s.Variable)
	}
	if s.Category != categoryTerraform && s.Category != categoryEnv {
		fail("category", "must be terraform or env", s.Category)
	}
	if s.HCL && s.Category == categoryEnv {
		fail("hcl", "must be false for an environment variable", s.HCL)
	}
	if s.AutoApply && len(s.OnlyResources) == 0 {
		fail("only_resources", "is required with auto_apply: what a plan may change by itself", nil)
	}
	if len(s.OnlyResources) > mostPatterns {
		fail("only_resources", fmt.Sprintf("must be at most %d", mostPatterns), len(s.OnlyResources))
	}
	for i, p := range s.OnlyResources {
		if strings.TrimSpace(p) != p || strings.Trim(p, "*.") == "" {
			fail(fmt.Sprintf("only_resources[%d]", i), "must be the address of a resource, with * for any text, and not everything", p)
		}
	}
	bounds := func(path string, d kind.Duration, most time.Duration) {
		if d.Std() <= 0 || d.Std() > most {
			fail(path, fmt.Sprintf("must be above 0 and at most %s", most), d.String())
		}
	}
	bounds("timeout", s.Timeout, 24*time.Hour)
	bounds("latency", s.Latency, time.Hour)
}
