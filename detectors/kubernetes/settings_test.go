package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/internal/kind"
)

func TestValidate(t *testing.T) {
	minusOne := -1
	pods := func(s Scope) *DetectorSettings { return &DetectorSettings{Pods: &s} }
	cases := []struct {
		name string
		d    *DetectorSettings
		want string // in the only problem; "": none
	}{
		{"all pods", pods(Scope{}), ""},
		{"all that can be said", &DetectorSettings{Workloads: &WorkloadScope{Kinds: []string{"Deployment"}, Scope: Scope{Namespaces: []string{"core"}, Filter: Filter{
			Selector: "a=b,!c", Reasons: []string{"Unavailable"}, After: map[string]kind.Duration{"Unavailable": 1},
		}}}}, ""},
		{"a kubelet's other word", pods(Scope{Filter: Filter{Reasons: []string{"CrashLoopBackOff", "ErrImagePull"}}}), ""},
		{"a reason on request", &DetectorSettings{Nodes: &NodeScope{Filter{Reasons: []string{"CordonedNotReady"}}}}, ""},
		{"nothing", &DetectorSettings{}, "must have exactly one of pods, workloads"},
		{"two", &DetectorSettings{Pods: &Scope{}, Jobs: &Scope{}}, "must have exactly one of pods, workloads"},
		{"an unknown kind", &DetectorSettings{Workloads: &WorkloadScope{Kinds: []string{"ReplicaSet"}}}, "workloads.kinds[0]: must be one of Deployment, StatefulSet, DaemonSet, got ReplicaSet"},
		{"an unknown reason", pods(Scope{Filter: Filter{Reasons: []string{"Sad"}}}), "pods.reasons[0]: must be one of CrashLoopBackOff,"},
		{"a reason of another key", pods(Scope{Filter: Filter{Reasons: []string{"OutOfSync"}}}), "pods.reasons[0]: must be one of"},
		{"a reason twice, under two words", pods(Scope{Filter: Filter{Reasons: []string{"ImagePullBackOff", "ErrImagePull"}}}), "pods.reasons[1]: must not be listed twice"},
		{"a selector that isn't one", pods(Scope{Filter: Filter{Selector: "a in b"}}), "pods.selector: must be a label selector"},
		{"a namespace that can't be", pods(Scope{Namespaces: []string{"Core"}}), "pods.namespaces[0]: must be the name of a namespace"},
		{"a grace of nothing", pods(Scope{Filter: Filter{After: map[string]kind.Duration{"Sad": 1}}}), "pods.after.Sad: must be one of"},
		{"a grace of what isn't looked for", pods(Scope{Filter: Filter{Reasons: []string{"Evicted"}, After: map[string]kind.Duration{"NotReady": 1}}}), "pods.after.NotReady: must be one of those that are looked for"},
		{"fewer than nothing", pods(Scope{Filter: Filter{Expect: &minusOne}}), "pods.expect: must be at least 0"},
		{"at least fewer than nothing", &DetectorSettings{Pods: &Scope{}, Breach: Breach{AtLeast: -1}}, "breach.at_least: must be at least 1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			c.d.Validate(func(path, rule string, value any) {
				got = append(got, fmt.Sprintf("%s: %s, got %v", path, rule, value))
			})
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBuild(t *testing.T) {
	common := func(subject string, labels ...string) kind.Common {
		c := kind.Common{Name: "d", Source: "cluster", Labels: labels}
		if err := c.Subject.UnmarshalText([]byte(subject)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	zero := kind.Duration(0)
	cases := []struct {
		name string
		c    kind.Common
		d    *DetectorSettings
		want string // in the error; "": none
	}{
		{"pods", common("{{namespace}}/{{workload}}"), &DetectorSettings{Pods: &Scope{Namespaces: []string{"core"}}}, ""},
		{"a namespace beyond the source's", common("{{workload}}"), &DetectorSettings{Pods: &Scope{Namespaces: []string{"cor"}}}, "namespace cor is not among those of source cluster (core, pay)"},
		{"a subject of a label that there isn't", common("{{pod}}"), &DetectorSettings{Pods: &Scope{}}, `pods have no label "pod", only workload`},
		{"nodes have no namespace", common("{{namespace}}"), &DetectorSettings{Nodes: &NodeScope{}}, `nodes have no label "namespace"`},
		{"a label that there isn't", common("x", "pod"), &DetectorSettings{Pods: &Scope{}}, `pods have no label "pod"`},
		{"clear at once", common("x"), &DetectorSettings{Pods: &Scope{}, Clear: Clear{For: &zero}}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, timing, err := c.d.Build(c.c, aSource(t, "pay", "core"))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			want := time.Minute
			if c.d.Clear.For != nil {
				want = 0
			}
			if timing.ClearFor != want {
				t.Errorf("clear for %s, want %s", timing.ClearFor, want)
			}
		})
	}
}

// One watch a namespace where the source lists them, one for all where it does
// not; none that nobody asks for; and those that are there are shared.
func TestWatchesAreShared(t *testing.T) {
	for _, c := range []struct {
		namespaces []string
		want       string
	}{
		{nil, "deployments.apps in all namespaces; nodes; pods in all namespaces"},
		{[]string{"core", "pay"}, "deployments.apps in namespace core; deployments.apps in namespace pay; nodes; pods in namespace core; pods in namespace pay"},
	} {
		src := aSource(t, c.namespaces...)
		build(t, src, &DetectorSettings{Pods: &Scope{}})
		build(t, src, &DetectorSettings{Pods: &Scope{Namespaces: []string{"core"}}})
		build(t, src, &DetectorSettings{Pods: &Scope{Filter: Filter{Reasons: []string{"Evicted"}}}})
		build(t, src, &DetectorSettings{Workloads: &WorkloadScope{Kinds: []string{"Deployment"}}})
		build(t, src, &DetectorSettings{Nodes: &NodeScope{}})
		var got []string
		for _, f := range src.feeds {
			got = append(got, f.String())
		}
		if text := strings.Join(sorted(got), "; "); text != c.want {
			t.Errorf("got %q, want %q", text, c.want)
		}
	}
}

// Two definitions have two texts, and one has one, whatever is under its
// pointers.
func TestDefinitionsAreTold(t *testing.T) {
	one, same, other := kind.Duration(time.Minute), kind.Duration(time.Minute), kind.Duration(time.Hour)
	text := func(d *kind.Duration) string {
		return fmt.Sprintf("%+v", &DetectorSettings{Pods: &Scope{}, Clear: Clear{For: d}})
	}
	if text(&one) != text(&same) || text(&one) == text(&other) {
		t.Errorf("got %s, %s and %s", text(&one), text(&same), text(&other))
	}
}

func sorted(list []string) []string { slices.Sort(list); return list }
