package alertmanager

import (
	"github.com/prometheus/common/config"
	"github.com/signalbox/signalbox/internal/kind"
)

const noInline = "must not be in the configuration; name a file that holds it"

// validateHTTP refuses what Prometheus' own rules refuse, and every secret
// that stands in the configuration itself.
func validateHTTP(c *config.HTTPClientConfig, fail kind.Fail) {
	inline := func(path string, given bool) {
		if given {
			fail(path, noInline, "(not shown)")
		}
	}
	inline("bearer_token", c.BearerToken != "")
	inline("tls_config.key", c.TLSConfig.Key != "")
	inline("proxy_url", c.ProxyURL.URL != nil && c.ProxyURL.User != nil)
	inline("proxy_connect_header", len(c.ProxyConnectHeader) > 0)
	if c.BasicAuth != nil {
		inline("basic_auth.password", c.BasicAuth.Password != "")
	}
	if c.Authorization != nil {
		inline("authorization.credentials", c.Authorization.Credentials != "")
	}
	if c.HTTPHeaders != nil {
		for name, h := range c.HTTPHeaders.Headers {
			inline("http_headers."+name+".secrets", len(h.Secrets) > 0)
		}
	}
	validateOAuth2(c.OAuth2, inline)
	validateRefs(c, fail)
	if err := c.Validate(); err != nil {
		fail("", err.Error(), nil)
	}
}

func validateOAuth2(c *config.OAuth2, inline func(string, bool)) {
	if c == nil {
		return
	}
	inline("oauth2.client_secret", c.ClientSecret != "")
	inline("oauth2.client_certificate_key", c.ClientCertificateKey != "")
	inline("oauth2.tls_config.key", c.TLSConfig.Key != "")
	inline("oauth2.proxy_url", c.ProxyURL.URL != nil && c.ProxyURL.User != nil)
	inline("oauth2.proxy_connect_header", len(c.ProxyConnectHeader) > 0)
}

// validateRefs refuses references to a secret manager: there is none here.
func validateRefs(c *config.HTTPClientConfig, fail kind.Fail) {
	refs := map[string]string{
		"tls_config.ca_ref": c.TLSConfig.CARef, "tls_config.cert_ref": c.TLSConfig.CertRef, "tls_config.key_ref": c.TLSConfig.KeyRef,
	}
	if c.BasicAuth != nil {
		refs["basic_auth.username_ref"], refs["basic_auth.password_ref"] = c.BasicAuth.UsernameRef, c.BasicAuth.PasswordRef
	}
	if c.Authorization != nil {
		refs["authorization.credentials_ref"] = c.Authorization.CredentialsRef
	}
	if c.OAuth2 != nil {
		refs["oauth2.client_secret_ref"], refs["oauth2.client_certificate_key_ref"] = c.OAuth2.ClientSecretRef, c.OAuth2.ClientCertificateKeyRef
	}
	for path, ref := range refs {
		if ref != "" {
			fail(path, "is not supported: there is no secret manager; name a file", ref)
		}
	}
}
