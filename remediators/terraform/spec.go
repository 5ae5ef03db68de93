package terraform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// spec is Step.Spec: all that a throw needs. It holds no secret.
type spec struct {
	URL           string            `json:"url"`
	TokenFile     string            `json:"token_file"` // absolute
	Organization  string            `json:"organization"`
	Workspace     string            `json:"workspace"`
	Variable      string            `json:"variable"`
	Category      string            `json:"category"`
	HCL           bool              `json:"hcl,omitempty"`
	AutoApply     bool              `json:"auto_apply,omitempty"`
	OnlyResources []string          `json:"only_resources,omitempty"`
	AllowDestroy  bool              `json:"allow_destroy,omitempty"`
	Timeout       kind.Duration     `json:"timeout"`
	Latency       kind.Duration     `json:"latency"`
	Positions     map[string]string `json:"positions"`
	// Expect is the value that an undo takes back: when another is found, it is
	// not ours to take back. Nil: a throw.
	Expect *string `json:"expect,omitempty"`
}

// resolve makes Step.Spec of a switch's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	s, ok := in.Settings.(*Settings)
	if !ok {
		return nil, fmt.Errorf("switch %q: must have the key terraform, got %q", in.Name, in.Backend)
	}
	dir, err := filepath.Abs(in.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("switch %q: %w", in.Name, err)
	}
	if err := checkPositions(in.Positions); err != nil {
		return nil, fmt.Errorf("switch %q: %w", in.Name, err)
	}
	return json.Marshal(spec{
		URL: s.URL, TokenFile: httpclient.In(dir, s.TokenFile), Organization: s.Organization, Workspace: s.Workspace,
		Variable: s.Variable, Category: s.Category, HCL: s.HCL, AutoApply: s.AutoApply, OnlyResources: s.OnlyResources,
		AllowDestroy: s.AllowDestroy, Timeout: s.Timeout, Latency: s.Latency, Positions: in.Positions,
	})
}

// checkPositions refuses what would make a value found ambiguous, and secrets:
// values stand in journals and pages.
func checkPositions(positions map[string]string) error {
	if len(positions) == 0 {
		return errors.New("positions must list at least one")
	}
	names := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(positions)) {
		value := positions[name]
		if value == "" || reach.Shown(value) != value {
			return fmt.Errorf("positions.%s must not be empty, hold no password, have at most %d bytes and print on one line", name, reach.MaxShown)
		}
		if other, taken := names[value]; taken {
			return fmt.Errorf("positions.%s and positions.%s must have different values, both are %q", other, name, value)
		}
		names[value] = name
	}
	return nil
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
	if !plainName.MatchString(s.Organization) || !plainName.MatchString(s.Workspace) || !varName.MatchString(s.Variable) || s.TokenFile == "" {
		return spec{}, errors.New("step's spec must name an organization, a workspace, a variable and a token's file")
	}
	if s.AutoApply && len(s.OnlyResources) == 0 {
		return spec{}, errors.New("step's spec must say what a plan may change: it is applied without a person")
	}
	return s, checkPositions(s.Positions)
}

// position names the listed position that has the value; empty: none.
func (s spec) position(value string) string {
	for name, v := range s.Positions {
		if v == value {
			return name
		}
	}
	return ""
}

func (s spec) target() signalbox.Target {
	return signalbox.Target("terraform workspace " + s.Organization + "/" + s.Workspace)
}

// client is the HTTP client's configuration, as YAML.
func (s spec) client() string {
	c := promconfig.DefaultHTTPClientConfig
	c.FollowRedirects = false
	c.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: s.TokenFile}
	return c.String()
}

// link is where a person sees a run, or with "" the workspace.
func (s spec) link(run string) string {
	address := s.URL + "/app/" + s.Organization + "/workspaces/" + s.Workspace
	if run != "" {
		address += "/runs/" + run
	}
	return address
}

// byHand is the command that puts value into the variable.
func (s spec) byHand(workspace, variable, value string) string {
	body, _ := json.Marshal(map[string]any{"data": map[string]any{"type": "vars", "attributes": map[string]any{"value": value}}})
	return fmt.Sprintf(`curl -fsS -X PATCH -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/vnd.api+json' -d %s %s, then start a run at %s`,
		reach.Quote(string(body)), reach.Quote(s.URL+"/api/v2/workspaces/"+workspace+"/vars/"+variable), s.link(""))
}
