package setting

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	promconfig "github.com/prometheus/common/config"

	kube "github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/internal/kind"
	"github.com/signalbox/signalbox/internal/reach"
)

// problems validates settings and returns what they fail, as "path: rule".
func problems(s kind.Settings) []string {
	var all []string
	s.Validate(func(path, rule string, value any) {
		all = append(all, fmt.Sprintf("%s: %s, got %v", path, rule, value))
	})
	return all
}

func TestValidate(t *testing.T) {
	web := func(change func(*HTTP)) *HTTP {
		h := newHTTP()
		h.URL = "https://settings.example/read"
		change(h)
		return h
	}
	cases := []struct {
		name string
		s    kind.Settings
		want string // in the only problem; "": none
	}{
		{"configmap", &ConfigMap{Source: "c", Namespace: "core", Name: "core-env", Key: "DB_READONLY_ENDPOINT"}, ""},
		{"no source", &ConfigMap{Source: "", Namespace: "core", Name: "core-env", Key: "K"}, "source: must name a source"},
		{"namespace", &ConfigMap{Source: "c", Namespace: "core/../kube-system", Name: "core-env", Key: "K"}, "namespace: must be"},
		{"name", &ConfigMap{Source: "c", Namespace: "core", Name: "Core", Key: "K"}, "name: must be"},
		{"key", &ConfigMap{Source: "c", Namespace: "core", Name: "core-env", Key: "../K"}, "key: must be"},
		{"http", web(func(*HTTP) {}), ""},
		{"http with files", web(func(h *HTTP) {
			h.HTTPClientConfig.Authorization = &promconfig.Authorization{CredentialsFile: "token"}
		}), ""},
		{"scheme", web(func(h *HTTP) { h.URL = "file:///etc/passwd" }), "url: must begin with http"},
		{"no host", web(func(h *HTTP) { h.URL = "http:///x" }), "url: must name a host"},
		{"credentials in the url", web(func(h *HTTP) { h.URL = "http://u:" + secret + "@x/y" }), "url: must not hold credentials"},
		{"query", web(func(h *HTTP) { h.URL = "http://x/y?key=" + secret }), "url: must have no query"},
		{"not a url", web(func(h *HTTP) { h.URL = "http://x/%zz" + secret }), "url: must be a URL"},
		{"no field", web(func(h *HTTP) { h.Field = "" }), "field: must name"},
		{"our field", web(func(h *HTTP) { h.Field = "signalbox" }), "field: must name"},
		{"latency", web(func(h *HTTP) { h.Latency = 0 }), "latency: must be above 0"},
		{"redirects", web(func(h *HTTP) { h.HTTPClientConfig.FollowRedirects = true }), "follow_redirects: must be false"},
		{"secret inline", web(func(h *HTTP) {
			h.HTTPClientConfig.Authorization = &promconfig.Authorization{Credentials: secret}
		}), "must hold no secret"},
		{"secret manager", web(func(h *HTTP) {
			h.HTTPClientConfig.BasicAuth = &promconfig.BasicAuth{Username: "u", PasswordRef: "vault"}
		}), "secret manager"},
		{"proxy with credentials", web(func(h *HTTP) {
			h.HTTPClientConfig.ProxyURL = promconfig.URL{URL: &url.URL{Scheme: "http", Host: "p", User: url.UserPassword("u", secret)}}
		}), "proxy_url: must not hold credentials"},
		{"two ways in", web(func(h *HTTP) {
			h.HTTPClientConfig.BasicAuth = &promconfig.BasicAuth{Username: "u", PasswordFile: "p"}
			h.HTTPClientConfig.Authorization = &promconfig.Authorization{CredentialsFile: "token"}
		}), "at most one of"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := problems(c.s)
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			noSecret(t, got)
		})
	}
}

// TestSpec: paths become absolute, everything survives the way back, and
// nothing is shared with the settings.
func TestSpec(t *testing.T) {
	dir := t.TempDir()
	h := newHTTP()
	h.URL, h.Latency = "https://settings.example/read/", kind.Duration(2*time.Minute)
	h.HTTPClientConfig.Authorization = &promconfig.Authorization{CredentialsFile: "token"}
	h.HTTPClientConfig.HTTPHeaders = &promconfig.Headers{Headers: map[string]promconfig.Header{"X-Tenant": {Values: []string{"prod"}, Files: []string{"tenant"}}}}
	h.HTTPClientConfig.TLSConfig.CAFile = "/etc/ca.pem"
	raw, err := Resolve(kind.SpecInput{Name: "s", Backend: "http", Settings: h, Positions: positions, ConfigDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s, err := parseSpec(raw)
	if err != nil {
		t.Fatal(err)
	}
	client, err := promconfig.LoadHTTPConfig(s.HTTP.Client)
	if err != nil {
		t.Fatal(err)
	}
	header := client.HTTPHeaders.Headers["X-Tenant"]
	if client.Authorization.CredentialsFile != filepath.Join(dir, "token") || client.TLSConfig.CAFile != "/etc/ca.pem" || client.FollowRedirects ||
		!reflect.DeepEqual(header.Files, []string{filepath.Join(dir, "tenant")}) || s.HTTP.URL != h.URL || s.HTTP.Latency != h.Latency || s.HTTP.Field != "value" {
		t.Errorf("%s", raw)
	}
	if h.HTTPClientConfig.Authorization.CredentialsFile != "token" {
		t.Error("the settings were changed")
	}
}

func TestSpecRefuses(t *testing.T) {
	cluster := func(name string, s kind.Settings) func(string) (string, kind.Settings, bool) {
		return func(string) (string, kind.Settings, bool) { return name, s, s != nil }
	}
	configMap := &ConfigMap{Source: "c", Namespace: "core", Name: "core-env", Key: "K"}
	good := cluster("kubernetes", &kube.Settings{Kubeconfig: "k"})
	cases := []struct {
		name string
		in   kind.SpecInput
		want string
	}{
		{"no source", kind.SpecInput{Settings: configMap, Positions: positions, Source: cluster("", nil)}, "must name a source of kind kubernetes"},
		{"source of another kind", kind.SpecInput{Settings: configMap, Positions: positions, Source: cluster("prometheus", newHTTP())}, "must name a source of kind kubernetes"},
		{"no positions", kind.SpecInput{Settings: configMap, Source: good}, "must list at least one"},
		{"an empty one", kind.SpecInput{Settings: configMap, Source: good, Positions: map[string]string{"a": ""}}, "positions.a must not be empty"},
		{"two alike", kind.SpecInput{Settings: configMap, Source: good, Positions: map[string]string{"a": "x", "b": "x"}}, "must have different values"},
		{"a password", kind.SpecInput{Settings: configMap, Source: good, Positions: map[string]string{"a": "redis://u:" + secret + "@x"}}, "must hold no password"},
		{"two lines", kind.SpecInput{Settings: configMap, Source: good, Positions: map[string]string{"a": "x\ny"}}, "print on one line"},
		{"no backend", kind.SpecInput{Positions: positions, Backend: "redis"}, `got "redis"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Resolve(c.in)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			noSecret(t, err)
		})
	}
}

func TestKubeconfigRefused(t *testing.T) {
	dir := t.TempDir()
	cases := []struct{ name, content, want string }{
		{"missing", "", "no such file"},
		{"not yaml", "users: [" + secret, "is not a kubeconfig"},
		{"no context", `{"apiVersion":"v1","kind":"Config","users":[{"name":"x","user":{"token":"` + secret + `"}}]}`, "must have a current-context"},
		{"context of nothing", `{"apiVersion":"v1","kind":"Config","current-context":"x"}`, "is incomplete"},
		{"a certificate that is none", `{"apiVersion":"v1","kind":"Config","current-context":"x","contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],
			"clusters":[{"name":"x","cluster":{"server":"https://x","certificate-authority-data":"` + secret + `="}}],"users":[{"name":"x","user":{"token":"` + secret + `"}}]}`, "is not a kubeconfig"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			if c.content != "" {
				if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := reach.NewClients("", nil).Cluster(kube.Access{Kubeconfig: path})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			noSecret(t, err)
		})
	}
}

// TestRotatedKubeconfig: the next use takes the new one.
func TestRotatedKubeconfig(t *testing.T) {
	x, r := newTarget(t), newRemediator(t)
	s := x.step(t, backendConfigMap, "replica-b")
	sp, err := parseSpec(s.Spec)
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(sp.ConfigMap.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b string) {
		if err := os.WriteFile(sp.ConfigMap.Kubeconfig, []byte(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.ReplaceAll(string(good), secret, "expired"))
	if f, err := r.Preview(t.Context(), s); err != nil || !strings.Contains(f.Refused, "credentials") {
		t.Errorf("expired: %+v, %v", f, err)
	}
	write(string(good))
	if f, err := r.Preview(t.Context(), s); err != nil || f.Refused != "" {
		t.Errorf("rotated: %+v, %v", f, err)
	}
}

func TestCanonicalURL(t *testing.T) {
	for in, want := range map[string]string{
		"HTTP://Settings.Example:80/a//b/../c/": "http://settings.example/a/c",
		"https://settings.example.:443":         "https://settings.example/",
		"https://[::1]:8443/x":                  "https://[::1]:8443/x",
		"http://x:443/a%2Fb":                    "http://x:443/a%2Fb",
	} {
		u, err := url.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := canonicalURL(u); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

func FuzzSpec(f *testing.F) {
	f.Add([]byte(`{"backend":"http","positions":{"a":"x"},"http":{"url":"http://x/","field":"value","latency":"30s","client":"{}"}}`))
	f.Add([]byte(`{"backend":"configmap","positions":{"a":"x"},"expect":"x","configmap":{"in_cluster":true,"namespace":"n","name":"m","key":"k"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := parseSpec(raw)
		if err != nil {
			return
		}
		again, err := s.undoing("x")
		if err != nil || !json.Valid(again) {
			t.Fatalf("%s, %v", again, err)
		}
		if back, err := parseSpec(again); err != nil || *back.Expect != "x" {
			t.Fatalf("%s: %v", again, err)
		}
	})
}

func TestValidateRedis(t *testing.T) {
	for want, r := range map[string]Redis{
		"":                       {Address: "redis.data-plane:6379", Key: "REDIS_SECONDARY"},
		"address: must be host":  {Address: "redis.data-plane", Key: "K"},
		"key: must be a key":     {Address: "h:1", Key: "a\nb"},
		"does not begin with":    {Address: "h:1", Key: "signalbox:fence:x"},
		"must name files":        {Address: "h:1", Key: "K", TLS: &promconfig.TLSConfig{Key: secret}},
		"a valid TLS":            {Address: "h:1", Key: "K", TLS: &promconfig.TLSConfig{CertFile: "only"}},
		"must be host:port, got": {Address: "h:99999", Key: "K"},
	} {
		if got := strings.Join(problems(&r), "; "); (want == "") != (got == "") || !strings.Contains(got, strings.TrimSuffix(want, ", got")) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestValidateEnv(t *testing.T) {
	good := Env{Source: "c", Namespace: "core", Deployment: "web", Container: "app", Name: "REDIS_SECONDARY", Timeout: defaultTimeout}
	for want, edit := range map[string]func(*Env){
		"":                         func(*Env) {},
		"source: must name":        func(e *Env) { e.Source = "" },
		"namespace: must be":       func(e *Env) { e.Namespace = "Core" },
		"must have exactly one of": func(e *Env) { e.StatefulSet = "web" },
		"deployment: must be":      func(e *Env) { e.Deployment = "a/b" },
		"daemonset: must be":       func(e *Env) { e.Deployment, e.DaemonSet = "", "A" },
		"container: must be":       func(e *Env) { e.Container = "" },
		"name: must be":            func(e *Env) { e.Name = "A=B" },
		"timeout: must be":         func(e *Env) { e.Timeout = kind.Duration(time.Second) },
	} {
		e := good
		edit(&e)
		if got := strings.Join(problems(&e), "; "); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
