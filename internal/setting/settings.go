package setting

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	promconfig "github.com/prometheus/common/config"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// ConfigMap is a switch that is one key of a Kubernetes ConfigMap.
type ConfigMap struct {
	// Source is the name of the source of kind kubernetes: the cluster.
	Source string `yaml:"source" json:"source" jsonschema:"required,minLength=1"`
	// Namespace is where the ConfigMap is.
	Namespace string `yaml:"namespace" json:"namespace" jsonschema:"required,maxLength=63"`
	// Name is the name of the ConfigMap, which must exist.
	Name string `yaml:"name" json:"name" jsonschema:"required,maxLength=253"`
	// Key is the key under data, which must exist.
	Key string `yaml:"key" json:"key" jsonschema:"required,maxLength=253"`
	// Restart lists the workloads that read the key at their start only: they are restarted after it was set, one after another.
	Restart []Restart `yaml:"restart,omitempty" json:"restart,omitempty"`
}

// Validate checks the names against Kubernetes' own rules.
func (c *ConfigMap) Validate(fail kind.Fail) {
	if c.Source == "" {
		fail("source", "must name a source of kind kubernetes", c.Source)
	}
	if e := validation.IsDNS1123Label(c.Namespace); len(e) > 0 {
		fail("namespace", "must be the name of a namespace (lower-case letters, digits and '-', at most 63)", c.Namespace)
	}
	if e := validation.IsDNS1123Subdomain(c.Name); len(e) > 0 {
		fail("name", "must be the name of a ConfigMap (lower-case letters, digits, '-' and '.', at most 253)", c.Name)
	}
	if e := validation.IsConfigMapKey(c.Key); len(e) > 0 {
		fail("key", "must be a key of a ConfigMap (letters, digits, '-', '_' and '.', at most 253)", c.Key)
	}
	checkRestarts(c, fail)
}

// HTTP is a switch that is one field of a JSON object behind an HTTP API. GET
// returns the object with a strong ETag; PUT takes the whole object with
// If-Match, and answers 412 when it has changed.
type HTTP struct {
	// URL of the setting: http or https, without credentials and query.
	URL string `yaml:"url" json:"url" jsonschema:"required,format=uri"`
	// Field is the name of the object's field that holds the value, a string.
	Field string `yaml:"field" json:"field" jsonschema:"default=value,minLength=1"`
	// Latency is the longest that the API takes until a write that it got can
	// be read back. It counts only where the object has no place for our fence.
	Latency kind.Duration `yaml:"latency" json:"latency" jsonschema:"default=30s"`
	// HTTPClientConfig is Prometheus' HTTP client configuration; secrets stand
	// in files.
	HTTPClientConfig promconfig.HTTPClientConfig `yaml:",inline" json:",inline"`
}

func newHTTP() *HTTP {
	client := promconfig.DefaultHTTPClientConfig
	client.FollowRedirects = false
	return &HTTP{Field: "value", Latency: kind.Duration(30 * time.Second), HTTPClientConfig: client}
}

// Complete gives what was not given its default, of settings that were made
// within others.
func (h *HTTP) Complete() {
	d := newHTTP()
	h.Field, h.Latency = cmp.Or(h.Field, d.Field), cmp.Or(h.Latency, d.Latency)
}

// Validate checks the address and that no secret stands in the configuration.
func (h *HTTP) Validate(fail kind.Fail) {
	if u, err := url.Parse(h.URL); err != nil {
		fail("url", "must be a URL", "")
	} else if rule := addressRule(u); rule != "" {
		u.RawQuery, u.Fragment = "", ""
		fail("url", rule, u.Redacted())
	}
	if h.Field == "" || h.Field == fenceField {
		fail("field", "must name a field of the object other than "+fenceField, h.Field)
	}
	if h.Latency.Std() <= 0 || h.Latency.Std() > time.Hour {
		fail("latency", "must be above 0 and at most 1h", h.Latency.String())
	}
	h.validateClient(fail)
}

func addressRule(u *url.URL) string {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return "must begin with http:// or https://"
	case u.Hostname() == "":
		return "must name a host"
	case u.User != nil:
		return "must not hold credentials: give basic_auth or authorization with files"
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "must have no query and no fragment"
	}
	return ""
}

// Redis is a switch that is one key of a Redis: a string, which must exist.
type Redis struct {
	// Address of the master, "host:port".
	Address string `yaml:"address" json:"address" jsonschema:"required"`
	// Username of an ACL user; absent: the default user.
	Username string `yaml:"username,omitempty" json:"username,omitempty"`
	// PasswordFile holds the password, relative to the configuration.
	PasswordFile string `yaml:"password_file,omitempty" json:"password_file,omitempty"`
	// Database is its number.
	Database int `yaml:"database,omitempty" json:"database,omitempty" jsonschema:"minimum=0"`
	// Key is the key, which must exist.
	Key string `yaml:"key" json:"key" jsonschema:"required,maxLength=200"`
	// TLS is Prometheus' tls_config; absent: no TLS.
	TLS *promconfig.TLSConfig `yaml:"tls_config,omitempty" json:"tls_config,omitempty"`
}

// Validate checks the address and the key.
func (r *Redis) Validate(fail kind.Fail) {
	host, port, err := net.SplitHostPort(r.Address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || host == "" || bad != nil || n == 0 {
		fail("address", "must be host:port", reach.Shown(r.Address))
	}
	if r.Key == "" || len(r.Key) > reach.MaxShown || reach.Shown(r.Key) != r.Key || strings.HasPrefix(r.Key, "signalbox:") {
		fail("key", "must be a key of at most 200 printable characters that does not begin with signalbox:", reach.Shown(r.Key))
	}
	if r.TLS != nil {
		if r.TLS.Key != "" || r.TLS.CertRef != "" || r.TLS.KeyRef != "" || r.TLS.CARef != "" {
			fail("tls_config", "must name files, and hold no key", "")
		}
		if err := r.TLS.Validate(); err != nil {
			fail("tls_config", "must be a valid TLS configuration", "")
		}
	}
}

var secretRef = regexp.MustCompile(`(?m)^\s*(\w+_ref):`)

func (h *HTTP) validateClient(fail kind.Fail) {
	c := h.HTTPClientConfig
	if c.FollowRedirects {
		fail("follow_redirects", "must be false: a write follows no redirect", true)
	}
	if c.ProxyURL.URL != nil && c.ProxyURL.User != nil {
		fail("proxy_url", "must not hold credentials", c.ProxyURL.Redacted())
	}
	text := c.String()
	if strings.Contains(text, "<secret>") {
		fail("", "must hold no secret: give it as a file (credentials_file, password_file, key_file, …)", "")
	}
	if m := secretRef.FindStringSubmatch(text); m != nil {
		fail("", "must not refer to a secret manager: give the secret as a file", m[1])
	}
	if err := c.Validate(); err != nil {
		fail("", "must be a valid HTTP client configuration: "+err.Error(), "")
	}
}

// canonicalURL writes an address in the one form under which it is locked:
// lower-case host, no default port, no dots and doubled slashes in its path.
func canonicalURL(u *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if p := u.Port(); p != "" && p != map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host += ":" + p
	}
	return fmt.Sprintf("%s://%s%s", u.Scheme, host, path.Clean("/"+u.EscapedPath()))
}
