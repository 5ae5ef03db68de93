package webhook

import (
	"fmt"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/httpclient"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
	"github.com/signalbox/signalbox/internal/telling"
)

// Settings are the keys of a tool of this kind: one request.
type Settings struct {
	// The address, without credentials and query.
	URL string `yaml:"url,omitempty" json:"url,omitempty" jsonschema:"format=uri"`
	// Or a file that holds the address, where it is itself a secret. It may have a query.
	URLFile string `yaml:"url_file,omitempty" json:"url_file,omitempty"`
	// The method.
	Method string `yaml:"method,omitempty" json:"method,omitempty" jsonschema:"enum=POST,enum=PUT,enum=PATCH,enum=DELETE" default:"POST"`
	// The type of the body: JSON, a form, or plain text; any other one if the body names no field.
	ContentType string `yaml:"content_type,omitempty" json:"content_type,omitempty" default:"application/json"`
	// The body, with fields of the incident in double braces, escaped for its type.
	Body string `yaml:"body,omitempty" json:"body,omitempty"`
	// The labels that the body may name.
	Labels []string `yaml:"labels,omitempty" json:"labels,omitempty"`
	// The header by which the server knows a request that it has had: it carries the action's id.
	IdempotencyHeader string `yaml:"idempotency_header,omitempty" json:"idempotency_header,omitempty"`
	// How long the server keeps that key.
	Retains kind.Duration `yaml:"retains,omitempty" json:"retains,omitzero"`
	// How the request is signed.
	Signature *Signature `yaml:"signature,omitempty" json:"signature,omitempty"`
	// The statuses that prove that it was done.
	Expect []int `yaml:"expect,omitempty" json:"expect,omitempty" default:"[200, 201, 202, 204]"`
	// Networks (CIDR) that are dialled although they are loopback, link-local or otherwise barred.
	Networks []string `yaml:"networks,omitempty" json:"networks,omitempty"`
	// Whether a person must approve it whatever the policy's autonomy.
	Approval string `yaml:"approval,omitempty" json:"approval,omitempty" jsonschema:"enum=none,enum=required" default:"none"`
	// HTTP holds the client's settings: credentials, TLS, headers.
	HTTP promconfig.HTTPClientConfig `yaml:",inline" json:",inline"`
}

// Signature says how a request is signed: with HMAC-SHA256, in hexadecimal.
type Signature struct {
	// The header that carries the signature.
	Header string `yaml:"header" json:"header" jsonschema:"required"`
	// What stands before it in the header.
	Prefix *string `yaml:"prefix,omitempty" json:"prefix,omitempty" default:"sha256="`
	// The file that holds the key.
	KeyFile string `yaml:"key_file" json:"key_file" jsonschema:"required"`
	// The header that carries the time, in seconds since 1970; the signature is then one of "TIME.BODY".
	TimestampHeader string `yaml:"timestamp_header,omitempty" json:"timestamp_header,omitempty"`
}

const (
	defaultPrefix  = "sha256="
	approvalNeeded = "required"
	mostBody       = 64 << 10
	mostRetains    = 90 * 24 * time.Hour
	// leastRetains leaves time for one request that is sent again.
	leastRetains = 3 * reach.CallTimeout
)

func newSettings() *Settings {
	return &Settings{
		Method: http.MethodPost, ContentType: "application/json", Approval: "none",
		Expect: []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent},
		HTTP:   promconfig.DefaultHTTPClientConfig,
	}
}

var (
	headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$")
	// reserved are headers that the request has anyway, or that change how it is read.
	reserved = []string{
		"Accept-Encoding", "Authorization", "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Cookie", "Expect", "Host", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "User-Agent",
	}
	// numeric is the end of a name that some resolvers read as an address.
	numeric = regexp.MustCompile(`(^|\.)(0[xX][0-9a-fA-F]*|[0-9]+)\.?$`)
)

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	switch {
	case (s.URL == "") == (s.URLFile == ""):
		fail("url", "must be given, or url_file, and not both", nil)
	case s.URL != "":
		httpclient.ValidateURL(fail, "url", s.URL)
		if u, err := url.Parse(s.URL); err == nil && unusual(u.Hostname()) {
			fail("url", "must have a name, or an address in its usual form (127.0.0.1, [::1])", u.Hostname())
		}
	}
	if !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, s.Method) {
		fail("method", "must be POST, PUT, PATCH or DELETE", s.Method)
	}
	if !slices.Contains([]string{"none", approvalNeeded}, s.Approval) {
		fail("approval", "must be none or required", s.Approval)
	}
	s.validateBody(fail)
	s.validateHeaders(fail)
	if s.Signature != nil && s.Signature.KeyFile == "" {
		fail("signature.key_file", "must be the file that holds the key", nil)
	}
	if len(s.Expect) == 0 {
		fail("expect", "must list at least one status", nil)
	}
	for i, code := range s.Expect {
		if code < 200 || code > 399 {
			fail(fmt.Sprintf("expect[%d]", i), "must be a status from 200 to 399: another one says that it was not done", code)
		}
	}
	for i, network := range s.Networks {
		if p, err := netip.ParsePrefix(network); err != nil || p != p.Masked() {
			fail(fmt.Sprintf("networks[%d]", i), "must be a network like 127.0.0.0/8, without host bits", network)
		}
	}
	httpclient.Validate(fail, &s.HTTP)
	if reach.Proxied(&s.HTTP) {
		fail("proxy_url", "must not be given, nor proxy_from_environment: a proxy would dial where the guard of addresses can't see it", nil)
	}
}

func unusual(host string) bool {
	_, err := netip.ParseAddr(host)
	return err != nil && numeric.MatchString(host)
}

func (s *Settings) validateBody(fail kind.Fail) {
	if rule := telling.CheckLabels(s.Labels); rule != "" {
		fail("labels", rule, s.Labels)
	}
	if _, _, err := mime.ParseMediaType(s.ContentType); err != nil || !strings.Contains(s.ContentType, "/") {
		fail("content_type", "must be a media type, like application/json", s.ContentType)
		return
	}
	if len(s.Body) > mostBody {
		fail("body", fmt.Sprintf("must be at most %d bytes", mostBody), len(s.Body))
		return
	}
	if rule := checkBody(s.Body, s.ContentType, s.Labels); rule != "" {
		fail("body", rule, nil)
	}
}

// validateHeaders looks at the headers that are named: each is its own.
func (s *Settings) validateHeaders(fail kind.Fail) {
	taken := map[string]bool{}
	for _, name := range reserved {
		taken[name] = true
	}
	if s.HTTP.HTTPHeaders != nil {
		for name := range s.HTTP.HTTPHeaders.Headers {
			taken[http.CanonicalHeaderKey(name)] = true
		}
	}
	check := func(path, name string) {
		key := http.CanonicalHeaderKey(name)
		switch {
		case !headerName.MatchString(name):
			fail(path, "must be the name of a header", name)
		case taken[key]:
			fail(path, "must be a header that the request does not have otherwise", name)
		}
		taken[key] = true
	}
	switch {
	case s.IdempotencyHeader == "" && s.Retains != 0:
		fail("retains", "must be given together with idempotency_header", s.Retains.String())
	case s.IdempotencyHeader != "":
		check("idempotency_header", s.IdempotencyHeader)
		if s.Retains.Std() < leastRetains || s.Retains.Std() > mostRetains {
			fail("retains", fmt.Sprintf("must be how long the server keeps the key, from %s to %s", leastRetains, mostRetains), s.Retains.String())
		}
	}
	if g := s.Signature; g != nil {
		check("signature.header", g.Header)
		if g.TimestampHeader != "" {
			check("signature.timestamp_header", g.TimestampHeader)
		}
		if g.Prefix != nil && strings.ContainsFunc(*g.Prefix, func(r rune) bool { return r < ' ' || r > '~' }) {
			fail("signature.prefix", "must be printable ASCII", *g.Prefix)
		}
	}
}
