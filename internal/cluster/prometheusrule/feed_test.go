package prometheusrule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/cluster"
	"github.com/signalbox/signalbox/test/servers"
)

const group = `
- name: node
  partial_response_strategy: warn
  interval: 30s
  rules:
    - {alert: Down, expr: up == 0, for: 1m, labels: {severity: page}}
    - {alert: Always, expr: 1}
`

// run keeps a feed until the test ends.
func run(t *testing.T, o Options) *Feed {
	t.Helper()
	f := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

func (f *Feed) keys() []string {
	var keys []string
	list, _ := f.Resources()
	for _, r := range list {
		keys = append(keys, r.Key())
	}
	return keys
}

func (f *Feed) await(t *testing.T, want ...string) {
	t.Helper()
	servers.Await(t, servers.Patience, fmt.Sprintf("the resources %q", want), func(context.Context) error {
		if got := f.keys(); !slices.Equal(got, want) {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
}

// alive asks anew each time, whatever was said ten seconds ago.
func (f *Feed) alive(t *testing.T, want string) {
	t.Helper()
	at := time.Unix(0, 0)
	servers.Await(t, servers.Patience, "Alive to say "+want, func(ctx context.Context) error {
		at = at.Add(2 * lookEvery)
		err := f.Alive(ctx, at)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			return fmt.Errorf("it says %v", err)
		}
		return nil
	})
}

// The whole way, at a real API server: no definition, no right, resources that
// come, change and go, a server that is away and one that is back.
func TestFeed(t *testing.T) {
	k := servers.KubeAPI(t)
	in := k.RuleResources()
	f := run(t, Options{Access: cluster.Access{Kubeconfig: k.Kubeconfig(servers.Daemon)}, Agent: "signalbox"})
	if _, read := f.Resources(); read {
		t.Fatal("nothing was read, and it says so not")
	}
	f.alive(t, "may not list and watch")
	in.Allow()
	f.alive(t, "is the CustomResourceDefinition there?")
	if _, read := f.Resources(); read {
		t.Error("what the API server does not know was not read")
	}
	in.Define()
	in.Apply("default", "node", nil, group)
	f.await(t, "default/node")
	f.alive(t, "")

	list, _ := f.Resources()
	text, err := list[0].File()
	if err != nil || strings.Contains(string(text), ofThanos) || !strings.Contains(string(text), "expr: 1\n") || !strings.Contains(string(text), "for: 1m\n") {
		t.Errorf("got %s, %v", text, err)
	}
	in.Apply("default", "node", nil, strings.Replace(group, "1m", "2m", 1))
	servers.Await(t, servers.Patience, "the change", func(context.Context) error {
		again, _ := f.Resources()
		if text, err := again[0].File(); err != nil || !strings.Contains(string(text), "for: 2m\n") || again[0].Version == list[0].Version {
			return fmt.Errorf("got %s, %w", text, err)
		}
		return nil
	})
	in.Apply("kube-system", "kube", nil, group)
	f.await(t, "default/node", "kube-system/kube")

	in.Forbid()
	f.alive(t, "may not list and watch")
	in.Allow()
	f.alive(t, "")
	in.Delete("default", "node")
	f.await(t, "kube-system/kube")
	k.Pause()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := f.Alive(ctx, time.Now()); err == nil {
		t.Error("a server that hangs must not be said to be alive")
	}
	if got := f.keys(); !slices.Equal(got, []string{"kube-system/kube"}) {
		t.Errorf("what was read is kept while the server hangs, got %q", got)
	}
	k.Resume()
	f.alive(t, "")
}

// Namespaces and a selector bound what is read. What loses the label is gone
// for the watch.
func TestSelection(t *testing.T) {
	k := servers.KubeAPI(t)
	in := k.RuleResources()
	in.Define()
	in.Allow()
	mine := map[string]string{"watched-by": "signalbox"}
	in.Apply("default", "mine", mine, group)
	in.Apply("default", "other", nil, group)
	in.Apply("kube-system", "mine", mine, group)
	in.Apply("kube-public", "mine", mine, group)
	f := run(t, Options{
		Access: cluster.Access{Kubeconfig: k.Kubeconfig(servers.Daemon)}, Namespaces: []string{"default", "kube-public"}, Selector: mine,
	})
	f.await(t, "default/mine", "kube-public/mine")
	f.alive(t, "")
	in.Apply("default", "mine", nil, group)
	f.await(t, "kube-public/mine")
}

// A kubeconfig that is rotated is used without a restart, and what was read
// stays until the new one has read everything.
func TestRotation(t *testing.T) {
	k := servers.KubeAPI(t)
	in := k.RuleResources()
	in.Define()
	in.Allow()
	in.Apply("default", "node", nil, group)
	good, err := os.ReadFile(k.Kubeconfig(servers.Daemon))
	if err != nil {
		t.Fatal(err)
	}
	path := k.Kubeconfig(servers.Daemon)
	f := New(Options{Access: cluster.Access{Kubeconfig: path}})
	if err := f.Alive(t.Context(), time.Now()); !errors.Is(err, errUnread) {
		t.Errorf("before it runs: got %v", err)
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	f = run(t, Options{Access: cluster.Access{Kubeconfig: path}})
	f.alive(t, "current-context")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	f.await(t, "default/node")
	if err := os.WriteFile(path, append(good, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	first := f.now
	f.mu.Unlock()
	servers.Await(t, servers.Patience, "another connection", func(context.Context) error {
		if got := f.keys(); !slices.Equal(got, []string{"default/node"}) {
			t.Fatalf("meanwhile got %q", got)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.now == first {
			return errors.New("it is the same")
		}
		return nil
	})
	f.await(t, "default/node")
}

func TestFileOfWhatIsNoRuleFile(t *testing.T) {
	for name, spec := range map[string]map[string]any{
		"groups is no list": {"groups": map[string]any{}}, "a group is no group": {"groups": []any{"x"}},
	} {
		if text, err := (Resource{spec: spec}).File(); err == nil {
			t.Errorf("%s: got %s", name, text)
		}
	}
	for name, spec := range map[string]map[string]any{"no spec": nil, "no groups": {}, "null": {"groups": nil}} {
		if text, err := (Resource{spec: spec}).File(); err != nil || string(text) != "groups: []\n" {
			t.Errorf("%s: got %s, %v", name, text, err)
		}
	}
}
