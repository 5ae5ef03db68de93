package acceptance

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/signalbox/signalbox/test/servers"
	"github.com/signalbox/signalbox/test/standin/github"
	"github.com/signalbox/signalbox/test/standin/grafana"
)

const migrationBoardsToken = "glsa_a-token-that-only-grafana-has"

// migration is a real primary with a standby, a dashboard DB/Prod over a real
// Prometheus, a Deployment and a CronJob in a real API server with its
// controllers, GitHub and Slack.
type migration struct {
	*box
	hub              *deployHub
	desk             *deployDesk
	primary, standby *servers.PostgresServer
	metrics          *servers.Server
	boards           string // URL
	healthy          func() // ends what takes long
	kube             *servers.KubeServer
}

// What the exporters say beside their own: how late the standby replays, and how
// long the slowest statement has been running.
const migrationQueries = `
pg_replication:
  query: "SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 ELSE EXTRACT(EPOCH FROM now() - pg_last_xact_replay_timestamp()) END AS lag_seconds, 'eu' AS cluster"
  metrics: [{lag_seconds: {usage: GAUGE, description: "How late it replays."}}, {cluster: {usage: LABEL, description: "Its cluster."}}]
pg_slowest:
  query: "SELECT COALESCE(max(EXTRACT(EPOCH FROM now() - query_start)), 0) AS seconds, 'eu' AS cluster FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
  metrics: [{seconds: {usage: GAUGE, description: "How long the slowest statement runs."}}, {cluster: {usage: LABEL, description: "Its cluster."}}]
`

func newMigration(t *testing.T) *migration {
	t.Helper()
	m := &migration{box: newBox(t), hub: newDeployHub(t), desk: newDeployDesk(t), primary: servers.Postgres(t), kube: servers.KubeAPI(t)}
	servers.KubeControllers(t, m.kube)
	m.primary.Exec("CREATE TABLE heartbeat AS SELECT clock_timestamp() AS at")
	// Else who asks a standby that replays on is cancelled, when it was held for long.
	m.primary.Exec("ALTER SYSTEM SET max_standby_streaming_delay = '-1'")
	m.standby = m.primary.Standby()
	canary := servers.Exporter(t)
	m.beat(t, canary)
	m.metrics = servers.Prometheus(t, servers.PrometheusOptions{Labels: map[string]map[string]string{"standby": {"env": "prod"}}, Scrape: map[string][]string{
		"canary":  {canary.Host()},
		"primary": {servers.PostgresExporter(t, m.primary, migrationQueries).Host()},
		"standby": {servers.PostgresExporter(t, m.standby, migrationQueries).Host()},
	}})
	m.board(t)
	m.workloads(t)
	return m
}

// beat is an application's canary: it writes the time to the primary, and exports
// how old what it reads from the standby is, beyond one beat.
func (m *migration) beat(t *testing.T, canary *servers.ExporterServer) {
	t.Helper()
	ctx := t.Context()
	once := func() {
		_, err := m.primary.Query(ctx, "UPDATE heartbeat SET at = clock_timestamp()")
		if err != nil {
			return
		}
		said, err := m.standby.Query(ctx, "SELECT EXTRACT(EPOCH FROM clock_timestamp() - at) FROM heartbeat")
		if age, bad := strconv.ParseFloat(strings.TrimSpace(said), 64); err == nil && bad == nil {
			canary.Set("canary_lag_seconds", max(0, age-1), "cluster", "eu")
		}
	}
	canary.Set("canary_lag_seconds", 0, "cluster", "eu")
	done, tick := make(chan struct{}), time.NewTicker(200*time.Millisecond)
	go func() {
		defer close(done)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				once()
			}
		}
	}()
	t.Cleanup(func() { <-done })
}

// board is Grafana with the dashboard DB/Prod, whose panels ask the Prometheus.
func (m *migration) board(t *testing.T) {
	t.Helper()
	server, err := grafana.New(grafana.Options{Token: migrationBoardsToken, Spec: contractOf(t, filepath.Join("grafana", "grafana.derived.json"))})
	if err != nil {
		t.Fatal(err)
	}
	server.SetDatasources(grafana.Datasource{UID: "prom", Name: "Prometheus", Type: "prometheus", URL: m.metrics.URL, Default: true, Answer: panelAnswer(m.metrics.URL)})
	panel := func(id int, title, expr string) map[string]any {
		return map[string]any{
			"id": id, "title": title, "type": "timeseries", "datasource": map[string]any{"type": "prometheus", "uid": "prom"},
			"fieldConfig": map[string]any{"defaults": map[string]any{"unit": "s"}}, "targets": []any{map[string]any{"refId": "A", "expr": expr}},
		}
	}
	model, err := json.Marshal(map[string]any{"time": map[string]any{"from": "now-5m", "to": "now"}, "panels": []any{
		panel(1, "Replication lag", "max by (cluster) (canary_lag_seconds)"), panel(2, "Slow queries", `max by (cluster) (pg_slowest_seconds{job="primary"})`),
	}})
	if err != nil {
		t.Fatal(err)
	}
	server.SetDashboards(grafana.Dashboard{UID: "db-prod", Title: "Prod", Folder: "DB", Model: model})
	listening := httptest.NewServer(server)
	m.boards = listening.URL
	t.Cleanup(func() {
		listening.Close()
		if got := server.Violations(); len(got) > 0 {
			t.Errorf("Grafana's contract was broken: %q", got)
		}
	})
}

// workloads are what the handbook's tools touch, and the daemon's rights on them.
func (m *migration) workloads(t *testing.T) {
	t.Helper()
	admin, ctx := m.kube.Client(servers.Admin), t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(admin.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "core"}}, metav1.CreateOptions{}))
	must(admin.CoreV1().ServiceAccounts("core").Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "migrate"}}, metav1.CreateOptions{}))
	pods := func(name string) corev1.PodTemplateSpec {
		return corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "registry.example/" + name + ":1"}}},
		}
	}
	must(admin.AppsV1().Deployments("core").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, Template: pods("web")},
	}, metav1.CreateOptions{}))
	revert, suspended := pods("revert"), true
	revert.Spec.RestartPolicy, revert.Spec.ServiceAccountName = corev1.RestartPolicyNever, "migrate"
	must(admin.BatchV1().CronJobs("core").Create(ctx, &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Name: "revert-schema"},
		Spec:       batchv1.CronJobSpec{Schedule: "0 0 1 1 *", Suspend: &suspended, JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: revert}}},
	}, metav1.CreateOptions{}))
	must(admin.RbacV1().Roles("core").Create(ctx, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "signalbox"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: []string{"web"}, Verbs: []string{"get", "patch"}},
		{APIGroups: []string{"batch"}, Resources: []string{"cronjobs"}, ResourceNames: []string{"revert-schema"}, Verbs: []string{"get"}},
		{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"create", "get"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
	}}, metav1.CreateOptions{}))
	must(admin.RbacV1().RoleBindings("core").Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "signalbox"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "signalbox"},
		Subjects: []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: servers.Daemon}},
	}, metav1.CreateOptions{}))
}

// migrates has a run of migrate-prod under way, in one of its jobs.
func (m *migration) migrates(job string) {
	run := deployRun(302, "main", "", time.Second)
	run.Status = "in_progress"
	m.hub.SetRuns(deployMigrate, deployRun(301, "main", "success", 300*time.Hour), run)
	m.hub.SetJobs(302, github.Job{ID: 1, Name: job, Status: "in_progress", Steps: []github.JobStep{
		{Name: "checkout", Status: "completed", Conclusion: "success"}, {Name: "statement 7", Status: "in_progress"},
	}})
}

// paused is what the API server has of the Deployment, and jobs the Jobs there.
func (m *migration) paused() (bool, error) {
	d, err := m.kube.Client(servers.Admin).AppsV1().Deployments("core").Get(m.t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		return false, err
	}
	return d.Spec.Paused, nil
}

// did asserts what was done, by the targets' own records.
func (m *migration) did(paused bool, cancelled, jobs int) func() error {
	return func() error {
		is, err := m.paused()
		if err != nil {
			return err
		}
		list, err := m.kube.Client(servers.Admin).BatchV1().Jobs("core").List(m.t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		asked := 0
		for _, w := range m.hub.Writes() {
			if w != "POST /repos/acme/shop/actions/runs/302/cancel" {
				return fmt.Errorf("GitHub was asked to %s", w)
			}
			asked++
		}
		if is != paused || asked != cancelled || len(list.Items) != jobs {
			return fmt.Errorf("web paused %v, want %v; cancelled %d times, want %d; %d jobs, want %d", is, paused, asked, cancelled, len(list.Items), jobs)
		}
		return nil
	}
}

// reverted plays the kubelet: the revert Job's pod succeeds.
func (m *migration) reverted(ctx context.Context) error {
	pods := m.kube.Client(servers.Admin).CoreV1().Pods("core")
	list, err := pods.List(ctx, metav1.ListOptions{LabelSelector: "app=revert"})
	if err != nil {
		return err
	}
	if len(list.Items) != 1 {
		return fmt.Errorf("%d pods of the revert Job", len(list.Items))
	}
	pod := &list.Items[0]
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 0, Reason: "Completed", FinishedAt: metav1.Now()}}}}
	_, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}
