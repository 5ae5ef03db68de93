package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
)

func TestValidate(t *testing.T) {
	cases := []struct {
		name string
		s    Settings
		want string // in the only problem; "": none
	}{
		{"by file", Settings{Kubeconfig: "k"}, ""},
		{"by pod", Settings{InCluster: true, Namespaces: []string{"core", "payments"}}, ""},
		{"by nothing", Settings{}, "must have kubeconfig, or in_cluster: true"},
		{"by both", Settings{Kubeconfig: "k", InCluster: true}, "in_cluster: must not be given"},
		{"a namespace that can't be", Settings{InCluster: true, Namespaces: []string{"core", "../x"}}, "namespaces[1]: must be the name"},
		{"a namespace twice", Settings{InCluster: true, Namespaces: []string{"core", "core"}}, "namespaces[1]: must not be listed twice"},
		{"too short", Settings{InCluster: true, StaleAfter: kind.Duration(time.Second)}, "stale_after: must be between"},
		{"too long", Settings{InCluster: true, StaleAfter: kind.Duration(time.Hour)}, "stale_after: must be between"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			c.s.Validate(func(path, rule string, value any) {
				got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
			})
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	New().Validate(func(path, rule string, _ any) {
		if path != "" {
			t.Errorf("the defaults break a rule: %s %s", path, rule)
		}
	})
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	for file, want := range map[string]string{"k.yaml": filepath.Join(dir, "k.yaml"), "/etc/k.yaml": "/etc/k.yaml"} {
		a, err := (&Settings{Kubeconfig: file}).Resolve(dir)
		if err != nil || a != (Access{Kubeconfig: want}) {
			t.Errorf("%s: got %+v, %v", file, a, err)
		}
	}
	if a, err := (&Settings{InCluster: true}).Resolve(dir); err != nil || a != (Access{InCluster: true}) {
		t.Errorf("in the cluster: got %+v, %v", a, err)
	}
}

const kubeconfig = `{"apiVersion":"v1","kind":"Config","current-context":"x","contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],
"clusters":[{"name":"x","cluster":{"server":"https://127.0.0.1:6443"}}],"users":[{"name":"x","user":{"token":"t0ken"}}]}`

func TestFingerprintFollowsTheFile(t *testing.T) {
	a := Access{Kubeconfig: filepath.Join(t.TempDir(), "k")}
	if _, err := a.Fingerprint(); err == nil {
		t.Error("a file that is not there must be an error")
	}
	seen := map[string]bool{}
	for _, content := range []string{kubeconfig, kubeconfig + "\n"} {
		if err := os.WriteFile(a.Kubeconfig, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := a.Fingerprint()
		if err != nil || seen[f] || strings.Contains(f, "t0ken") {
			t.Errorf("got %q, %v", f, err)
		}
		seen[f] = true
	}
}

func TestConfig(t *testing.T) {
	a := Access{Kubeconfig: filepath.Join(t.TempDir(), "k")}
	if err := os.WriteFile(a.Kubeconfig, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := a.Config("signalbox/1")
	if err != nil {
		t.Fatal(err)
	}
	if config.QPS >= 0 || config.UserAgent != "signalbox/1" || config.BearerToken != "t0ken" {
		t.Errorf("got QPS %v, agent %q", config.QPS, config.UserAgent)
	}
	h, err := HTTPClient(config)
	if err != nil || h.CheckRedirect == nil || h.CheckRedirect(nil, nil) == nil {
		t.Errorf("a client that follows redirects: %v", err)
	}
}
