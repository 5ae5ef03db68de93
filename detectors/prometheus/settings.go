package prometheus

import (
	"net/url"
	"slices"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/kind"
)

// defaultTimeout bounds one question.
const defaultTimeout = 10 * time.Second

// Settings are the keys of a source of this kind: where it is, and Prometheus'
// own HTTP client settings.
// See https://prometheus.io/docs/prometheus/latest/configuration/configuration/#http_config.
type Settings struct {
	// The address of the server, with the path prefix it is served under: http://prometheus:9090
	URL string `yaml:"url" json:"url" jsonschema:"required,format=uri"`
	// How long one question may take.
	Timeout kind.Duration `yaml:"timeout,omitempty" json:"timeout,omitzero" default:"10s"`
	// HTTP holds the client's settings: credentials, TLS, proxy, headers.
	HTTP promconfig.HTTPClientConfig `yaml:",inline" json:",inline"`
}

func newSettings() *Settings {
	return &Settings{Timeout: kind.Duration(defaultTimeout), HTTP: promconfig.DefaultHTTPClientConfig}
}

// Validate reports every rule that the settings break.
func (s *Settings) Validate(fail kind.Fail) {
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		fail("url", "must be the address of the server, like http://prometheus:9090", nil)
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		fail("url", "must be an http or https address", nil) // not repeated: it may hold a password
	case u.User != nil:
		fail("url", "must hold no credentials: use basic_auth with password_file", nil)
	case u.RawQuery != "" || u.Fragment != "":
		fail("url", "must have no query and no fragment", nil)
	}
	if s.Timeout <= 0 {
		fail("timeout", "must be greater than 0", s.Timeout)
	}
	for _, given := range s.inlineSecrets() {
		fail(given.path, "must not hold a secret: "+given.instead, nil)
	}
	c := cloneHTTP(s.HTTP)
	if err := c.Validate(); err != nil {
		fail("", "http client settings: "+plain(err.Error()), nil)
	}
	if err := c.TLSConfig.Validate(); err != nil {
		fail("tls_config", plain(err.Error()), nil)
	}
}

type inlineSecret struct {
	path, instead string
	given         bool
}

// inlineSecrets lists where a secret stands in the configuration itself, or
// is asked of a secret store that the daemon does not have.
func (s *Settings) inlineSecrets() []inlineSecret {
	c := &s.HTTP
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

// cloneHTTP copies what the library's own methods change in place.
func cloneHTTP(c promconfig.HTTPClientConfig) promconfig.HTTPClientConfig {
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
