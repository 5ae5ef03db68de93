package acceptance

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// queueRule is the spec.groups of a PrometheusRule: an alert on the depth of a
// queue, with a recording rule beside it.
func queueRule(name string, above int) string {
	return fmt.Sprintf(`
- name: queues
  interval: 1s
  partial_response_strategy: abort
  rules:
    - {record: "queue:depth:sum", expr: sum by (queue) (queue_depth)}
    - alert: %s
      expr: queue_depth > %d
      for: 1s
      annotations: {summary: "%s of {{ $labels.queue }}"}
`, name, above, name)
}

// The rules of a cluster's PrometheusRule resources are watched: they page,
// they change without a reload, and a resource that is wrong changes nothing
// and is itself paged.
func TestClusterRules(t *testing.T) {
	t.Parallel()
	s := newRuleStory(t)
	s.b.eventually("the page of a rule in the cluster", s.b.paged("QueueDeep/webhooks", backendKey, "trigger"))
	s.b.eventually("the page of the other", s.b.paged("OtherDeep/others", backendKey, "trigger"))
	hash := s.b.status().Config.Hash
	s.restarts()
	s.refuses()
	s.swaps()
	s.loses()
	if got := s.b.status().Config.Hash; got != hash {
		t.Errorf("the configuration's hash must not follow the resources: %s, was %s", got, hash)
	}
	s.isCutOff()
}

// ruleStory is a cluster with two resources, both of whose alerts fire.
type ruleStory struct {
	t        *testing.T
	b        *box
	kube     *servers.KubeServer
	in       *servers.RuleResources
	exporter *servers.ExporterServer
}

func newRuleStory(t *testing.T) *ruleStory {
	t.Helper()
	s := &ruleStory{t: t, kube: servers.KubeAPI(t), exporter: servers.Exporter(t), b: newBox(t)}
	s.in = s.kube.RuleResources()
	s.in.Define()
	s.in.Allow()
	s.in.Apply("default", "queues", nil, queueRule("QueueDeep", 100))
	s.in.Apply("default", "others", nil, strings.ReplaceAll(queueRule("OtherDeep", 1000), "queue_depth", "other_depth"))
	s.exporter.Set("queue_depth", 900, "queue", "webhooks")
	s.exporter.Set("other_depth", 9000, "queue", "others")
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"psp": {s.exporter.Host()}}})
	s.b.write("rules.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q}
  cluster: {kind: kubernetes, kubeconfig: %q}
rule_files:
  - {source: metrics, cluster: cluster, subject: "{{alertname}}/{{queue}}", owner: backend, unknown_after: 5s}
`, metrics.URL, s.kube.Kubeconfig(servers.Daemon)))
	s.b.start()
	return s
}

// same says whether both alerts are paged once, and open.
func (s *ruleStory) same() error {
	if err := s.b.paged("QueueDeep/webhooks", backendKey, "trigger")(); err != nil {
		return err
	}
	return s.b.paged("OtherDeep/others", backendKey, "trigger")()
}

// restarts: after a restart they are the same incidents.
func (s *ruleStory) restarts() {
	s.b.kill()
	s.b.start()
	s.b.eventually("the rules to be in force again", s.b.ruled(2, 0))
	s.b.steadily(3*time.Second, "the restart changes nothing", s.same)
}

// refuses: what is wrong changes nothing, and is paged as an Unknown of the
// source.
func (s *ruleStory) refuses() {
	s.in.Apply("default", "queues", nil, strings.Replace(queueRule("QueueDeep", 100), "queue_depth > 100", "queue_depth >", 1))
	s.b.eventually("the refusal", s.b.logged("a PrometheusRule is refused", "default/queues", "QueueDeep"))
	s.b.eventually("its metric", s.b.ruled(2, 1))
	s.b.eventually("its page", s.b.paged("source/cluster", devopsKey, "trigger"))
	s.b.steadily(2*time.Second, "the old rule goes on", s.same)
}

// swaps: a right one is put in force; the other resource notices nothing.
func (s *ruleStory) swaps() {
	s.in.Apply("default", "queues", nil, queueRule("QueueDeep", 5000))
	s.b.eventually("the source's page to be resolved", s.b.paged("source/cluster", devopsKey, "trigger", "resolve"))
	s.b.eventually("the alert to end, since it is below the new bound", s.b.paged("QueueDeep/webhooks", backendKey, "trigger", "resolve"))
	s.exporter.Set("queue_depth", 9000, "queue", "webhooks")
	s.b.eventually("the new bound to be watched", s.b.pagedTimes("QueueDeep/webhooks", 2))
	if err := s.b.paged("OtherDeep/others", backendKey, "trigger")(); err != nil {
		s.t.Error(err)
	}
}

// loses: a resource that is gone ends its detectors. Their incident ends as
// expired: it is not said that all is well.
func (s *ruleStory) loses() {
	id := s.b.incidentOf("OtherDeep")
	s.in.Delete("default", "others")
	s.b.eventually("the incident of the resource that is gone to end", func() error {
		for _, inc := range s.b.status().Incidents {
			if string(inc.ID) == id {
				return errors.New("it is open")
			}
		}
		return nil
	})
	if said := s.b.must("explain", id); !strings.Contains(said, "expired") || !strings.Contains(said, "no longer has") {
		s.t.Errorf("explain must tell why it ended:\n%s", said)
	}
}

// isCutOff: the API server hangs; the rules go on, and it is told.
func (s *ruleStory) isCutOff() {
	s.kube.Pause()
	defer s.kube.Resume()
	s.b.eventually("the source's next page", s.b.pagedTimes("source/cluster", 2))
	s.exporter.Set("queue_depth", 1, "queue", "webhooks")
	s.b.eventually("the rules to be watched all the same", func() error {
		if found := s.b.pages("QueueDeep/webhooks"); len(found) != 2 || len(found[1].Events) != 2 || found[1].Events[1].Action != "resolve" {
			return fmt.Errorf("got %+v", found)
		}
		return nil
	})
}

// ruled says whether the metrics tell of so many rules in force and resources
// refused.
func (b *box) ruled(rules, refused int) func() error {
	return func() error {
		text, err := b.metrics()
		if err != nil {
			return err
		}
		for _, want := range []string{
			fmt.Sprintf("signalbox_cluster_rules{source=\"cluster\"} %d\n", rules),
			fmt.Sprintf("signalbox_cluster_rule_resources{source=\"cluster\",state=\"refused\"} %d\n", refused),
		} {
			if !strings.Contains(text, want) {
				return fmt.Errorf("the metrics must tell %q", want)
			}
		}
		return nil
	}
}

func (b *box) pagedTimes(text string, n int) func() error {
	return func() error {
		if found := b.pages(text); len(found) != n {
			return fmt.Errorf("pages about %s: got %d, want %d", text, len(found), n)
		}
		return nil
	}
}

func (b *box) incidentOf(subject string) string {
	b.t.Helper()
	for _, inc := range b.status().Incidents {
		if strings.HasPrefix(inc.Reading.Subject, subject) {
			return string(inc.ID)
		}
	}
	b.t.Fatalf("no open incident of %s", subject)
	return ""
}
