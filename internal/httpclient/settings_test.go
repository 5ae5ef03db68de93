package httpclient

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	"github.com/signalbox/signalbox/internal/kind"
)

const secret = "hunter2-very-secret"

func problems(s *Settings) []string {
	var got []string
	s.Validate(func(path, rule string, value any) {
		got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
	}, "http://server:9090")
	slices.Sort(got)
	return got
}

func TestSettingsRefuse(t *testing.T) {
	proxy := promconfig.URL{URL: &url.URL{Scheme: "http", Host: "proxy:3128", User: url.UserPassword("u", secret)}}
	connect := promconfig.ProxyHeader{"Proxy-Authorization": {secret}}
	oauth := func(change func(*promconfig.OAuth2)) func(*Settings) {
		return func(s *Settings) {
			s.HTTP.OAuth2 = &promconfig.OAuth2{ClientID: "a", TokenURL: "http://t", ClientSecretFile: "f"}
			change(s.HTTP.OAuth2)
		}
	}
	for _, c := range []struct {
		name string
		with func(*Settings)
		want string // "": nothing is refused
	}{
		{"good", func(*Settings) {}, ""},
		{"good files", func(s *Settings) {
			s.HTTP.BasicAuth = &promconfig.BasicAuth{Username: "u", PasswordFile: "f"}
			s.HTTP.TLSConfig = promconfig.TLSConfig{CAFile: "ca", CertFile: "c", KeyFile: "k"}
			s.HTTP.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Scope-OrgID": {Values: []string{"prod"}}, "X-Key": {Files: []string{"key"}}}}
		}, ""},
		{"good oauth2", oauth(func(*promconfig.OAuth2) {}), ""},
		{"no url", func(s *Settings) { s.URL = "" }, "url: must be the address of the server, like http://server:9090"},
		{"no scheme", func(s *Settings) { s.URL = "server:9090" }, "url: must be an http or https"},
		{"file", func(s *Settings) { s.URL = "file:///etc/passwd" }, "url: must be an http or https"},
		{"no host", func(s *Settings) { s.URL = "http:///path" }, "url: must be an http or https"},
		{"password in url", func(s *Settings) { s.URL = "http://u:" + secret + "@p" }, "url: must hold no credentials"},
		{"token in url", func(s *Settings) { s.URL = "http://" + secret + "@p" }, "url: must hold no credentials"},
		{"unparsable url", func(s *Settings) { s.URL = "http://u:" + secret + "@[" }, "url: must be an http or https"},
		{"query", func(s *Settings) { s.URL = "http://p/?token=" + secret }, "url: must have no query"},
		{"fragment", func(s *Settings) { s.URL = "http://p/#" + secret }, "url: must have no query"},
		{"no timeout", func(s *Settings) { s.Timeout = 0 }, "timeout: must be greater than 0 and at most 5m"},
		{"long timeout", func(s *Settings) { s.Timeout = kind.Duration(6 * time.Minute) }, "timeout: must be greater than 0 and at most 5m"},
		{"bearer", func(s *Settings) { s.HTTP.BearerToken = secret }, "bearer_token: must not hold a secret"},
		{"credentials", func(s *Settings) { s.HTTP.Authorization = &promconfig.Authorization{Credentials: secret} }, "authorization.credentials: must not hold a secret: use authorization.credentials_file"},
		{"password", func(s *Settings) { s.HTTP.BasicAuth = &promconfig.BasicAuth{Password: secret} }, "basic_auth.password: must not hold"},
		{"key", func(s *Settings) { s.HTTP.TLSConfig = promconfig.TLSConfig{CertFile: "c", Key: secret} }, "tls_config.key: must not hold"},
		{"certificate of a manager", func(s *Settings) { s.HTTP.TLSConfig = promconfig.TLSConfig{CARef: "r"} }, "tls_config: must not hold"},
		{"reference", func(s *Settings) { s.HTTP.Authorization = &promconfig.Authorization{CredentialsRef: "r"} }, "authorization.credentials: must not hold"},
		{"proxy", func(s *Settings) { s.HTTP.ProxyURL = proxy }, "proxy_url: must not hold"},
		{"connect header", func(s *Settings) { s.HTTP.ProxyConnectHeader = connect; s.HTTP.ProxyFromEnvironment = true }, "proxy_connect_header: must not hold"},
		{"header", func(s *Settings) {
			s.HTTP.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Key": {Secrets: []promconfig.Secret{secret}}}}
		}, "http_headers.X-Key: must not hold"},
		{"oauth2", oauth(func(o *promconfig.OAuth2) { o.ClientSecretFile, o.ClientSecret = "", secret }), "oauth2.client_secret: must not hold"},
		{"oauth2 key", oauth(func(o *promconfig.OAuth2) { o.TLSConfig = promconfig.TLSConfig{CertFile: "c", Key: secret} }), "oauth2.tls_config.key: must not hold"},
		{"oauth2 proxy", oauth(func(o *promconfig.OAuth2) { o.ProxyURL = proxy }), "oauth2.proxy_url: must not hold"},
		{"two ways", func(s *Settings) {
			s.HTTP.BasicAuth, s.HTTP.Authorization = &promconfig.BasicAuth{PasswordFile: "f"}, &promconfig.Authorization{CredentialsFile: "f"}
		}, ": http client settings: at most one of"},
		{"half a certificate", func(s *Settings) { s.HTTP.TLSConfig.CertFile = "c" }, "tls_config: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Defaults()
			s.URL = "http://server:9090"
			c.with(&s)
			got := problems(&s)
			if c.want == "" && len(got) == 0 {
				return
			}
			if len(got) != 1 || c.want == "" || !strings.HasPrefix(got[0], c.want) {
				t.Errorf("got %q, want one with %q", got, c.want)
			}
			if strings.Contains(strings.Join(got, ""), secret) {
				t.Errorf("%q holds the secret", got)
			}
		})
	}
}

// Validate works on a copy: what the library moves about stays as it was given.
func TestValidateChangesNothing(t *testing.T) {
	s := Defaults()
	s.URL, s.HTTP.BearerTokenFile = "http://p", "token"
	s.HTTP.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Key": {Files: []string{"key"}}}}
	if got := problems(&s); len(got) > 0 {
		t.Fatal(got)
	}
	c := Clone(s.HTTP)
	c.SetDirectory("/etc/signalbox")
	if s.HTTP.Authorization != nil || s.HTTP.BearerTokenFile != "token" || s.HTTP.HTTPHeaders.Headers["X-Key"].Files[0] != "key" {
		t.Errorf("the settings were changed: %+v", s.HTTP)
	}
	if c.HTTPHeaders.Headers["X-Key"].Files[0] != "/etc/signalbox/key" {
		t.Errorf("the copy was not: %+v", c.HTTPHeaders)
	}
}

func TestIn(t *testing.T) {
	for _, c := range [][3]string{{"/etc/s", "a/b", "/etc/s/a/b"}, {"/etc/s", "/a", "/a"}, {"/etc/s", "", ""}} {
		if got := In(c[0], c[1]); got != c[2] {
			t.Errorf("In(%q, %q): got %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

// An address that may hold a password is never repeated, whatever it looks like.
func FuzzValidateURL(f *testing.F) {
	for _, s := range []string{"http://u:" + secret + "@p", "http://" + secret + "@[", "//u:" + secret + "@h/", "http://h/?a=" + secret, "%" + secret, "http://h:" + secret} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		ValidateURL(func(_, rule string, value any) {
			u, err := url.Parse(address)
			if err != nil || u.User == nil {
				return
			}
			password, _ := u.User.Password()
			text := fmt.Sprint(rule, value)
			for _, part := range []string{password, u.User.Username()} {
				if len(part) > 8 && !strings.Contains(u.Host+u.Path+u.Scheme+"must hold no credentials: use basic_auth with password_file", part) && strings.Contains(text, part) {
					t.Errorf("%q: %q holds what stands before @", address, text)
				}
			}
		}, "url", address)
	})
}
