package cdn

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Kind is the remediator that purges caches.
func Kind() kind.Remediator {
	return kind.Remediator{
		Name:    "cdn",
		Keyword: "cdn",
		Tools: map[string]kind.Tool{
			vendorFastly:     {Settings: func() kind.Settings { return newFastly() }, About: true},
			vendorCloudflare: {Settings: func() kind.Settings { return newCloudflare() }, About: true},
		},
		Spec: resolve,
		Open: open,
	}
}

// The keys of a tool of this kind.
const (
	vendorFastly     = "fastly"
	vendorCloudflare = "cloudflare"
)

// Where the vendors' APIs are.
const (
	fastlyURL     = "https://api.fastly.com"
	cloudflareURL = "https://api.cloudflare.com"
)

// Limits of one request: Fastly's on surrogate keys, and the one that holds on
// all of Cloudflare's plans.
const (
	mostKeys  = 256
	mostItems = 100
	mostBytes = 1024 // of one item
	mostLists = 200  // by the values of a label
)

// Fastly is a service of Fastly, of which surrogate keys are purged.
type Fastly struct {
	// The id of the service.
	Service string `yaml:"service" json:"service" jsonschema:"required"`
	// File that holds an API token with the scope purge_select; read at each use.
	TokenFile string `yaml:"token_file" json:"token_file" jsonschema:"required"`
	// The surrogate keys that are purged, at most 256.
	Keys []string `yaml:"keys,omitempty" json:"keys,omitempty"`
	// Or those that belong to the value of a label of the incident.
	By *FastlyBy `yaml:"by,omitempty" json:"by,omitempty"`
	// What is purged is only stale: it is still served while the origin can't be reached, where the responses allow it.
	Soft bool `yaml:"soft" json:"soft" default:"true"`
	// Where the API is. Plain http is for this machine only.
	URL string `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"format=uri" default:"https://api.fastly.com"`
}

// FastlyBy chooses surrogate keys by a label.
type FastlyBy struct {
	// The name of the label.
	Label string `yaml:"label" json:"label" jsonschema:"required"`
	// The surrogate keys of each value. Another value is refused.
	Values map[string][]string `yaml:"values" json:"values" jsonschema:"required,minProperties=1"`
}

func newFastly() *Fastly { return &Fastly{Soft: true, URL: fastlyURL} }

// Validate checks the settings.
func (s *Fastly) Validate(fail kind.Fail) {
	validateID(fail, "service", s.Service)
	validateConnection(fail, s.TokenFile, s.URL)
	if (len(s.Keys) > 0) == (s.By != nil) {
		fail("keys", "must be given, or by: what is purged", nil)
	}
	validateList(fail, "keys", s.Keys, mostKeys, whatKeys)
	if s.By != nil {
		validateBy(fail, s.By.Label, s.By.Values, mostKeys, whatKeys)
	}
}

// Cloudflare is a zone of Cloudflare.
type Cloudflare struct {
	// The id of the zone.
	Zone string `yaml:"zone" json:"zone" jsonschema:"required"`
	// File that holds an API token with the permission Cache Purge on the zone; read at each use.
	TokenFile string `yaml:"token_file" json:"token_file" jsonschema:"required"`
	// The addresses that are purged, at most 100.
	Files []string `yaml:"files,omitempty" json:"files,omitempty"`
	// Or the cache tags.
	Tags []string `yaml:"tags,omitempty" json:"tags,omitempty"`
	// Or the hosts.
	Hosts []string `yaml:"hosts,omitempty" json:"hosts,omitempty"`
	// Or the prefixes: host and beginning of the path, without a scheme.
	Prefixes []string `yaml:"prefixes,omitempty" json:"prefixes,omitempty"`
	// Or what belongs to the value of a label of the incident.
	By *CloudflareBy `yaml:"by,omitempty" json:"by,omitempty"`
	// Where the API is. Plain http is for this machine only.
	URL string `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"format=uri" default:"https://api.cloudflare.com"`
}

// CloudflareBy chooses what is purged by a label.
type CloudflareBy struct {
	// The name of the label.
	Label string `yaml:"label" json:"label" jsonschema:"required"`
	// What the values list.
	What string `yaml:"what,omitempty" json:"what,omitempty" jsonschema:"enum=files,enum=tags,enum=hosts,enum=prefixes" default:"tags"`
	// What is purged for each value. Another value is refused.
	Values map[string][]string `yaml:"values" json:"values" jsonschema:"required,minProperties=1"`
}

func newCloudflare() *Cloudflare { return &Cloudflare{URL: cloudflareURL} }

// What a list holds.
const (
	whatKeys     = "keys" // of Fastly
	whatFiles    = "files"
	whatTags     = "tags"
	whatHosts    = "hosts"
	whatPrefixes = "prefixes"
)

// lists are those that Cloudflare takes, by their names.
func (s *Cloudflare) lists() map[string][]string {
	return map[string][]string{whatFiles: s.Files, whatTags: s.Tags, whatHosts: s.Hosts, whatPrefixes: s.Prefixes}
}

// whats are the names of Cloudflare's lists, in order.
var whats = []string{whatFiles, whatTags, whatHosts, whatPrefixes}

// Validate checks the settings.
func (s *Cloudflare) Validate(fail kind.Fail) {
	validateID(fail, "zone", s.Zone)
	validateConnection(fail, s.TokenFile, s.URL)
	given := 0
	for _, what := range whats {
		if list := s.lists()[what]; len(list) > 0 {
			given++
			validateList(fail, what, list, mostItems, what)
		}
	}
	if s.By != nil {
		given++
		what := s.By.what()
		if !slices.Contains(whats, what) {
			fail("by.what", "must be one of "+strings.Join(whats, ", "), what)
		}
		validateBy(fail, s.By.Label, s.By.Values, mostItems, what)
	}
	if given != 1 {
		fail("files", "exactly one of files, tags, hosts, prefixes and by must be given: one request purges by one of them", nil)
	}
}

func (b *CloudflareBy) what() string {
	if b.What == "" {
		return whatTags
	}
	return b.What
}

// validateID checks what becomes a part of a path.
func validateID(fail kind.Fail, key, id string) {
	plain := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' }
	if id == "" || len(id) > 64 || strings.IndexFunc(id, func(r rune) bool { return !plain(r) }) >= 0 {
		fail(key, "must be an id of letters and digits, at most 64", id)
	}
}

func validateConnection(fail kind.Fail, token, address string) {
	if token == "" {
		fail("token_file", "must name the file that holds the token", nil)
	}
	httpclient.ValidateURL(fail, "url", address)
	if u, err := url.Parse(address); err == nil && u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		fail("url", "must be https: plain http would show the token, and is accepted for this machine only", u.Redacted())
	}
}

func validateBy(fail kind.Fail, label string, values map[string][]string, most int, what string) {
	if !model.LegacyValidation.IsValidLabelName(label) {
		fail("by.label", "must be the name of a label", label)
	}
	if len(values) == 0 || len(values) > mostLists {
		fail("by.values", fmt.Sprintf("must be 1 to %d", mostLists), len(values))
	}
	for value, list := range values {
		if len(list) == 0 {
			fail("by.values."+value, "must list what is purged", nil)
		}
		validateList(fail, "by.values."+value, list, most, what)
	}
}

// validateList checks one list of what is purged by one request.
func validateList(fail kind.Fail, path string, list []string, most int, what string) {
	if len(list) > most {
		fail(path, fmt.Sprintf("must be at most %d: one request takes no more", most), len(list))
	}
	for i, item := range list {
		at := fmt.Sprintf("%s[%d]", path, i)
		if rule := itemRule(item, what); rule != "" {
			fail(at, rule, item)
		}
		if slices.Index(list, item) < i {
			fail(at, "must be listed once", item)
		}
	}
}

// itemRule says what is wrong with one item; empty: nothing.
func itemRule(item, what string) string {
	visible := strings.IndexFunc(item, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
	if item == "" || len(item) > mostBytes || !visible {
		return fmt.Sprintf("must be 1 to %d visible ASCII characters without spaces", mostBytes)
	}
	switch what {
	case whatTags:
		if strings.Contains(item, ",") {
			return "must be one tag, without a comma"
		}
	case whatFiles:
		if u, err := url.Parse(item); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
			return "must be an http or https address without credentials"
		}
	case whatHosts:
		if strings.ContainsAny(item, "/:*?#@") {
			return "must be the name of a host"
		}
	case whatPrefixes:
		if strings.Contains(item, "://") || strings.ContainsAny(item, "?#*@") || strings.HasPrefix(item, "/") {
			return "must be a host and the beginning of a path, like www.example.com/app, without a scheme"
		}
	}
	return ""
}
