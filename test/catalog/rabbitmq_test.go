package catalog

import (
	"testing"
	"time"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// A queue without a consumer fills up, gets old and is stuck; a consumer that
// acknowledges makes it well.
func TestRabbitQueue(t *testing.T) {
	t.Parallel()
	rabbit := servers.RabbitMQ(t)
	metrics := servers.Prometheus(t, servers.PrometheusOptions{
		Scrape: map[string][]string{"rabbitmq": {rabbit.Metrics}},
		Paths:  map[string]string{"rabbitmq": "/metrics/detailed?family=queue_coarse_metrics&family=queue_metrics&family=channel_queue_metrics"},
	})
	rabbit.Declare("webhooks")
	rabbit.Declare("taken")
	watches := watching(
		t, metrics.URL,
		`{name: depth, source: metrics, catalog: webhook-backlog-rabbitmq, with: {select: 'queue="webhooks"'}, interval: 1s, max_age: 20s, breach: {above: 50, for: 1s}, clear: {below: 10, for: 1s}}`,
		`{name: age, source: metrics, catalog: webhook-age-rabbitmq, with: {select: 'queue="webhooks"'}, interval: 1s, max_age: 20s, breach: {above: 5m, for: 1s}, clear: {for: 1s}}`,
		`{name: stuck, source: metrics, catalog: queue-stuck-rabbitmq, with: {select: 'queue="webhooks"', window: 1m}, interval: 1s, max_age: 20s, breach: {for: 1s}, clear: {for: 1s}}`,
	)
	depth, age, stuck := watches[0], watches[1], watches[2]
	depth.await("the queue is empty", "queue/webhooks", signalbox.Clear, false)
	stuck.await("an empty queue is not stuck", "queue/webhooks", signalbox.Clear, false)

	rabbit.Publish("webhooks", 100, time.Now().Add(-10*time.Minute).Unix())
	depth.await("messages wait", "queue/webhooks", signalbox.Breached, true)
	age.await("the first has waited for long", "queue/webhooks", signalbox.Breached, true)
	stuck.await("nothing is acknowledged", "queue/webhooks", signalbox.Breached, true)

	rabbit.Consume("mover", "webhooks", "taken")
	depth.await("all were taken", "queue/webhooks", signalbox.Clear, false)
	age.await("none waits", "queue/webhooks", signalbox.Clear, false)
	stuck.await("it moves", "queue/webhooks", signalbox.Clear, false)

	rabbit.Pause()
	depth.await("the broker stands still", "queue/webhooks", signalbox.Unknown, false)
	rabbit.Resume()
	depth.await("the broker goes on", "queue/webhooks", signalbox.Clear, false)
}
