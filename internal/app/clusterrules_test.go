package app

import (
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/signalbox/signalbox/detectors/rules"
	"github.com/signalbox/signalbox/internal/config"
)

// inCluster includes a cluster's rules, twice; its API server is nobody.
const inCluster = `
sources:
  metrics: {kind: prometheus, url: "http://127.0.0.1:9"}
  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig}
rule_files:
  - {source: metrics, cluster: cluster, subject: "{{alertname}}", match: {severity: page}}
  - {source: metrics, cluster: cluster, subject: "{{alertname}}", match: {severity: ticket}}
`

const nobodysKubeconfig = `{"apiVersion":"v1","kind":"Config","current-context":"x","contexts":[{"name":"x","context":{"cluster":"x","user":"x"}}],
"clusters":[{"name":"x","cluster":{"server":"https://127.0.0.1:9"}}],"users":[{"name":"x","user":{"token":"t0ken"}}]}`

func (h *house) names() (names []string) {
	for _, p := range h.d.current().polled {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

// feeds are those that run.
func (h *house) feeds() (list []*ruleFeed) {
	h.d.swapping.Lock()
	defer h.d.swapping.Unlock()
	for _, f := range h.d.feeds {
		list = append(list, f)
	}
	return list
}

// say puts resources into a feed, as if they were read; "" is one that is
// refused from the start.
func (h *house) say(resources map[string]string) {
	h.t.Helper()
	feeds := h.feeds()
	for _, f := range feeds {
		f.mu.Lock()
		f.resources = map[string]*ruleResource{}
		for key, text := range resources {
			r := &ruleResource{refused: "refused"}
			if text != "" {
				placed, problems := rules.Read("cluster/"+key, []byte(text))
				if len(problems) > 0 {
					h.t.Fatal(problems)
				}
				r = &ruleResource{inForce: true}
				for _, p := range placed {
					r.rules = append(r.rules, configRule(p))
				}
			}
			f.resources[key] = r
		}
		f.mu.Unlock()
	}
	for _, f := range feeds {
		if err := h.d.swapRules(h.t.Context(), f, true); err != nil {
			h.t.Fatal(err)
		}
	}
}

const pageAndTicket = `groups:
  - name: g
    rules:
      - {alert: P, expr: up == 0, labels: {severity: page}}
      - {alert: T, expr: up == 0, labels: {severity: ticket}}
`

// Detectors of resources come and go beside those of the configuration, which
// notice nothing; and they outlive a reload that changes how they are selected.
func TestClusterRulesBesideTheConfiguration(t *testing.T) {
	h := newHouse(t, inCluster)
	h.write("secrets/kubeconfig", nobodysKubeconfig)
	h.write("detectors.yaml", "detectors: [{name: up, source: metrics, query: up, breach: {below: 1}, subject: x}]\n")
	h.open()
	own := []string{"prometheusrules/cluster", "prometheusrules/cluster#2", "up"}
	if got := h.names(); !slices.Equal(got, own) || len(h.feeds()) != 1 || !h.d.current().set.MayCome("cluster/core/x/g/P") {
		t.Fatalf("got %q, %d feeds", got, len(h.feeds()))
	}
	up := h.d.current().polled[0].Detector
	hash := h.d.current().config.Hash
	h.say(map[string]string{"core/x": pageAndTicket, "core/broken": ""})
	want := append([]string{"cluster/core/x/g/P", "cluster/core/x/g/T"}, own...)
	if got := h.names(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if h.d.current().polled[0].Detector != up || h.d.current().config.Hash != hash {
		t.Error("the configuration's own detectors must be the same")
	}
	for state, want := range map[string]float64{"in_force": 1, "refused": 1} {
		if got := testutil.ToFloat64(h.d.metrics.ruleResources.WithLabelValues("cluster", state)); got != want {
			t.Errorf("resources %s: got %g, want %g", state, got, want)
		}
	}
	p := h.judges()["cluster/core/x/g/P"]
	h.write("story.yaml", strings.ReplaceAll(inCluster, "cluster: cluster,", "cluster: cluster, selector: {a: b},"))
	if got := h.reload(); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if got := h.names(); !slices.Equal(got, want) || h.judges()["cluster/core/x/g/P"] != p {
		t.Errorf("another selection: got %q, want %q, with what they remember", got, want)
	}
	h.say(nil)
	if got := h.names(); !slices.Equal(got, own) {
		t.Errorf("gone: got %q", got)
	}
}

// Beyond the bound of all rules a resource is not taken, and told.
func TestClusterRulesAreBounded(t *testing.T) {
	h := newHouse(t, inCluster)
	h.write("secrets/kubeconfig", nobodysKubeconfig)
	h.open()
	one := "groups:\n  - name: g\n    rules:\n      - {alert: P, expr: vector(1) > 2, labels: {severity: page}}\n"
	h.say(map[string]string{"core/a": one})
	feeds := h.feeds()
	h.d.swapping.Lock()
	for _, f := range feeds {
		f.mu.Lock()
		r := f.resources["core/a"]
		f.resources["core/b"] = &ruleResource{inForce: true, rules: slices.Repeat(r.rules, config.MaxRules)}
		f.mu.Unlock()
	}
	rt, err := h.d.withRules(h.d.current().fixed)
	h.d.swapping.Unlock()
	if err != nil || rt.set.Detectors["cluster/core/a/g/P"].Source == "" || len(rt.polled) > 10 || !rt.set.MayCome("cluster/core/b/g/P") {
		t.Errorf("got %d detectors, %v", len(rt.polled), err)
	}
	for _, f := range feeds {
		if why := f.resources["core/b"].fault(); !strings.Contains(why, "more than 10000 rules") {
			t.Errorf("got %q", why)
		}
	}
}
