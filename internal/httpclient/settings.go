package httpclient

import (
	"net/url"
	"path/filepath"
	"slices"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/kind"
)

// DefaultTimeout bounds one request where the settings say nothing else.
const DefaultTimeout = 10 * time.Second

// Settings are the keys of a source that is reached by HTTP. A kind embeds
// them with `yaml:",inline" json:",inline"`.
type Settings struct {
	// The address of the server, with the path prefix it is served under.
	URL string `yaml:"url" json:"url" jsonschema:"required,format=uri"`
	// How long one request may take.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" default:"10s"`
	// HTTP holds the client's settings: credentials, TLS, proxy, headers.
	HTTP promconfig.HTTPClientConfig `yaml:",inline" json:",inline"`
}

// Defaults are settings that name no server yet.
func Defaults() Settings {
	return Settings{Timeout: kind.Duration(DefaultTimeout), HTTP: promconfig.DefaultHTTPClientConfig}
}

// Validate reports every rule that the settings break. like is an example of
// the address, for people.
func (s *Settings) Validate(fail kind.Fail, like string) {
	if s.URL == "" {
		fail("url", "must be the address of the server, like "+like, nil)
	} else {
		ValidateURL(fail, "url", s.URL)
	}
	if s.Timeout <= 0 || s.Timeout.Std() > 5*time.Minute {
		fail("timeout", "must be greater than 0 and at most 5m", s.Timeout)
	}
	Validate(fail, &s.HTTP)
}

// ValidateURL reports what is wrong with the address of a server. It never
// repeats an address that may hold a password.
func ValidateURL(fail kind.Fail, path, address string) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fail(path, "must be an http or https address", "(not shown: it may hold a credential)")
	case u.User != nil:
		fail(path, "must hold no credentials: use basic_auth with password_file", "(not shown)")
	case u.RawQuery != "" || u.Fragment != "":
		fail(path, "must have no query and no fragment", u.Scheme+"://"+u.Host)
	}
}

// Validate refuses what Prometheus' own rules refuse, every secret that stands
// in the configuration itself, and references to a secret manager.
func Validate(fail kind.Fail, c *promconfig.HTTPClientConfig) {
	for _, given := range inlineSecrets(c) {
		fail(given.path, "must not hold a secret: "+given.instead, nil)
	}
	whole := Clone(*c)
	if err := whole.Validate(); err != nil {
		fail("", "http client settings: "+Plain(err.Error(), maxText), nil)
	}
	if err := whole.TLSConfig.Validate(); err != nil {
		fail("tls_config", Plain(err.Error(), maxText), nil)
	}
}

type inlineSecret struct {
	path, instead string
	given         bool
}

// inlineSecrets lists where a secret stands in the configuration itself, or
// is asked of a secret store that the daemon does not have.
func inlineSecrets(c *promconfig.HTTPClientConfig) []inlineSecret {
	list := []inlineSecret{
		{"bearer_token", "use authorization.credentials_file", c.BearerToken != ""},
		{"tls_config.key", "use tls_config.key_file", c.TLSConfig.Key != "" || c.TLSConfig.KeyRef != ""},
		{"tls_config", "use the _file keys, not _ref", c.TLSConfig.CARef != "" || c.TLSConfig.CertRef != ""},
		{"proxy_url", "leave the credentials out", c.ProxyURL.URL != nil && c.ProxyURL.User != nil},
		{"proxy_connect_header", "it can't be read from a file", len(c.ProxyConnectHeader) > 0},
	}
	if a := c.Authorization; a != nil {
		list = append(list, inlineSecret{"authorization.credentials", "use authorization.credentials_file", a.Credentials != "" || a.CredentialsRef != ""})
	}
	if b := c.BasicAuth; b != nil {
		list = append(list, inlineSecret{"basic_auth.password", "use basic_auth.password_file", b.Password != "" || b.PasswordRef != "" || b.UsernameRef != ""})
	}
	if o := c.OAuth2; o != nil {
		list = append(
			list,
			inlineSecret{"oauth2.client_secret", "use oauth2.client_secret_file", o.ClientSecret != "" || o.ClientSecretRef != ""},
			inlineSecret{"oauth2.client_certificate_key", "use oauth2.client_certificate_key_file", o.ClientCertificateKey != "" || o.ClientCertificateKeyRef != ""},
			inlineSecret{"oauth2.tls_config.key", "use oauth2.tls_config.key_file", o.TLSConfig.Key != "" || o.TLSConfig.KeyRef != ""},
			inlineSecret{"oauth2.proxy_url", "leave the credentials out", o.ProxyURL.URL != nil && o.ProxyURL.User != nil},
			inlineSecret{"oauth2.proxy_connect_header", "it can't be read from a file", len(o.ProxyConnectHeader) > 0},
		)
	}
	if h := c.HTTPHeaders; h != nil {
		for name, header := range h.Headers {
			list = append(list, inlineSecret{"http_headers." + name, "use files", len(header.Secrets) > 0})
		}
	}
	return slices.DeleteFunc(list, func(i inlineSecret) bool { return !i.given })
}

// Clone copies what the library's own methods change in place.
func Clone(c promconfig.HTTPClientConfig) promconfig.HTTPClientConfig {
	c.BasicAuth, c.Authorization, c.OAuth2 = clone(c.BasicAuth), clone(c.Authorization), clone(c.OAuth2)
	if c.HTTPHeaders != nil {
		headers := make(map[string]promconfig.Header, len(c.HTTPHeaders.Headers))
		for name, h := range c.HTTPHeaders.Headers {
			h.Files = slices.Clone(h.Files)
			headers[name] = h
		}
		c.HTTPHeaders = &promconfig.Headers{Headers: headers}
	}
	return c
}

func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// In resolves a path of the configuration against its directory; an empty one
// stays empty.
func In(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
