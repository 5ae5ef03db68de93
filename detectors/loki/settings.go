package loki

import (
	"fmt"
	"net/http"
	"strings"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
)

// Settings are the keys of a source of this kind.
type Settings struct {
	httpclient.Settings `yaml:",inline" json:",inline"`
	// The tenant that is asked, or several as a|b, where Loki has tenants.
	Tenant string `yaml:"tenant,omitempty" json:"tenant,omitempty"`
	// How many lines of a stream are asked for at once, at most Loki's own max_entries_limit_per_query.
	PageSize int `yaml:"page_size,omitempty" json:"page_size,omitempty" default:"1000"`
}

// Bounds of page_size. Loki's max_entries_limit_per_query is 5,000 by default.
const (
	defaultPage = 1_000
	leastPage   = 10
	mostPage    = 50_000
)

// tenantHeader is where Loki looks for the tenant.
// See https://grafana.com/docs/loki/latest/operations/multi-tenancy/.
const tenantHeader = "X-Scope-OrgID"

// maxTenant is the length of the longest tenant id, as Loki has it.
const maxTenant = 150

func newSettings() *Settings {
	return &Settings{Settings: httpclient.Defaults(), PageSize: defaultPage}
}

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	s.Settings.Validate(fail, "http://loki:3100")
	if s.PageSize < leastPage || s.PageSize > mostPage {
		fail("page_size", fmt.Sprintf("must be from %d to %d", leastPage, mostPage), s.PageSize)
	}
	if s.Tenant == "" {
		return
	}
	for tenant := range strings.SplitSeq(s.Tenant, "|") {
		if !validTenant(tenant) {
			fail("tenant", fmt.Sprintf("must be the id of a tenant, or several with | between: letters, digits and !-_.*'(), at most %d bytes each", maxTenant), s.Tenant)
			break
		}
	}
	if h := s.HTTP.HTTPHeaders; h != nil {
		for name := range h.Headers {
			if http.CanonicalHeaderKey(name) == http.CanonicalHeaderKey(tenantHeader) {
				fail("tenant", "must not be given beside http_headers."+name, nil)
			}
		}
	}
}

// validTenant follows Loki's own rule for tenant ids.
func validTenant(id string) bool {
	return id != "" && len(id) <= maxTenant && id != "." && id != ".." && !strings.ContainsFunc(id, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("!-_.*'()", r)
	})
}

// client is the client's settings with the headers of this kind: the tenant,
// and that no answer may come from Loki's cache, which may lack late lines.
func (s *Settings) client() promconfig.HTTPClientConfig {
	c := httpclient.Clone(s.HTTP)
	if c.HTTPHeaders == nil {
		c.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{}}
	}
	c.HTTPHeaders.Headers["Cache-Control"] = promconfig.Header{Values: []string{"no-cache"}}
	if s.Tenant != "" {
		c.HTTPHeaders.Headers[tenantHeader] = promconfig.Header{Values: []string{s.Tenant}}
	}
	return c
}
