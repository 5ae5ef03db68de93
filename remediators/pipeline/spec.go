package pipeline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/kind"
)

// spec is Step.Spec: all that a step needs. It holds no secret.
type spec struct {
	URL        string            `json:"url"`
	Client     string            `json:"client"` // the HTTP client configuration as YAML
	Owner      string            `json:"owner"`
	Repository string            `json:"repository"`
	Workflow   string            `json:"workflow"`
	Ref        string            `json:"ref,omitempty"`
	RefFrom    string            `json:"ref_from,omitempty"`
	Inputs     map[string]string `json:"inputs,omitempty"`
	ActionIn   string            `json:"action_input"`
	RunDetails bool              `json:"return_run_details,omitempty"`
	Stable     *Stable           `json:"stable,omitempty"`
	Cancel     *Cancel           `json:"cancel,omitempty"`
	Latency    kind.Duration     `json:"latency"`
	Timeout    kind.Duration     `json:"timeout"`
}

// connected is a source whose connection may be used.
type connected interface {
	Connection() (url string, client promconfig.HTTPClientConfig)
}

// resolve makes Step.Spec of a tool's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	s, ok := in.Settings.(*Settings)
	if !ok {
		return nil, fmt.Errorf("tool %q: must have the key github, got %q", in.Name, in.Backend)
	}
	address, client := s.URL, s.HTTP
	if s.Source != "" {
		var err error
		if address, client, err = ofSource(in, s.Source); err != nil {
			return nil, fmt.Errorf("tool %q: github.source %w", in.Name, err)
		}
	}
	yaml, err := portable(client, in.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("tool %q: github: %w", in.Name, err)
	}
	owner, name, _ := strings.Cut(s.Repository, "/")
	sp := spec{
		URL: address, Client: yaml, Owner: owner, Repository: name, Workflow: s.Workflow, Ref: s.Ref, RefFrom: s.RefFrom,
		Inputs: s.Inputs, ActionIn: s.ActionInput, RunDetails: s.ReturnRunDetails, Cancel: s.Cancel, Latency: s.Latency, Timeout: s.Timeout,
	}
	if s.Stable != nil {
		stable := *s.Stable
		stable.InProductionFor = cmp.Or(stable.InProductionFor, kind.Duration(defaultProduction))
		sp.Stable = &stable
	}
	return json.Marshal(sp)
}

func ofSource(in kind.SpecInput, source string) (string, promconfig.HTTPClientConfig, error) {
	if in.Source == nil {
		return "", promconfig.HTTPClientConfig{}, errors.New("names a source, and none is configured")
	}
	name, settings, ok := in.Source(source)
	c, isHub := settings.(connected)
	if !ok || name != "github" || !isHub {
		return "", promconfig.HTTPClientConfig{}, fmt.Errorf("must name a source of kind github, got %q", source)
	}
	address, client := c.Connection()
	if anonymous(client) {
		return "", client, fmt.Errorf("must name a source with credentials: %q has none", source)
	}
	return address, client, nil
}

// portable is the client's configuration with absolute paths, as YAML.
func portable(c promconfig.HTTPClientConfig, dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	client, err := promconfig.LoadHTTPConfig(c.String()) // a deep copy
	if err != nil {
		return "", errors.New("must be a valid HTTP client configuration")
	}
	client.SetDirectory(abs)
	return client.String(), nil
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
	if s.URL == "" || !partName.MatchString(s.Owner) || !partName.MatchString(s.Repository) || !flowName.MatchString(s.Workflow) {
		return spec{}, errors.New("step's spec must name an address, a repository and a workflow")
	}
	return s, nil
}
