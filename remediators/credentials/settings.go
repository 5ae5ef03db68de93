package credentials

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/signalbox/signalbox/internal/kind"
)

// The default of timeout and its bounds.
const (
	defaultTimeout = 5 * time.Minute
	leastTimeout   = 10 * time.Second
	mostTimeout    = time.Hour
)

// mostConsumers bounds what one look reads.
const mostConsumers = 20

// Place is what the tools in a cluster have.
type Place struct {
	// Source is the name of the source of kind kubernetes: the cluster.
	Source string `yaml:"source" json:"source" jsonschema:"required,minLength=1"`
	// Namespace is where the Secret and its consumers are.
	Namespace string `yaml:"namespace" json:"namespace" jsonschema:"required,maxLength=63"`
	// Consumers are the Deployments that use the Secret, at most 20: each must have been rolled out since the rotation.
	Consumers []string `yaml:"consumers" json:"consumers" jsonschema:"required,minItems=1,maxItems=20"`
	// Timeout is how long the cluster's controllers may take to fill in the new Secret before it is paged.
	Timeout kind.Duration `yaml:"timeout" json:"timeout" jsonschema:"default=5m"`
}

// Token is a tool: the token of a service account, in a Secret of type
// kubernetes.io/service-account-token.
type Token struct {
	Place `yaml:",inline"`
	// ServiceAccount is whose token it is.
	ServiceAccount string `yaml:"service_account" json:"service_account" jsonschema:"required,maxLength=253"`
	// Name is the name of the Secret whose token leaked.
	Name string `yaml:"name" json:"name" jsonschema:"required,maxLength=253"`
	// Replacement is the name of the Secret that is made in its place, and which consumers are to name.
	Replacement string `yaml:"replacement" json:"replacement" jsonschema:"required,maxLength=253"`
}

// Sealed is a tool: a SealedSecret (bitnami.com/v1alpha1), applied from a file.
type Sealed struct {
	Place `yaml:",inline"`
	// Name is the name of the SealedSecret and its Secret.
	Name string `yaml:"name" json:"name" jsonschema:"required,maxLength=253"`
	// File is the manifest of the new SealedSecret, read when the step is taken; a relative path begins at the configuration's folder.
	File string `yaml:"file" json:"file" jsonschema:"required,minLength=1"`
}

// AccessKey is a tool: an access key of an IAM user of AWS.
type AccessKey struct {
	// User is the name of the IAM user.
	User string `yaml:"user" json:"user" jsonschema:"required,minLength=1,maxLength=64"`
	// Leaked is the id of the access key that leaked (AKIA…), which is no secret.
	Leaked string `yaml:"leaked" json:"leaked" jsonschema:"required,minLength=16,maxLength=128"`
	// Region is the region whose endpoint is asked; IAM is global.
	Region string `yaml:"region" json:"region" jsonschema:"default=us-east-1"`
	// Endpoint is another address of the IAM API.
	Endpoint string `yaml:"endpoint" json:"endpoint,omitempty"`
	// CredentialsFile is a credentials file in AWS' form; absent: the SDK's own chain, with web identity and the instance's role.
	CredentialsFile string `yaml:"credentials_file" json:"credentials_file,omitempty"`
	// Profile is the profile in that file.
	Profile string `yaml:"profile" json:"profile" jsonschema:"default=default"`
	// UnusedFor is how long the key must not have been used before it is taken away.
	UnusedFor kind.Duration `yaml:"unused_for" json:"unused_for" jsonschema:"default=1h"`
}

// The default of unused_for and its bounds: IAM tells of a use some minutes
// late.
const (
	defaultUnused = time.Hour
	leastUnused   = 15 * time.Minute
	mostUnused    = 30 * 24 * time.Hour
)

func newAccessKey() *AccessKey {
	return &AccessKey{Region: "us-east-1", Profile: "default", UnusedFor: kind.Duration(defaultUnused)}
}

var (
	userName = regexp.MustCompile(`^[\w+=,.@-]{1,64}$`)
	keyID    = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
	region   = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
)

// Validate reports every rule that the settings break.
func (k *AccessKey) Validate(fail kind.Fail) {
	if !userName.MatchString(k.User) {
		fail("user", "must be the name of an IAM user (letters, digits and +=,.@_-, at most 64)", k.User)
	}
	if !keyID.MatchString(k.Leaked) {
		fail("leaked", "must be the id of an access key (16 or more upper-case letters and digits), never its secret", "what is given")
	}
	if !region.MatchString(k.Region) {
		fail("region", "must be a region of AWS", k.Region)
	}
	if k.Endpoint != "" {
		u, err := url.Parse(k.Endpoint)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			fail("endpoint", "must be a URL of http or https without credentials, query and fragment", "what is given")
		}
	}
	if k.Profile == "" {
		fail("profile", "must name a profile", k.Profile)
	}
	if d := k.UnusedFor.Std(); d < leastUnused || d > mostUnused {
		fail("unused_for", fmt.Sprintf("must be between %s and %s", leastUnused, mostUnused), k.UnusedFor)
	}
}

func newToken() *Token   { return &Token{Place: Place{Timeout: kind.Duration(defaultTimeout)}} }
func newSealed() *Sealed { return &Sealed{Place: Place{Timeout: kind.Duration(defaultTimeout)}} }

// Validate reports every rule that the settings break.
func (t *Token) Validate(fail kind.Fail) {
	t.check(fail)
	object(fail, "service_account", t.ServiceAccount)
	object(fail, "name", t.Name)
	object(fail, "replacement", t.Replacement)
	if t.Replacement != "" && t.Replacement == t.Name {
		fail("replacement", "must be another name than name: the old Secret stays until its consumers have left it", t.Replacement)
	}
}

// Validate reports every rule that the settings break.
func (s *Sealed) Validate(fail kind.Fail) {
	s.check(fail)
	object(fail, "name", s.Name)
	if s.File == "" {
		fail("file", "must be the path of the new SealedSecret's manifest", s.File)
	}
}

func (p *Place) check(fail kind.Fail) {
	if p.Source == "" {
		fail("source", "must name a source of kind kubernetes", p.Source)
	}
	if len(validation.IsDNS1123Label(p.Namespace)) > 0 {
		fail("namespace", "must be the name of a namespace (lower-case letters, digits and '-', at most 63)", p.Namespace)
	}
	if len(p.Consumers) == 0 || len(p.Consumers) > mostConsumers {
		fail("consumers", fmt.Sprintf("must name 1 to %d Deployments: without one nothing proves that the new credential is in use", mostConsumers), len(p.Consumers))
	}
	for i, c := range p.Consumers {
		path := fmt.Sprintf("consumers[%d]", i)
		object(fail, path, c)
		if slices.Contains(p.Consumers[:i], c) {
			fail(path, "must not be listed twice", c)
		}
	}
	if d := p.Timeout.Std(); d < leastTimeout || d > mostTimeout {
		fail("timeout", fmt.Sprintf("must be between %s and %s", leastTimeout, mostTimeout), p.Timeout)
	}
}

// object checks the name of an object.
func object(fail kind.Fail, path, name string) {
	if len(validation.IsDNS1123Subdomain(name)) > 0 {
		fail(path, "must be the name of an object (lower-case letters, digits, '-' and '.', at most 253)", name)
	}
}
