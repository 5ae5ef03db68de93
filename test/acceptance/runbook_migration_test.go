package acceptance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/signalbox/signalbox/test/servers"
)

// The run-book "database migrations": while a run of migrate-prod is under way the
// standby replays no more, and statements take long, as the dashboard DB/Prod
// shows; the standby's exporter sees it too. The backend lead is paged, and on a
// person's word for each the rollout is paused, the run is cancelled, but not
// during the job "apply", and the schema is reverted by a Job.
func TestRunbookMigration(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	m.configure("approve")
	m.start()
	m.watched()
	m.migrates("apply")
	m.eventually("the migration to be seen", m.underWay)
	m.stall(t)
	m.eventually("it to be announced", func() error { return m.saidOf("db/eu") })
	m.eventually("a person to be asked", func() error { return m.deployAsked("web to paused") })
	m.steadily(2*time.Second, "nothing is done without a person", m.did(false, 0, 0))
	m.approved("be-lead", "web to paused")
	m.eventually("the rollout to be paused", m.did(true, 0, 0))
	m.steadily(4*time.Second, "the run goes on during apply", func() error {
		if err := m.deployAsked("migrate-prod to cancelled"); err == nil {
			return fmt.Errorf("a person is asked to cancel it during apply")
		}
		return m.did(true, 0, 0)()
	})
	m.migrates("verify")
	m.eventually("a person to be asked between two jobs", func() error { return m.deployAsked("migrate-prod to cancelled") })
	m.approved("be-lead", "migrate-prod to cancelled")
	m.eventually("the run to be asked to stop", m.did(true, 1, 0))
	m.hub.Finish(302, "cancelled")
	m.approved("be-lead", "revert-schema")
	m.eventually("the Job that reverts the schema", m.did(true, 1, 1))
	m.eventually("the schema to be reverted", func() error { return m.reverted(t.Context()) })
	m.recover()
	m.eventually("the rollout to wait for a person's word", func() error {
		if st := m.status(); len(st.Thrown) != 1 || len(st.Incidents) == 0 {
			return fmt.Errorf("thrown: %+v, open: %d", st.Thrown, len(st.Incidents))
		}
		return nil
	})
	m.steadily(3*time.Second, "each was done once", m.did(true, 1, 1))
	m.eventually("one page to the backend lead of all that is seen of it", m.is(backendKey, "db/eu", "triggered"))
}

// Slow statements alone, while a migration is under way, are what one source says:
// nothing is done, and the backend lead is paged with that reason.
func TestRunbookMigrationSlowQueriesAlone(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	m.configure("auto")
	m.start()
	m.watched()
	m.migrates("verify")
	m.eventually("the migration to be seen", m.underWay)
	m.slows(t)
	m.eventually("what holds it", func() error {
		if said := m.deployExplained("slow-queries"); !strings.Contains(said, "1 of 2 independent origins see it") {
			return fmt.Errorf("explain says %s", said)
		}
		return nil
	})
	m.eventually("the backend lead to be paged", m.is(backendKey, "db/eu", "triggered"))
	m.steadily(4*time.Second, "nothing is done", m.did(false, 0, 0))
}

// Without a migration under way nothing is done, and the owner is paged.
func TestRunbookMigrationWithoutOne(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	m.configure("auto")
	m.start()
	m.watched()
	m.stall(t)
	m.eventually("the owner to be paged", func() error {
		if said := m.deployExplained("replication-lag"); !strings.Contains(said, "it acts during [migration] only") || len(m.pages("db/eu")) == 0 {
			return fmt.Errorf("pages: %d; explain says %s", len(m.pages("db/eu")), said)
		}
		return nil
	})
	m.steadily(4*time.Second, "nothing is done", m.did(false, 0, 0))
}

// In shadow it is recorded, and nothing is done or said.
func TestRunbookMigrationInShadow(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	m.configure("shadow")
	m.start()
	m.watched()
	m.migrates("verify")
	m.eventually("the migration to be seen", m.underWay)
	m.stall(t)
	m.eventually("the record of what would be done", func() error {
		if said := m.deployExplained("replication-lag"); !strings.Contains(said, "policy migration-anomaly only watches; it would say act") {
			return fmt.Errorf("explain says %s", said)
		}
		return nil
	})
	m.steadily(4*time.Second, "nothing is done or said", func() error {
		if n := len(m.desk.Messages()); n > 0 {
			return fmt.Errorf("messages: %d", n)
		}
		return m.did(false, 0, 0)()
	})
}

// The daemon is killed at some moment of it, in auto, where the cancelling and the
// Job still wait for a person: each is done once.
func TestRunbookMigrationKilled(t *testing.T) {
	t.Parallel()
	m := newMigration(t)
	m.configure("auto")
	m.start()
	m.watched()
	seed := uint64(time.Now().UnixNano())
	pause := time.Duration(rand.New(rand.NewPCG(seed, 0)).Int64N(int64(4 * time.Second))) //nolint:gosec // a moment, no secret
	t.Logf("seed %d: killed %v after the migration's anomaly was seen", seed, pause)
	m.migrates("verify")
	m.eventually("the migration to be seen", m.underWay)
	m.stall(t)
	m.eventually("the incident", func() error {
		if said := m.deployExplained("replication-lag"); strings.HasPrefix(said, "nothing: ") {
			return fmt.Errorf("none is open")
		}
		return nil
	})
	killed := time.NewTimer(pause)
	defer killed.Stop()
	<-killed.C
	m.kill()
	m.launch()
	m.ready()
	m.eventually("the rollout to be paused", m.did(true, 0, 0))
	m.approved("be-lead", "migrate-prod to cancelled")
	m.eventually("the run to be asked to stop", m.did(true, 1, 0))
	m.hub.Finish(302, "cancelled")
	m.approved("be-lead", "revert-schema")
	m.eventually("the Job that reverts the schema", m.did(true, 1, 1))
	m.eventually("the schema to be reverted", func() error { return m.reverted(t.Context()) })
	m.recover()
	m.steadily(4*time.Second, "each was done once", m.did(true, 1, 1))
	m.noneTwice()
	toldOnce(t, m.desk.Server)
}

// stall lets the standby replay no more, and statements take long, until recover
// or the test's end.
func (m *migration) stall(t *testing.T) {
	t.Helper()
	m.standby.Exec("SELECT pg_wal_replay_pause()")
	m.slows(t)
}

// slows lets statements take long, until recover or the test's end.
func (m *migration) slows(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	m.healthy = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			_, _ = m.primary.Query(ctx, "SELECT pg_sleep(3)")
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func (m *migration) recover() {
	m.t.Helper()
	m.healthy()
	m.standby.Exec("SELECT pg_wal_replay_resume()")
}

// underWay reports whether the daemon has seen that a migration is under way.
func (m *migration) underWay() error {
	for _, inc := range m.status().Incidents {
		if inc.Reading.Detector == "migration" {
			return nil
		}
	}
	return fmt.Errorf("no run is seen under way")
}

func (m *migration) saidOf(text string) error {
	for _, thread := range m.desk.threads() {
		if strings.Contains(thread.Text, text) {
			return nil
		}
	}
	return fmt.Errorf("nothing says %q: %+v", text, m.desk.threads())
}

// configure takes the run-book out of the handbook, with looks each second.
func (m *migration) configure(autonomy string) {
	m.t.Helper()
	m.deployStaff()
	m.deploySources(m.hub, m.desk)
	m.secret("grafana", migrationBoardsToken)
	m.deployKubeconfig(m.kube)
	m.write("sources.yaml", fmt.Sprintf(`
sources:
  metrics: {kind: prometheus, url: %q, timeout: 5s, unknown_after: 2m}
  boards: {kind: grafana, url: %q, authorization: {credentials_file: secrets/grafana}, unknown_after: 2m}
  cluster: {kind: kubernetes, kubeconfig: secrets/kubeconfig, namespaces: [core]}
`, m.metrics.URL, m.boards))
	e := newHandbookExcerpt(m.t)
	for _, name := range []string{"replication-lag", "slow-queries", "standby-lag"} {
		e.take("detectors", name, handbookSoon)
	}
	e.take("detectors", "migration", func(d map[string]any) { d["interval"] = "1s" })
	for _, name := range []string{"web", "revert-schema"} {
		e.take("tools", name, func(map[string]any) {})
	}
	e.take("tools", "migrate-prod", func(tool map[string]any) { handbookBlock(tool, "github")["latency"] = "2s" })
	e.take("policies", "migration-anomaly", func(p map[string]any) {
		p["autonomy"] = autonomy
		handbookBlock(p, "verify")["within"] = "1m"
	})
	e.whole("guards")
	e.write(m.box)
}

// deployKubeconfig lets the daemon reach an API server with its own account.
func (b *box) deployKubeconfig(kube *servers.KubeServer) {
	b.t.Helper()
	text, err := os.ReadFile(kube.Kubeconfig(servers.Daemon))
	if err != nil {
		b.t.Fatal(err)
	}
	b.write("secrets/kubeconfig", string(text))
}
