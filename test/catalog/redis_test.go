package catalog

import (
	"fmt"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// A replica that stands still stops to acknowledge, and its master drops it; a
// master that stands still is lost to its replica.
func TestRedisReplication(t *testing.T) {
	t.Parallel()
	master := servers.Redis(t)
	replica := master.Replica(15)
	first, second := servers.RedisExporter(t, master), servers.RedisExporter(t, replica)
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"redis": {first.Host(), second.Host()}}})
	watches := watching(
		t, metrics.URL,
		`{name: lag, source: metrics, catalog: redis-replication-lag, with: {select: 'job="redis"'}, interval: 1s, max_age: 10s, breach: {above: 3s, for: 1s}, clear: {below: 2s, for: 1s}}`,
		`{name: link, source: metrics, catalog: redis-replica-link, interval: 1s, max_age: 10s, breach: {for: 1s}, clear: {for: 1s}}`,
		`{name: connections, source: metrics, catalog: redis-connections, interval: 1s, max_age: 10s, breach: {above: 45%, for: 1s}, clear: {below: 40%, for: 1s}}`,
	)
	lag, link, connections := watches[0], watches[1], watches[2]
	behind := fmt.Sprintf("redis/127.0.0.1:%d", replica.Port)
	lag.await("the replica acknowledges", behind, signalbox.Clear, false)
	link.await("the replica has its master", "redis/"+second.Host(), signalbox.Clear, false)
	connections.await("few are connected", "redis/"+first.Host(), signalbox.Clear, false)

	replica.Pause()
	lag.await("the replica stands still", behind, signalbox.Breached, true)
	lag.await("it is dropped, which is not health", behind, signalbox.Unknown, true)
	replica.Resume()
	lag.await("it goes on", behind, signalbox.Clear, false)
	link.await("and has its master again", "redis/"+second.Host(), signalbox.Clear, false)

	master.Pause()
	link.await("the master stands still", "redis/"+second.Host(), signalbox.Breached, true)
	master.Resume()
	link.await("the master goes on", "redis/"+second.Host(), signalbox.Clear, false)

	master.Exec("CONFIG", "SET", "maxclients", "2")
	connections.await("hardly more can connect", "redis/"+first.Host(), signalbox.Breached, true)
	master.Exec("CONFIG", "SET", "maxclients", "1000")
	connections.await("many more can connect", "redis/"+first.Host(), signalbox.Clear, false)
}
