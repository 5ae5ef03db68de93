package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// spec is Step.Spec: all that a step needs. Secrets stand in it as files.
type spec struct {
	URL         string         `json:"url,omitempty"`
	URLFile     string         `json:"url_file,omitempty"`
	Client      string         `json:"client"` // the HTTP client configuration as YAML
	Method      string         `json:"method"`
	ContentType string         `json:"content_type"`
	Body        string         `json:"body,omitempty"`
	Labels      []string       `json:"labels,omitempty"`
	Key         string         `json:"idempotency_header,omitempty"`
	Retains     kind.Duration  `json:"retains,omitempty"`
	Signature   *signatureSpec `json:"signature,omitempty"`
	Expect      []int          `json:"expect"`
	Networks    []netip.Prefix `json:"networks,omitempty"`
	Approval    bool           `json:"approval,omitempty"`
}

type signatureSpec struct {
	Header    string `json:"header"`
	Prefix    string `json:"prefix,omitempty"`
	KeyFile   string `json:"key_file"`
	Timestamp string `json:"timestamp_header,omitempty"`
}

// resolve makes Step.Spec of a tool's settings.
func resolve(in kind.SpecInput) (json.RawMessage, error) {
	s, ok := in.Settings.(*Settings)
	if !ok {
		return nil, fmt.Errorf("tool %q: must have the key webhook, got %q", in.Name, in.Backend)
	}
	dir, err := filepath.Abs(in.ConfigDir)
	if err != nil {
		return nil, err
	}
	client, err := promconfig.LoadHTTPConfig(s.HTTP.String()) // a deep copy
	if err != nil {
		return nil, fmt.Errorf("tool %q: webhook: must be a valid HTTP client configuration", in.Name)
	}
	client.SetDirectory(dir)
	client.FollowRedirects = false
	sp := spec{
		URL: s.URL, URLFile: httpclient.In(dir, s.URLFile), Client: client.String(), Method: s.Method, ContentType: s.ContentType,
		Body: s.Body, Labels: s.Labels, Key: s.IdempotencyHeader, Retains: s.Retains, Expect: s.Expect, Approval: s.Approval == approvalNeeded,
	}
	if g := s.Signature; g != nil {
		sp.Signature = &signatureSpec{Header: g.Header, Prefix: defaultPrefix, KeyFile: httpclient.In(dir, g.KeyFile), Timestamp: g.TimestampHeader}
		if g.Prefix != nil {
			sp.Signature.Prefix = *g.Prefix
		}
	}
	for _, network := range s.Networks {
		p, err := netip.ParsePrefix(network)
		if err != nil {
			return nil, fmt.Errorf("tool %q: webhook.networks must list networks, got %q", in.Name, network)
		}
		sp.Networks = append(sp.Networks, p)
	}
	return json.Marshal(sp)
}

// parseSpec reads Step.Spec strictly: a key that this version does not know may
// be a limit that it would not keep.
func parseSpec(raw json.RawMessage) (*spec, error) {
	var s spec
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("step's spec can't be read: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("step's spec can't be read: more than one value")
	}
	if (s.URL == "") == (s.URLFile == "") || s.Method == "" || len(s.Expect) == 0 {
		return nil, errors.New("step's spec must name an address, a method and what is expected")
	}
	return &s, nil
}

// address is where the request goes. Its errors don't repeat it.
func (s *spec) address() (*url.URL, error) {
	text := s.URL
	if s.URLFile != "" {
		raw, err := secret(s.URLFile)
		if err != nil {
			return nil, fmt.Errorf("url_file: %w", err)
		}
		text = string(raw)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || unusual(u.Hostname()) {
		return nil, errors.New("the address must be one of http or https, without credentials, its host in the usual form")
	}
	return u, nil
}

// shown is the address for people: without path where it is a secret.
func (s *spec) shown(u *url.URL) string {
	if s.URLFile != "" {
		return u.Scheme + "://" + u.Host
	}
	return reach.Shown(s.URL)
}

// target is what the step locks.
func (s *spec) target(name string) string {
	if u, err := url.Parse(s.URL); err == nil && s.URL != "" {
		return "webhook " + u.Scheme + "://" + strings.ToLower(u.Host) + u.EscapedPath()
	}
	return "webhook " + name
}

// secret reads a file, without the white space at its end.
func secret(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if raw = bytes.TrimRight(raw, " \t\r\n"); len(raw) == 0 {
		return nil, fmt.Errorf("%s is empty", path)
	}
	return raw, nil
}
