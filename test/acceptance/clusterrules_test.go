package acceptance

import (
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
	kube, exporter, b := servers.KubeAPI(t), servers.Exporter(t), newBox(t)
	in := kube.RuleResources()
	in.Define()
	in.Allow()
	in.Apply("default", "queues", nil, queueRule("QueueDeep", 100))
	in.Apply("default", "others", nil, strings.ReplaceAll(queueRule("OtherDeep", 1000), "queue_depth", "other_depth"))
	exporter.Set("queue_depth", 900, "queue", "webhooks")
	exporter.Set("other_depth", 9000, "queue", "others")
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"psp": {exporter.Host()}}})
	b.write("rules.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q}
  cluster: {kind: kubernetes, kubeconfig: %q}
rule_files:
  - {source: metrics, cluster: cluster, subject: "{{alertname}}/{{queue}}", owner: backend, unknown_after: 5s}
`, metrics.URL, kube.Kubeconfig(servers.Daemon)))
	b.start()
	b.eventually("the page of a rule in the cluster", b.paged("QueueDeep/webhooks", backendKey, "trigger"))
	b.eventually("the page of the other", b.paged("OtherDeep/others", backendKey, "trigger"))
	hash := b.status().Config.Hash

	// After a restart they are the same incidents.
	b.kill()
	b.start()
	same := func(more string) func() error {
		return func() error {
			for _, open := range []string{"QueueDeep/webhooks", "OtherDeep/others"} {
				if err := b.paged(open, backendKey, "trigger")(); err != nil {
					return fmt.Errorf("%s: %w", more, err)
				}
			}
			return nil
		}
	}
	b.eventually("the rules to be in force again", b.ruled(2, 0))
	b.steadily(3*time.Second, "the restart changes nothing", same("restarted"))

	// What is wrong changes nothing, and is paged as an Unknown of the source.
	in.Apply("default", "queues", nil, strings.Replace(queueRule("QueueDeep", 100), "queue_depth > 100", "queue_depth >", 1))
	b.eventually("the refusal", b.logged("a PrometheusRule is refused", "default/queues", "QueueDeep"))
	b.eventually("its metric", b.ruled(2, 1))
	b.eventually("its page", b.paged("source/cluster", devopsKey, "trigger"))
	b.steadily(2*time.Second, "the old rule goes on", same("refused"))

	// A right one is swapped in; the other resource notices nothing.
	in.Apply("default", "queues", nil, queueRule("QueueDeep", 5000))
	b.eventually("the source's page to be resolved", b.paged("source/cluster", devopsKey, "trigger", "resolve"))
	b.eventually("the alert to end, since it is below the new bound", b.paged("QueueDeep/webhooks", backendKey, "trigger", "resolve"))
	exporter.Set("queue_depth", 9000, "queue", "webhooks")
	b.eventually("the new bound to be watched", func() error {
		if n := len(b.pages("QueueDeep/webhooks")); n != 2 {
			return fmt.Errorf("pages: got %d, want 2", n)
		}
		return nil
	})
	if err := b.paged("OtherDeep/others", backendKey, "trigger")(); err != nil {
		t.Error(err)
	}

	// A resource that is gone ends its detectors. Their incident ends as
	// expired: it is not said that all is well.
	id := b.incidentOf("OtherDeep")
	in.Delete("default", "others")
	b.eventually("the incident of the resource that is gone to end", func() error {
		for _, inc := range b.status().Incidents {
			if string(inc.ID) == id {
				return fmt.Errorf("it is open")
			}
		}
		return nil
	})
	if said := b.must("explain", id); !strings.Contains(said, "expired") || !strings.Contains(said, "no longer has") {
		t.Errorf("explain must tell why it ended:\n%s", said)
	}
	if got := b.status().Config.Hash; got != hash {
		t.Errorf("the configuration's hash must not follow the resources: %s, was %s", got, hash)
	}

	// The API server hangs: the rules go on, and it is told.
	kube.Pause()
	b.eventually("the source's next page", b.pagedTimes("source/cluster", 2))
	exporter.Set("queue_depth", 1, "queue", "webhooks")
	b.eventually("the rules to be watched all the same", func() error {
		if found := b.pages("QueueDeep/webhooks"); len(found[1].Events) != 2 || found[1].Events[1].Action != "resolve" {
			return fmt.Errorf("got %+v", found[1].Events)
		}
		return nil
	})
	kube.Resume()
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
