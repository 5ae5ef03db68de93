package catalog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	signalbox "github.com/signalbox/signalbox"
	"github.com/signalbox/signalbox/test/servers"
)

// replication is what postgres_exporter exports by itself from 0.13 on, for
// Debian's, which is older.
const replication = `
pg_replication:
  query: |
    SELECT CASE WHEN pg_is_in_recovery() THEN GREATEST(0, EXTRACT(EPOCH FROM now() - pg_last_xact_replay_timestamp())) ELSE 0 END AS lag_seconds,
      pg_is_in_recovery()::int AS is_replica
  metrics:
    - lag_seconds: {usage: GAUGE, description: Lag behind the primary in seconds.}
    - is_replica: {usage: GAUGE, description: Whether the server is a replica.}
pg_stat_statements:
  query: |
    SELECT d.datname, s.queryid, s.calls AS calls_total, s.total_exec_time / 1000 AS seconds_total
    FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
  metrics:
    - datname: {usage: LABEL, description: Database.}
    - queryid: {usage: LABEL, description: Statement.}
    - calls_total: {usage: COUNTER, description: Executions.}
    - seconds_total: {usage: COUNTER, description: Time in executions.}
`

// A standby whose replay is paused while its primary goes on falls behind; once
// it replays again it is well.
func TestPostgresReplicationLag(t *testing.T) {
	t.Parallel()
	primary := servers.Postgres(t)
	standby := primary.Standby()
	primary.Exec("CREATE EXTENSION pg_stat_statements")
	primary.Exec("CREATE TABLE payments (id bigserial, at timestamptz DEFAULT now())")
	first, second := servers.PostgresExporter(t, primary, replication), servers.PostgresExporter(t, standby, replication)
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"pg": {first.Host(), second.Host()}}})
	watches := watching(
		t, metrics.URL,
		`{name: lag, source: metrics, catalog: postgresql-replication-lag, with: {select: 'job="pg"'}, interval: 1s, max_age: 10s, breach: {above: 3s, for: 1s}, clear: {below: 2s, for: 1s}}`,
		`{name: standbys, source: metrics, catalog: postgresql-standby-missing, interval: 1s, max_age: 10s, breach: {for: 1s}, clear: {for: 1s}}`,
	)
	lag, standbys := watches[0], watches[1]
	well := "postgresql/" + first.Host()
	ill := "postgresql/" + second.Host()
	stop := every(t, func() error {
		_, err := primary.Query(t.Context(), "INSERT INTO payments DEFAULT VALUES")
		return err
	})
	defer stop()

	lag.await("the standby replays", ill, signalbox.Clear, false)
	lag.await("the primary has no lag", well, signalbox.Clear, false)
	standbys.await("the standby streams", well, signalbox.Clear, false)

	standby.Exec("SELECT pg_wal_replay_pause()")
	lag.await("replay is paused", ill, signalbox.Breached, true)
	lag.await("and the primary is well", well, signalbox.Clear, false)
	standbys.await("it still streams", well, signalbox.Clear, false)

	standby.Exec("SELECT pg_wal_replay_resume()")
	lag.await("replay goes on", ill, signalbox.Clear, false)

	second.Pause()
	lag.await("the standby's exporter hangs", ill, signalbox.Unknown, false)
	second.Resume()
	lag.await("the exporter answers again", ill, signalbox.Clear, false)

	standby.Kill()
	standbys.await("the standby is gone", well, signalbox.Breached, true)
	lag.await("and nothing is known of its lag", ill, signalbox.Unknown, false)
	standby.Restart()
	standbys.await("the standby is back", well, signalbox.Clear, false)
}

// Connections that fill up, a transaction that stays open, and statements that
// take long, in a real server.
func TestPostgresLoad(t *testing.T) {
	t.Parallel()
	server := servers.Postgres(t)
	server.Exec("CREATE EXTENSION pg_stat_statements")
	exporter := servers.PostgresExporter(t, server, replication)
	metrics := servers.Prometheus(t, servers.PrometheusOptions{Scrape: map[string][]string{"pg": {exporter.Host()}}})
	watches := watching(
		t, metrics.URL,
		`{name: full, source: metrics, catalog: postgresql-connections, interval: 1s, max_age: 10s, breach: {above: 5%, for: 1s}, clear: {below: 4%, for: 1s}}`,
		`{name: long, source: metrics, catalog: postgresql-long-transactions, with: {select: 'datname="postgres"'}, interval: 1s, max_age: 10s, breach: {above: 2s, for: 1s}, clear: {for: 1s}}`,
		`{name: slow, source: metrics, catalog: postgresql-slow-queries, with: {window: 1m}, interval: 1s, max_age: 10s, breach: {above: 100ms, for: 1s}, clear: {below: 50ms, for: 1s}}`,
	)
	full, long, slow := watches[0], watches[1], watches[2]
	instance := "postgresql/" + exporter.Host()
	full.await("few are connected", instance, signalbox.Clear, false)
	long.await("transactions are short", instance+"/postgres", signalbox.Clear, false)
	slow.await("statements are fast", instance+"/postgres", signalbox.Clear, false)

	wake := stayConnected(t, server, 6) // of 100 connections
	full.await("many are connected", instance, signalbox.Breached, true)
	long.await("transactions stay open", instance+"/postgres", signalbox.Breached, true)
	wake()
	full.await("they are gone", instance, signalbox.Clear, false)
	long.await("and so are their transactions", instance+"/postgres", signalbox.Clear, false)

	stop := every(t, func() error { // many, so that the mean is far from that of a busy machine's short ones
		var failed [20]error
		var asleep sync.WaitGroup
		for i := range failed {
			asleep.Go(func() { _, failed[i] = server.Query(t.Context(), "SELECT pg_sleep(3)") })
		}
		asleep.Wait()
		return errors.Join(failed[:]...)
	})
	defer stop()
	slow.await("statements take long, among many short ones", instance+"/postgres", signalbox.Breached, true)
	stop()
	slow.await("a minute later all are fast again", instance+"/postgres", signalbox.Clear, false)
}

// stayConnected opens sessions, each in a transaction, until wake ends them.
func stayConnected(t *testing.T, server *servers.PostgresServer, sessions int) (wake func()) {
	t.Helper()
	const stay = "SELECT pg_sleep(3600)"
	ctx, leave := context.WithCancel(t.Context())
	t.Cleanup(leave)
	ended := make(chan error, sessions)
	for range sessions {
		go func() {
			_, err := server.Query(ctx, stay)
			ended <- err
		}()
	}
	return func() {
		t.Helper()
		servers.Await(t, servers.Patience, "the sessions to end", func(ctx context.Context) error {
			if _, err := server.Query(ctx, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = '"+stay+"'"); err != nil {
				return err
			}
			for ; sessions > 0; sessions-- { // one that began late is ended by the next try
				select {
				case err := <-ended:
					if !strings.Contains(fmt.Sprint(err), "canceling statement") {
						t.Errorf("a session ended by itself: %v", err)
					}
				default:
					return fmt.Errorf("%d are left", sessions)
				}
			}
			return nil
		})
	}
}
