package cdn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	promconfig "github.com/prometheus/common/config"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// spec is Step.Spec: all that a purge needs. It holds no secret.
type spec struct {
	Vendor    string `json:"vendor"`
	URL       string `json:"url"`
	TokenFile string `json:"token_file"` // absolute
	ID        string `json:"id"`         // of the service or zone
	What      string `json:"what"`
	Soft      bool   `json:"soft,omitempty"`
	// Items are purged, or those of Values under the value of Label.
	Items  []string            `json:"items,omitempty"`
	Label  string              `json:"label,omitempty"`
	Values map[string][]string `json:"values,omitempty"`
}

// resolve makes Step.Spec of a tool's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	dir, err := filepath.Abs(in.ConfigDir)
	if err != nil {
		return nil, fmt.Errorf("tool %q: %w", in.Name, err)
	}
	sp := spec{Vendor: in.Backend}
	switch s := in.Settings.(type) {
	case *Fastly:
		sp.URL, sp.TokenFile, sp.ID, sp.What, sp.Soft, sp.Items = s.URL, s.TokenFile, s.Service, whatKeys, s.Soft, s.Keys
		if s.By != nil {
			sp.Label, sp.Values = s.By.Label, s.By.Values
		}
	case *Cloudflare:
		sp.URL, sp.TokenFile, sp.ID = s.URL, s.TokenFile, s.Zone
		for what, list := range s.lists() {
			if len(list) > 0 {
				sp.What, sp.Items = what, list
			}
		}
		if s.By != nil {
			sp.What, sp.Label, sp.Values = s.By.what(), s.By.Label, s.By.Values
		}
	default:
		return nil, fmt.Errorf("tool %q: must have the key fastly or cloudflare, got %q", in.Name, in.Backend)
	}
	sp.TokenFile = httpclient.In(dir, sp.TokenFile)
	return json.Marshal(sp)
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
	if s.Vendor != vendorFastly && s.Vendor != vendorCloudflare || s.ID == "" || s.What == "" || s.TokenFile == "" {
		return spec{}, errors.New("step's spec must name the vendor, a service or zone, what is purged and a token's file")
	}
	return s, nil
}

// client is the HTTP client's configuration, as YAML: the vendor's header with
// the token.
func (s spec) client() string {
	c := promconfig.DefaultHTTPClientConfig
	c.FollowRedirects = false
	if s.Vendor == vendorFastly {
		c.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"Fastly-Key": {Files: []string{s.TokenFile}}}}
	} else {
		c.Authorization = &promconfig.Authorization{Type: "Bearer", CredentialsFile: s.TokenFile}
	}
	return c.String()
}

// chosen is what is purged. refused says why nothing may be.
func (s spec) chosen(about *signalbox.About) (items []string, refused string) {
	if s.Label == "" {
		return s.Items, ""
	}
	if about == nil || about.Labels[s.Label] == "" {
		return nil, fmt.Sprintf("the incident has no label %s, by which it is chosen what is purged: keep it in the detector's labels", s.Label)
	}
	value := about.Labels[s.Label]
	items, ok := s.Values[value]
	if !ok {
		return nil, fmt.Sprintf("by.values lists nothing for %s=%s", s.Label, strconv.Quote(shown(value)))
	}
	return items, ""
}
