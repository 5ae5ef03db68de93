package argocd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
)

// Settings are the keys of a tool of this kind: one Application.
type Settings struct {
	// The source of kind kubernetes: the cluster that the Application is in.
	Source string `yaml:"source" json:"source" jsonschema:"required,minLength=1"`
	// The namespace of the Application.
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty" default:"argocd"`
	// The name of the Application.
	Application string `yaml:"application" json:"application" jsonschema:"required"`
	// How long without a break a revision must have been deployed to be gone back to.
	DeployedFor kind.Duration `yaml:"deployed_for,omitempty" json:"deployed_for,omitzero" default:"24h"`
	// Whether a sync deletes what is no longer in Git.
	Prune bool `yaml:"prune,omitempty" json:"prune,omitempty"`
	// How long an operation may take before it is paged.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" default:"15m"`
}

func newSettings() *Settings {
	return &Settings{Namespace: "argocd", DeployedFor: kind.Duration(24 * time.Hour), Timeout: kind.Duration(15 * time.Minute)}
}

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	if s.Source == "" {
		fail("source", "must name a source of kind kubernetes", s.Source)
	}
	if e := validation.IsDNS1123Label(s.Namespace); len(e) > 0 {
		fail("namespace", "must be the name of a namespace (lower-case letters, digits and '-', at most 63)", s.Namespace)
	}
	if e := validation.IsDNS1123Subdomain(s.Application); len(e) > 0 {
		fail("application", "must be the name of an Application (lower-case letters, digits, '-' and '.', at most 253)", s.Application)
	}
	if s.DeployedFor < 0 || s.DeployedFor.Std() > 90*24*time.Hour {
		fail("deployed_for", "must be at most 90 days", s.DeployedFor.String())
	}
	if s.Timeout <= 0 || s.Timeout.Std() > 24*time.Hour {
		fail("timeout", "must be above 0 and at most 24h", s.Timeout.String())
	}
}

// spec is Step.Spec: all that a step needs. It holds no secret.
type spec struct {
	Kubeconfig  string        `json:"kubeconfig,omitempty"` // absolute
	InCluster   bool          `json:"in_cluster,omitempty"`
	Namespace   string        `json:"namespace"`
	Application string        `json:"application"`
	DeployedFor kind.Duration `json:"deployed_for"`
	Prune       bool          `json:"prune,omitempty"`
	Timeout     kind.Duration `json:"timeout"`
	// Restore is, for an undo, automated.enabled as it was found; null: it was
	// not there, which is on.
	Restore json.RawMessage `json:"restore,omitempty"`
}

// resolve makes Step.Spec of a tool's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	s, ok := in.Settings.(*Settings)
	if !ok || in.Source == nil {
		return nil, fmt.Errorf("tool %q: must have the key argocd and a source of kind kubernetes", in.Name)
	}
	name, settings, ok := in.Source(s.Source)
	source, isCluster := settings.(*cluster.Settings)
	if !ok || name != cluster.Kind || !isCluster {
		return nil, fmt.Errorf("tool %q: argocd.source must name a source of kind kubernetes, got %q", in.Name, s.Source)
	}
	access, err := source.Resolve(in.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("source %q: %w", s.Source, err)
	}
	return json.Marshal(spec{
		Kubeconfig: access.Kubeconfig, InCluster: access.InCluster, Namespace: s.Namespace, Application: s.Application,
		DeployedFor: s.DeployedFor, Prune: s.Prune, Timeout: s.Timeout,
	})
}

// parseSpec reads Step.Spec strictly: a key that this version does not know may
// be a limit that it would not keep.
func parseSpec(raw json.RawMessage) (spec, error) {
	var s spec
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return spec{}, fmt.Errorf("step's spec can't be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return spec{}, errors.New("step's spec can't be read: more than one value")
	}
	if len(validation.IsDNS1123Label(s.Namespace)) > 0 || len(validation.IsDNS1123Subdomain(s.Application)) > 0 {
		return spec{}, errors.New("step's spec must name a namespace and an application")
	}
	return s, nil
}
